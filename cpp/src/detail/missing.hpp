#pragma once

#include <initializer_list>

#include "memoa/types.hpp"

// A NaN stands for a value that is missing, theory section 10.
namespace memoa::detail {

/// `require_moderate`, but a NaN is taken.
void require_moderate_or_missing(const char* name, const double* values, const Shape& shape,
                                 double largest);
void require_moderate_or_missing(const char* name, const double* values,
                                 std::initializer_list<Index> shape, double largest);

/// Is there no number among these?
inline bool all_missing(const double* values, Index n) {
  for (Index k = 0; k < n; ++k)
    if (values[k] == values[k]) return false;
  return true;
}

}  // namespace memoa::detail
