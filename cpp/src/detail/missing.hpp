#pragma once

#include <initializer_list>

#include "memoa/types.hpp"

// NaN means a missing value, theory section 10.
namespace memoa::detail {

/// `require_moderate`, but NaN is accepted.
void require_moderate_or_missing(const char* name, const double* values, const Shape& shape,
                                 double largest);
void require_moderate_or_missing(const char* name, const double* values,
                                 std::initializer_list<Index> shape, double largest);

/// Whether all of these are NaN.
inline bool all_missing(const double* values, Index n) {
  for (Index k = 0; k < n; ++k)
    if (values[k] == values[k]) return false;
  return true;
}

/// Whether none is.
inline bool is_complete(const double* values, Index n) {
  for (Index k = 0; k < n; ++k)
    if (values[k] != values[k]) return false;
  return true;
}

}  // namespace memoa::detail
