#pragma once

#include <cstddef>
#include <new>
#include <utility>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace memoa::detail {

/// Memory for numbers that many threads stream: aligned to cache lines, in huge pages if large.
/// It is not cleared: the thread that will use a part of it should be the first to write to it.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::ptrdiff_t size) : size_(size) {
    const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
    alignment_ = bytes >= 2 * kHugePage ? kHugePage : 64;
    const std::size_t whole = (bytes + alignment_ - 1) / alignment_ * alignment_;
    data_ = static_cast<T*>(::operator new(whole, std::align_val_t(alignment_)));
#ifdef __linux__
    if (alignment_ == kHugePage) madvise(data_, whole, MADV_HUGEPAGE);
#endif
  }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(alignment_, other.alignment_);
    return *this;
  }
  ~Buffer() {
    if (data_) ::operator delete(data_, std::align_val_t(alignment_));
  }

  T* data() const { return data_; }
  std::ptrdiff_t size() const { return size_; }

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21;
  T* data_ = nullptr;
  std::ptrdiff_t size_ = 0;
  std::size_t alignment_ = 64;
};

}  // namespace memoa::detail
