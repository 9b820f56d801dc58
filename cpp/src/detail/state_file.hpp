#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "detail/crc.hpp"
#include "detail/json.hpp"

// A state file is NumPy's npz, so that numpy.load opens it: a zip of stored members, each with its
// CRC-32. The first is header.json; the others are arrays, in the order and with the dtypes and
// shapes that the header lists. The zip's comment is a CRC-64 of all members' contents.
//
// The writer has no choices: header and contents determine every byte. So the reader computes from
// the header what every other byte must be, and refuses the file where one differs. Nothing in it
// is a pointer, a program, or a size that is used before the file is known to be long enough.
namespace memoa::detail {

struct StateArray {
  std::string name;   ///< of the letters a-z, digits, dots and underscores
  std::string dtype;  ///< "<f8" or "<f4"
  std::vector<std::int64_t> shape;

  std::uint64_t size() const;  ///< numbers; throws std::invalid_argument beyond 2^62 bytes
  std::size_t width() const;   ///< bytes of a number
  std::uint64_t bytes() const { return size() * width(); }
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

/// A member of the zip.
struct ZipMember {
  std::string name, npy;  ///< npy: the header of an array
  std::uint64_t content = 0, at = 0;
  std::uint32_t crc = 0;
};

/// The name of a file that goes with it.
struct TemporaryName {
  std::string text;
  TemporaryName() = default;
  ~TemporaryName();
};

/// Writes a state file beside `path` and renames it at `commit`, when it is complete and on the
/// disk, so that half a file is never visible. Without `commit` nothing is left. Failures of the
/// system throw std::filesystem::filesystem_error.
class StateWriter {
 public:
  /// `header` is the text of a JSON object's members; "format", "version", "memoa" and "arrays" are
  /// put before them.
  StateWriter(const std::string& path, const std::string& header, std::vector<StateArray> arrays);
  StateWriter(const StateWriter&) = delete;
  StateWriter& operator=(const StateWriter&) = delete;

  /// The next numbers of the array that is not complete yet.
  void write(const double* values, std::size_t count);
  void commit();

 private:
  void next_array();
  void begin(ZipMember& member);
  void finish(ZipMember& member);
  void put(const void* data, std::size_t size);  // of a member's content
  void put_plain(const std::string& bytes);
  template <class Number>
  void write_as(const double* values, std::size_t count);

  std::string path_;
  TemporaryName temporary_;
  File file_;  // closed before the name goes
  std::vector<StateArray> arrays_;
  std::vector<ZipMember> members_;  // header.json, then the arrays
  std::size_t next_ = 0;            // array being written
  std::uint64_t left_ = 0;
  Crc32 crc_;
  Crc64 all_;
};

/// Reads a state file, in the order of its arrays. Throws std::invalid_argument, with the path, for
/// any file that differs from what the writer writes, and std::filesystem::filesystem_error if the
/// system fails.
class StateReader {
 public:
  explicit StateReader(const std::string& path);
  StateReader(File file, std::string path);

  const Json& header() const { return header_; }
  const std::string& header_text() const { return text_; }
  const std::vector<StateArray>& arrays() const { return arrays_; }
  const std::string& path() const { return path_; }

  /// Begins the next array, which must be this one.
  void open(const StateArray& expected);
  /// Its next numbers, all of them finite.
  void read(double* values, std::size_t count);
  /// All arrays were read, and the checksum of the whole is right.
  void finish();

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void read_header();
  void plan();
  void get(void* data, std::size_t size);
  void expect(const std::string& bytes, const std::string& what);
  void close_member();

  File file_;
  std::string path_, text_;
  std::uint64_t file_size_ = 0, left_ = 0;
  Json header_;
  std::vector<StateArray> arrays_;
  std::vector<ZipMember> members_;
  std::size_t next_ = 0;
  Crc32 crc_;
  Crc64 all_;
};

}  // namespace memoa::detail
