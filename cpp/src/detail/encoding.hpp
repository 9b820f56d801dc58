#pragma once

#include <cmath>

#include "detail/kernels.hpp"
#include "memoa/encoder.hpp"

// Describes an encoder to the kernels.
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
    case Activation::wave:
      return Features::wave;
    default:
      return Features::relu;
  }
}

/// The weights V and the biases v are multiplied by `factor`, and `shift` is added to v, before
/// they are stored. For relu the factor is the norm of the features, because relu scales with its
/// input. For a wave it makes the phase one in turns, theory (6.11).
struct WeightScale {
  double factor = 1.0, shift = 0.0;
};
inline WeightScale weight_scale(Features features, double norm) {
  if (features == Features::relu) return {norm, 0.0};
  if (features == Features::wave) return {1.0 / (2.0 * 3.14159265358979323846), 0.25};
  return {};
}

/// The factor of the features: sqrt(2 / p), or sqrt(1 / p) for Linear.
inline double feature_norm(const Encoder& encoder, Index p) {
  const double energy = std::holds_alternative<Linear>(encoder) ? 1.0 : 2.0;
  return std::sqrt(energy / static_cast<double>(p));
}

}  // namespace memoa::detail
