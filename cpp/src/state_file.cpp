#include "detail/state_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <random>
#include <type_traits>
#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

namespace memoa::detail {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 62;  // of an array; sums do not overflow
constexpr std::uint64_t kMostHeader = std::uint64_t{1} << 20;
constexpr std::int64_t kMostArrays = 1000, kMostAxes = 8, kMostLength = std::int64_t{1} << 60;
constexpr std::size_t kBuffer = std::size_t{1} << 16;
constexpr const char* kHeader = "header.json";
constexpr std::int64_t kVersion = 1;

[[noreturn]] void fail(const std::string& path, int error, const char* what) {
  throw fs::filesystem_error(what, path, std::error_code(error, std::generic_category()));
}

void seek(std::FILE* file, std::uint64_t at, int origin, const std::string& path) {
#ifdef _WIN32
  const int failed = _fseeki64(file, static_cast<long long>(at), origin);
#else
  const int failed = fseeko(file, static_cast<off_t>(at), origin);
#endif
  if (failed != 0) fail(path, errno, "cannot seek");
}

/// Flushes the file to the disk, not only to the system's memory.
void sync(std::FILE* file, const std::string& path) {
  if (std::fflush(file) != 0) fail(path, errno, "cannot write");
#ifndef _WIN32
  if (fsync(fileno(file)) != 0) fail(path, errno, "cannot write");
#endif
}

/// Flushes the folder's new entry too. Not every file system can do this for a folder, and the file
/// is complete in any case, so failures are ignored.
void sync_folder([[maybe_unused]] const fs::path& file) {
#ifndef _WIN32
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
#endif
}

/// Where the file that `path` names really is: a symbolic link stays one.
std::string destination(const std::string& path) {
  const fs::file_status status = fs::status(path);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw std::invalid_argument(path + ": is not a regular file; expected a name for one");
  return fs::is_symlink(fs::symlink_status(path)) ? fs::canonical(path).string() : path;
}

// ---------------------------------------------------------------- the zip and npy formats

struct Bytes {
  std::string text;
  template <class Word>
  Bytes& add(Word word) {
    for (std::size_t k = 0; k < sizeof(Word); ++k) text += static_cast<char>(word >> (8 * k));
    return *this;
  }
  Bytes& u16(unsigned word) { return add(static_cast<std::uint16_t>(word)); }
  Bytes& u32(std::uint32_t word) { return add(word); }
  Bytes& u64(std::uint64_t word) { return add(word); }
  Bytes& add(const std::string& bytes) { return text += bytes, *this; }
};

constexpr std::uint32_t kInExtra = 0xffffffffu;  // the number is in the 64-bit extension
constexpr unsigned kZip64 = 45, kUnix = 3 << 8;
constexpr std::size_t kLocalCrc = 14, kLocalSize = 30 + 20;  // and the name

/// Version needed, flags, method (stored), time and date (1980-01-01), CRC, sizes: the same in a
/// member's own header and in the directory. 64-bit sizes always: one way for small and large.
void add_common(Bytes& out, const ZipMember& member, unsigned extra) {
  out.u16(kZip64).u16(0).u16(0).u16(0).u16(0x21).u32(member.crc).u32(kInExtra).u32(kInExtra);
  out.u16(static_cast<unsigned>(member.name.size())).u16(extra);
}

std::string local_header(const ZipMember& member) {
  Bytes out;
  out.u32(0x04034b50);
  add_common(out, member, 20);
  out.add(member.name).u16(1).u16(16).u64(member.content).u64(member.content);
  return out.text;
}

std::string directory_entry(const ZipMember& member) {
  Bytes out;
  out.u32(0x02014b50).u16(kUnix | kZip64);
  add_common(out, member, 28);
  out.u16(0).u16(0).u16(0).u32(0100644u << 16).u32(kInExtra);
  out.add(member.name).u16(1).u16(24).u64(member.content).u64(member.content).u64(member.at);
  return out.text;
}

/// All that follows the members.
std::string tail(const std::vector<ZipMember>& members, std::uint64_t at, std::uint64_t checksum) {
  Bytes out;
  for (const ZipMember& member : members) out.add(directory_entry(member));
  const std::uint64_t size = out.text.size(), count = members.size();
  out.u32(0x06064b50).u64(44).u16(kUnix | kZip64).u16(kZip64).u32(0).u32(0);
  out.u64(count).u64(count).u64(size).u64(at);
  out.u32(0x07064b50).u32(0).u64(at + size).u32(1);
  char comment[40];
  const int length = std::snprintf(comment, sizeof comment, "crc-64/xz %016llx",
                                   static_cast<unsigned long long>(checksum));
  out.u32(0x06054b50).u16(0).u16(0).u16(0xffff).u16(0xffff).u32(kInExtra).u32(kInExtra);
  out.u16(static_cast<unsigned>(length)).add(std::string(comment));
  return out.text;
}

std::string npy_header(const StateArray& array) {
  std::string shape;
  for (const std::int64_t length : array.shape) shape += std::to_string(length) + ", ";
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  if (array.shape.size() == 1) shape.resize(shape.size() - 1);
  std::string text =
      "{'descr': '" + array.dtype + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  text += std::string(63 - (10 + text.size()) % 64, ' ') + "\n";
  Bytes out;
  out.add(std::string("\x93NUMPY\x01\x00", 8)).u16(static_cast<unsigned>(text.size())).add(text);
  return out.text;
}

std::vector<ZipMember> members_of(const std::string& text, const std::vector<StateArray>& arrays) {
  std::vector<ZipMember> members(1);
  members[0].name = kHeader;
  members[0].content = text.size();
  for (const StateArray& array : arrays) {
    ZipMember member;
    member.name = array.name + ".npy";
    member.npy = npy_header(array);
    member.content = member.npy.size() + array.bytes();
    member.at = members.back().at + kLocalSize + members.back().name.size();
    // lengths stay below kMostArrays * 2^62 only if they are checked one by one
    if (members.back().content > kMostBytes - member.at)
      throw std::invalid_argument("the arrays are too large");
    member.at += members.back().content;
    members.push_back(std::move(member));
  }
  return members;
}

std::string describe(const StateArray& array) {
  std::string shape;
  for (const std::int64_t length : array.shape)
    shape += (shape.empty() ? "" : ", ") + std::to_string(length);
  return json_text(array.name) + ": [" + json_text(array.dtype) + ", [" + shape + "]]";
}

}  // namespace

