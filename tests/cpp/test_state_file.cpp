#include "detail/state_file.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "checks.hpp"

using namespace memoa;
using detail::Json;
using detail::StateArray;
using detail::StateReader;
using detail::StateWriter;
using tests::contains;
using tests::refusal;
namespace fs = std::filesystem;

namespace {

/// A folder of its own, gone at the end.
struct Folder {
  fs::path path;
  Folder() {
    static int count = 0;
    path = fs::temp_directory_path() /
           ("memoa-state-" + std::to_string(std::random_device{}()) + std::to_string(count++));
    fs::create_directory(path);
  }
  ~Folder() { fs::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

const std::vector<double> kFirst = {1.5, -2.25, 0.0, 1e300, 5e-324, -0.0};
const std::vector<double> kSecond = {0.5, 1.0 / 3.0};
const char* const kText = "\"kind\": \"test\", \"steps\": 7";

void save(const std::string& path) {
  StateWriter writer(path, kText,
                     {{"first", "<f8", {2, 3}}, {"none", "<f8", {0, 3}}, {"second", "<f4", {2}}});
  writer.write(kFirst.data(), 4);
  writer.write(kFirst.data() + 4, 2);
  writer.write(kSecond.data(), 2);
  writer.commit();
}

/// All numbers of such a file.
std::vector<double> load(const std::string& path) {
  StateReader reader(path);
  std::vector<double> values(8);
  reader.open({"first", "<f8", {2, 3}});
  reader.read(values.data(), 5);
  reader.read(values.data() + 5, 1);
  reader.open({"none", "<f8", {0, 3}});
  reader.open({"second", "<f4", {2}});
  reader.read(values.data() + 6, 2);
  reader.finish();
  return values;
}

}  // namespace

TEST_CASE("the checksums are those of zip and xz") {
  const std::string text = "123456789";  // their published check values
  detail::Crc32 crc32;
  detail::Crc64 crc64;
  for (const std::size_t split : {std::size_t{0}, std::size_t{1}, std::size_t{8}}) {
    crc32 = {}, crc64 = {};
    crc32.add(text.data(), split), crc64.add(text.data(), split);
    crc32.add(text.data() + split, 9 - split), crc64.add(text.data() + split, 9 - split);
    CHECK(crc32.value() == 0xCBF43926u);
    CHECK(crc64.value() == 0x995DC9BBDF1939FAull);
  }
}

TEST_CASE("what was written is read back to the bit") {
  const Folder folder;
  const std::string path = folder.file("a.npz");
  save(path);
  std::vector<double> expected = kFirst;
  for (const double value : kSecond) expected.push_back(static_cast<float>(value));
  const std::vector<double> found = load(path);
  CHECK(std::memcmp(found.data(), expected.data(), sizeof(double) * 8) == 0);
  const StateReader reader(path);
  CHECK(reader.header().at("steps").as_integer("steps", 0, 10) == 7);
  CHECK(reader.header().at("kind").as_string("kind") == "test");
  CHECK(folder.entries() == 1);
}

TEST_CASE("every changed byte and every other length is refused") {
  const Folder folder;
  const std::string path = folder.file("a.npz"), other = folder.file("b.npz");
  save(path);
  const std::string good = contents(path);
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const int flip : {1, 128, 255}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      put(other, bad);
      const std::string message = refusal([&] { load(other); });
      CAPTURE(at);
      CHECK(tests::names(message, other + ": "));
    }
  for (std::size_t size = 0; size < good.size(); ++size) {
    put(other, good.substr(0, size));
    CHECK(tests::names(refusal([&] { load(other); }), other + ": "));
  }
  put(other, good + '\0');
  CHECK(contains(refusal([&] { load(other); }), "cut short or altered"));
}

TEST_CASE("numbers that are not finite are refused") {
  const Folder folder;
  const std::string path = folder.file("a.npz");
  for (const char* dtype : {"<f8", "<f4"})
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      StateWriter writer(path, kText, {{"x", dtype, {3}}});
      const double values[] = {1.0, bad, 2.0};
      writer.write(values, 3);
      writer.commit();
      StateReader reader(path);
      reader.open({"x", dtype, {3}});
      double found[3];
      CHECK(contains(refusal([&] { reader.read(found, 3); }),
                     "array 'x' holds a number that is not finite, at 1"));
    }
}

TEST_CASE("arrays of another name, size or number are refused") {
  const Folder folder;
  const std::string path = folder.file("a.npz");
  save(path);
  StateReader reader(path);
  CHECK(contains(refusal([&] {
                   reader.open({"second", "<f4", {2}});
                 }),
                 "expected the array 'second'"));
  CHECK(contains(refusal([&] {
                   reader.open({"first", "<f8", {3, 2}});
                 }),
                 "[2, 3]]; its settings make it"));
  CHECK(contains(refusal([&] { reader.open({"first", "<f4", {2, 3}}); }), "its settings make it"));
  CHECK(contains(refusal([&] { reader.finish(); }), "unknown array 'first'"));
}

TEST_CASE("a writer that does not commit leaves the old file, and nothing else") {
  const Folder folder;
  const std::string path = folder.file("a.npz");
  save(path);
  const std::string before = contents(path);
  {
    StateWriter writer(path, kText, {{"first", "<f8", {1000000}}});
    const std::vector<double> values(500000, 1.0);
    writer.write(values.data(), values.size());
    CHECK(folder.entries() == 2);
  }
  CHECK(folder.entries() == 1);
  CHECK(contents(path) == before);
}

TEST_CASE("where nothing can be written is said at once, with the name") {
  const Folder folder;
  const auto failure = [&](const std::string& path) {
    return tests::message_of<fs::filesystem_error>([&] { save(path); });
  };
  CHECK(contains(failure(folder.file("missing/a.npz")), "missing/a.npz"));
  CHECK(contains(refusal([&] { save(folder.path.string()); }), "is not a regular file"));
  CHECK(contains(refusal([&] { load(folder.path.string()); }), "is not a regular file"));
  CHECK(contains(tests::message_of<fs::filesystem_error>([&] { load(folder.file("none")); }),
                 "none"));
}

TEST_CASE("a symbolic link stays one, and permissions stay") {
  const Folder folder;
  const std::string path = folder.file("a.npz"), link = folder.file("link.npz");
  save(path);
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path, link);
  const auto before = fs::last_write_time(path);
  save(link);
  CHECK(fs::is_symlink(link));
  CHECK(fs::last_write_time(path) >= before);
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("sizes that overflow are refused, not allocated") {
  const std::int64_t huge = std::int64_t{1} << 40;
  CHECK(contains(refusal([&] { StateArray{"x", "<f8", {huge, huge}}.size(); }), "too large"));
  CHECK(contains(refusal([&] { StateArray{"x", "<f8", {huge, -1}}.size(); }), "too large"));
  CHECK(StateArray{"x", "<f8", {huge, 0, huge}}.size() == 0);
}
