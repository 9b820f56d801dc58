#pragma once

#include <cmath>

#include "detail/kernels.hpp"
#include "memoa/encoder.hpp"

// How the kernels are told of an encoder.
namespace memoa::detail {

inline Features features_of(const Encoder& encoder) {
  if (std::holds_alternative<Linear>(encoder)) return Features::linear;
  if (std::holds_alternative<EchoState>(encoder)) return Features::echo;
  const auto* random = std::get_if<RandomFeatures>(&encoder);
  if (random == nullptr) return Features::given;
  switch (random->activation) {
    case Activation::tanh:
      return Features::tanh;
    case Activation::cos:
      return Features::cos;
    default:
      return Features::relu;
  }
}

/// What features of width p are multiplied by.
inline double feature_norm(const Encoder& encoder, Index p) {
  const double energy = std::holds_alternative<Linear>(encoder) ? 1.0 : 2.0;
  return std::sqrt(energy / static_cast<double>(p));
}

}  // namespace memoa::detail
