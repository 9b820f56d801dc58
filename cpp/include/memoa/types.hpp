#pragma once

#include <cstddef>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "memoa/export.hpp"
#include "memoa/version.hpp"

namespace memoa {

using Index = std::ptrdiff_t;
using Shape = std::vector<Index>;

/// A view of the numbers of a matrix (row-major) or a vector. It does not own them.
/// Programs that use Eigen can map them with `memoa/eigen.hpp`.
struct MatrixView {
  const double* data;
  Index rows, cols;
  double operator()(Index i, Index j) const { return data[i * cols + j]; }
};
struct VectorView {
  const double* data;
  Index size;
  VectorView(const double* first, Index n) : data(first), size(n) {}
  VectorView(const std::vector<double>& values)
      : VectorView(values.data(), static_cast<Index>(values.size())) {}
  VectorView(const double& number) : VectorView(&number, 1) {}
  double operator[](Index i) const { return data[i]; }
};

/// How an average over agents or clients treats those that are far from the others.
enum class Aggregate { mean, trimmed, clip };

/// A computation cannot continue, because of a singular stage or an overflow.
/// Bad input throws std::invalid_argument instead, before anything is computed.
class MEMOA_API NumericalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Memory that cannot be allocated. The message has the sizes and bytes.
class MEMOA_API MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// Throws std::invalid_argument that names the first entry of `values` that is not finite.
/// `shape` is the row-major shape; the message uses it to give the entry's position.
MEMOA_API void require_finite(const char* name, const double* values, const Shape& shape);
/// The same with a literal shape. It allocates nothing, as a warm step of an engine requires.
MEMOA_API void require_finite(const char* name, const double* values,
                              std::initializer_list<Index> shape);

/// The largest absolute value that an engine learns in `Real`: up to it, sums of squares are
/// finite.
template <class Real>
constexpr double kLargest = std::is_same_v<Real, float> ? 1e15 : 1e150;

/// The same for numbers that must be finite and at most `largest` in absolute value.
MEMOA_API void require_moderate(const char* name, const double* values, const Shape& shape,
                                double largest);
MEMOA_API void require_moderate(const char* name, const double* values,
                                std::initializer_list<Index> shape, double largest);

/// The number of threads that this process may use, from its CPU affinity and OMP_NUM_THREADS.
MEMOA_API int available_threads();

/// The instruction set that the population's kernels use here: "baseline", "x86-64-v3" or
/// "x86-64-v4". It is the best one of this processor, or the one that the environment variable
/// MEMOA_INSTRUCTION_SET names. All give the same bits.
MEMOA_API std::string instruction_set();

/// From now on, every computation of this process uses one thread. In a forked child this happens
/// automatically, because OpenMP's worker threads do not survive a fork.
MEMOA_API void use_one_thread_only();
/// The number of forks between the process that loaded the library and this one.
MEMOA_API unsigned forks();

}  // namespace memoa