std::uint64_t StateArray::size() const {
  std::uint64_t product = 1;
  for (const std::int64_t length : shape) {
    const auto factor = static_cast<std::uint64_t>(length);
    if (length < 0 || (factor > 0 && product > kMostBytes / 8 / factor))
      throw std::invalid_argument("array '" + name + "' is too large");
    product *= factor;
  }
  return product;
}

std::size_t StateArray::width() const { return dtype == "<f4" ? 4 : 8; }

// -------------------------------------------------------------------------------- writing

StateWriter::StateWriter(const std::string& path, const std::string& header,
                         std::vector<StateArray> arrays)
    : path_(destination(path)), arrays_(std::move(arrays)) {
  std::string text = "{\"format\": \"memoa-state\", \"version\": " + std::to_string(kVersion) +
                     ", \"memoa\": \"" MEMOA_VERSION "\",\n" + header + ",\n\"arrays\": [\n";
  for (const StateArray& array : arrays_)
    text += "{" + describe(array) + (&array == &arrays_.back() ? "}\n" : "},\n");
  text += "]}\n";
  members_ = members_of(text, arrays_);

  std::random_device random;
  temporary_.text = path_ + ".tmp-" + std::to_string(random()) + std::to_string(random());
  file_.reset(std::fopen(temporary_.text.c_str(), "wbx"));
  if (file_ == nullptr) {
    const int error = errno;
    temporary_.text.clear();  // not ours to remove
    fail(path, error, "cannot write");
  }
  begin(members_[0]);
  put(text.data(), text.size());
  finish(members_[0]);
  next_array();
}

TemporaryName::~TemporaryName() {
  if (!text.empty()) std::remove(text.c_str());  // asks for no memory
}

void StateWriter::begin(ZipMember& member) {
  crc_ = {};
  put_plain(local_header(member));
  put(member.npy.data(), member.npy.size());
}

/// The member's CRC is known only now: back to its place in the header.
void StateWriter::finish(ZipMember& member) {
  member.crc = crc_.value();
  seek(file_.get(), member.at + kLocalCrc, SEEK_SET, path_);
  put_plain(Bytes().u32(member.crc).text);
  seek(file_.get(), 0, SEEK_END, path_);
}

/// Goes on to the next array that holds numbers; empty ones are complete at once.
void StateWriter::next_array() {
  while (next_ < arrays_.size()) {
    begin(members_[next_ + 1]);
    left_ = arrays_[next_].size();
    if (left_ > 0) return;
    finish(members_[++next_]);
  }
}

void StateWriter::put_plain(const std::string& bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
    fail(path_, errno, "cannot write");
}

void StateWriter::put(const void* data, std::size_t size) {
  crc_.add(data, size);
  all_.add(data, size);
  if (std::fwrite(data, 1, size, file_.get()) != size) fail(path_, errno, "cannot write");
}

template <class Number>
void StateWriter::write_as(const double* values, std::size_t count) {
  if constexpr (std::is_same_v<Number, double>) {
    put(values, count * sizeof(double));
  } else {
    std::vector<Number> narrow(values, values + count);
    put(narrow.data(), count * sizeof(Number));
  }
}

