#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace memoa::detail {

/// A cyclic redundancy check, bits reflected, all ones at the start and inverted at the end, eight
/// bytes at a time by tables.
template <class Word, Word polynomial>
class Crc {
 public:
  void add(const void* data, std::size_t size) {
    static const Tables tables = make_tables();
    const auto* byte = static_cast<const unsigned char*>(data);
    for (; size >= 8; byte += 8, size -= 8) {
      std::uint64_t word;
      std::memcpy(&word, byte, 8);
      word ^= state_;
      state_ = 0;
      for (std::size_t k = 0; k < 8; ++k) state_ ^= tables[7 - k][(word >> (8 * k)) & 0xff];
    }
    for (; size > 0; ++byte, --size)
      state_ = tables[0][(state_ ^ *byte) & 0xff] ^ static_cast<Word>(state_ >> 8);
  }
  Word value() const { return static_cast<Word>(~state_); }

 private:
  using Tables = std::array<std::array<Word, 256>, 8>;  // [k]: a byte followed by k zero bytes

  static Tables make_tables() {
    Tables tables{};
    for (Word byte = 0; byte < 256; ++byte) {
      Word rest = byte;
      for (int bit = 0; bit < 8; ++bit) rest = (rest & 1 ? polynomial : 0) ^ (rest >> 1);
      tables[0][byte] = rest;
    }
    for (std::size_t k = 1; k < 8; ++k)
      for (std::size_t byte = 0; byte < 256; ++byte) {
        const Word before = tables[k - 1][byte];
        tables[k][byte] = tables[0][before & 0xff] ^ static_cast<Word>(before >> 8);
      }
    return tables;
  }

  Word state_ = static_cast<Word>(~Word{0});
};

using Crc32 = Crc<std::uint32_t, 0xEDB88320u>;            // of zip
using Crc64 = Crc<std::uint64_t, 0xC96C5795D7870F42ull>;  // of xz

}  // namespace memoa::detail
