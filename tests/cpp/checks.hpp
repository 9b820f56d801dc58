#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace memoa::tests {

/// What the call threw as `Error`; empty where it threw nothing of that kind.
template <class Error, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

template <class Call>
std::string refusal(const Call& call) {
  return message_of<std::invalid_argument>(call);
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The message of a refusal begins with the name of what is wrong.
inline bool names(const std::string& message, const std::string& name) {
  return message.rfind(name, 0) == 0;
}

inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double gap = std::abs(a[k] - b[k]);
    if (!(gap <= largest)) largest = gap;  // keeps a NaN
  }
  return largest;
}

}  // namespace memoa::tests