void StateWriter::write(const double* values, std::size_t count) {
  while (count > 0) {
    if (next_ == arrays_.size()) throw std::logic_error("more numbers than the arrays have");
    const std::size_t now =
        std::min({static_cast<std::uint64_t>(count), left_, std::uint64_t{kBuffer}});
    arrays_[next_].width() == 4 ? write_as<float>(values, now) : write_as<double>(values, now);
    values += now, count -= now, left_ -= now;
    if (left_ > 0) continue;
    finish(members_[++next_]);
    next_array();
  }
}

void StateWriter::commit() {
  if (next_ < arrays_.size()) throw std::logic_error("the arrays are not complete");
  const ZipMember& last = members_.back();
  const std::uint64_t end = last.at + kLocalSize + last.name.size() + last.content;
  put_plain(tail(members_, end, all_.value()));
  sync(file_.get(), path_);
  if (std::fclose(file_.release()) != 0) fail(path_, errno, "cannot write");
  std::error_code error;
  const fs::file_status old = fs::status(path_, error);
  if (fs::exists(old)) fs::permissions(temporary_.text, old.permissions(), error);
  fs::rename(temporary_.text, path_);
  temporary_.text.clear();
  sync_folder(path_);
}

// -------------------------------------------------------------------------------- reading

namespace {

File open_regular(const std::string& path) {
  const fs::file_status status = fs::status(path);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw std::invalid_argument(path + ": is not a regular file");
  File file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) fail(path, errno, "cannot read");
  return file;
}

// A fuzzer cannot guess checksums, so they are not checked when fuzzing.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
constexpr bool kChecked = false;
#else
constexpr bool kChecked = true;
#endif

}  // namespace

StateReader::StateReader(const std::string& path) : StateReader(open_regular(path), path) {}

StateReader::StateReader(File file, std::string path)
    : file_(std::move(file)), path_(std::move(path)) {
  seek(file_.get(), 0, SEEK_END, path_);
#ifdef _WIN32
  const long long end = _ftelli64(file_.get());
#else
  const off_t end = ftello(file_.get());
#endif
  if (end < 0) fail(path_, errno, "cannot read");
  file_size_ = static_cast<std::uint64_t>(end);
  seek(file_.get(), 0, SEEK_SET, path_);
  read_header();
  try {
    plan();
  } catch (const std::invalid_argument& error) {
    refuse(std::string("not a memoa state file: header.json: ") + error.what());
  }
  const ZipMember& last = members_.back();
  const std::uint64_t end_of_arrays = last.at + kLocalSize + last.name.size() + last.content;
  const std::uint64_t expected = end_of_arrays + tail(members_, 0, 0).size();
  if (kChecked ? expected != file_size_ : end_of_arrays > file_size_)
    refuse("cut short or altered: it has " + std::to_string(file_size_) +
           " bytes; its header makes it " + std::to_string(expected));
}

void StateReader::refuse(const std::string& what) const {
  throw std::invalid_argument(path_ + ": " + what);
}

void StateReader::get(void* data, std::size_t size) {
  if (std::fread(data, 1, size, file_.get()) == size) return;
  if (std::ferror(file_.get())) fail(path_, errno, "cannot read");
  refuse("cut short");
}

void StateReader::expect(const std::string& bytes, const std::string& what) {
  std::string found(bytes.size(), '\0');
  get(found.data(), found.size());
  if (kChecked && found != bytes) refuse("altered since it was written: " + what);
}

/// The first member. Its length is in front of it, and is accepted up to a megabyte.
void StateReader::read_header() {
  ZipMember member;
  member.name = kHeader;
  std::string head(local_header(member).size(), '\0');
  if (file_size_ < head.size()) refuse("not a memoa state file: it is too short");
  get(head.data(), head.size());
  const auto number = [&](std::size_t at, std::size_t width) {
    std::uint64_t value = 0;
    while (width-- > 0) value = value << 8 | static_cast<unsigned char>(head[at + width]);
    return value;
  };
  member.crc = static_cast<std::uint32_t>(number(kLocalCrc, 4));
  member.content = number(head.size() - 8, 8);
  if (kChecked && head != local_header(member))
    refuse("not a memoa state file: it does not begin with header.json");
  if (member.content > kMostHeader || member.content > file_size_)
    refuse("not a memoa state file: header.json has " + std::to_string(member.content) + " bytes");
  text_.resize(static_cast<std::size_t>(member.content));
  get(text_.data(), text_.size());
  crc_.add(text_.data(), text_.size());
  if (kChecked && crc_.value() != member.crc)
    refuse("altered since it was written: the checksum of header.json is wrong");
  all_.add(text_.data(), text_.size());
  members_.push_back(member);
}

