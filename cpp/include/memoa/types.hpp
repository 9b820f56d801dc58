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

/// A look at the numbers of a matrix, row by row, or of a vector, that somebody else owns.
/// A program that computes with Eigen maps them by `memoa/eigen.hpp`.
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

/// How an average over agents or clients guards itself against those far from the others.
enum class Aggregate { mean, trimmed, clip };

/// A computation met a number it cannot go on from (a singular stage, an overflow).
/// Bad input is std::invalid_argument instead, and is found before anything is computed.
class MEMOA_API NumericalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Memory that cannot be had, with sizes and bytes.
class MEMOA_API MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// Throws std::invalid_argument that names the first entry of `values` that is not finite.
/// `shape` is the row-major shape in which the entry's position is told.
MEMOA_API void require_finite(const char* name, const double* values, const Shape& shape);
/// The same for a shape written out, which needs no heap: a warm step of an engine has none.
MEMOA_API void require_finite(const char* name, const double* values,
                              std::initializer_list<Index> shape);

/// The largest size of a number that an engine learns in `Real`: sums of squares stay finite.
template <class Real>
constexpr double kLargest = std::is_same_v<Real, float> ? 1e15 : 1e150;

/// The same for numbers that must be finite and of a size up to `largest`.
MEMOA_API void require_moderate(const char* name, const double* values, const Shape& shape,
                                double largest);
MEMOA_API void require_moderate(const char* name, const double* values,
                                std::initializer_list<Index> shape, double largest);

/// Threads that this process may use: its CPU affinity and OMP_NUM_THREADS decide.
MEMOA_API int available_threads();

/// The instructions that the population's kernels use here: "baseline", "x86-64-v3" or "x86-64-v4",
/// the best of this processor, or what the environment variable MEMOA_INSTRUCTION_SET says. All
/// give the same bits.
MEMOA_API std::string instruction_set();

/// From now on every computation of this process uses one thread. A forked child does so by itself,
/// because OpenMP's workers do not survive a fork.
MEMOA_API void use_one_thread_only();
/// How many forks lie between the process that loaded the library and this one.
MEMOA_API unsigned forks();

}  // namespace memoa