/// The header's word on the arrays.
void StateReader::plan() {
  header_ = Json::parse(text_);
  if (const Json* format = header_.find("format");
      format == nullptr || format->as_string("format") != "memoa-state")
    throw std::invalid_argument("expected \"format\": \"memoa-state\"");
  const std::int64_t version = header_.at("version").as_integer("version", 1, 1'000'000);
  if (version > kVersion)
    throw std::invalid_argument("version is " + std::to_string(version) +
                                ", of a newer memoa; this one reads up to " +
                                std::to_string(kVersion));
  const Json::Array& listed = header_.at("arrays").as_array("arrays");
  if (listed.size() > kMostArrays) throw std::invalid_argument("arrays has too many entries");
  for (const Json& entry : listed) {
    const Json::Object& member = entry.as_object("an entry of arrays");
    if (member.size() != 1) throw std::invalid_argument("arrays has an entry without one name");
    StateArray array;
    array.name = member[0].first;
    if (array.name.empty() || array.name.size() > 100 ||
        array.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._") != std::string::npos)
      throw std::invalid_argument("arrays has an entry of a strange name");
    const Json::Array& kind = member[0].second.as_array(array.name);
    if (kind.size() != 2) throw std::invalid_argument(array.name + " is not [dtype, shape]");
    array.dtype = kind[0].as_string(array.name);
    if (array.dtype != "<f8" && array.dtype != "<f4")
      throw std::invalid_argument(array.name + " has another dtype than <f8 and <f4");
    for (const Json& length : kind[1].as_array(array.name))
      array.shape.push_back(length.as_integer(array.name, 0, kMostLength));
    if (array.shape.size() > kMostAxes) throw std::invalid_argument(array.name + " has many axes");
    arrays_.push_back(std::move(array));
  }
  const std::uint32_t crc = members_[0].crc;
  members_ = members_of(text_, arrays_);
  members_[0].crc = crc;
}

void StateReader::open(const StateArray& expected) {
  if (left_ > 0) throw std::logic_error("the array before is not read to its end");
  const std::string& name = expected.name;
  if (next_ == arrays_.size() || arrays_[next_].name != name)
    refuse("expected the array '" + name + "'" +
           (next_ < arrays_.size() ? ", found '" + arrays_[next_].name + "'" : ""));
  const StateArray& array = arrays_[next_];
  if (array.shape != expected.shape || array.dtype != expected.dtype)
    refuse("array " + describe(array) + "; its settings make it " + describe(expected));
  ZipMember& member = members_[++next_];
  std::string head = local_header(member), found(head.size(), '\0');
  get(found.data(), found.size());
  for (std::size_t k = 0; k < 4; ++k)
    member.crc |= static_cast<std::uint32_t>(static_cast<unsigned char>(found[kLocalCrc + k]))
                  << (8 * k);
  if (kChecked && found != local_header(member))
    refuse("altered since it was written: the entry of array '" + name + "'");
  crc_ = {};
  expect(member.npy, "the header of array '" + name + "'");
  crc_.add(member.npy.data(), member.npy.size());
  all_.add(member.npy.data(), member.npy.size());
  left_ = array.size();
  if (left_ == 0) close_member();
}

void StateReader::close_member() {
  if (kChecked && crc_.value() != members_[next_].crc)
    refuse("altered since it was written: the checksum of array '" + arrays_[next_ - 1].name +
           "' is wrong");
}

void StateReader::read(double* values, std::size_t count) {
  if (count > left_) throw std::logic_error("the array has fewer numbers");
  const StateArray& array = arrays_[next_ - 1];
  const std::uint64_t first = array.size() - left_;
  std::vector<float> narrow(array.width() == 4 ? std::min(count, kBuffer) : 0);
  for (std::size_t done = 0; done < count;) {
    const std::size_t now = std::min(count - done, kBuffer);
    void* const to = narrow.empty() ? static_cast<void*>(values + done) : narrow.data();
    get(to, now * array.width());
    crc_.add(to, now * array.width());
    all_.add(to, now * array.width());
    if (!narrow.empty()) std::copy_n(narrow.data(), now, values + done);
    const bool may_miss = array.name == "pending";  // an input that waits for its y
    for (std::size_t k = done; k < done + now; ++k)
      if (!std::isfinite(values[k]) && !(may_miss && std::isnan(values[k])))
        refuse("array '" + array.name + "' holds a number that is not finite, at " +
               std::to_string(first + k));
    done += now;
  }
  left_ -= count;
  if (left_ == 0 && count > 0) close_member();
}

void StateReader::finish() {
  if (left_ > 0) throw std::logic_error("the array before is not read to its end");
  if (next_ < arrays_.size()) refuse("unknown array '" + arrays_[next_].name + "'");
  const ZipMember& last = members_.back();
  const std::uint64_t end = last.at + kLocalSize + last.name.size() + last.content;
  expect(tail(members_, end, all_.value()), "the checksum of the whole file is wrong");
}

}  // namespace memoa::detail
