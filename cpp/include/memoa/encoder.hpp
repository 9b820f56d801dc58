#pragma once

#include <cstdint>
#include <variant>

#include "memoa/types.hpp"

namespace memoa {

enum class Activation { relu, tanh, cos };

/// z = sqrt(2/p) act(scale V x + v): V entries N(0, 1/dx), v uniform on (-1, 1), for cos on (0, 2
/// pi).
struct RandomFeatures {
  Index n_features = 12;
  Activation activation = Activation::relu;
  double scale = 1.0;
};

/// A leaky tanh reservoir r <- (1-leak) r + leak tanh(W r + V x + v), z = sqrt(2/p) r;
/// W is a random matrix scaled to the spectral radius, V and v as in RandomFeatures.
struct EchoState {
  Index n_features = 12;
  double leak = 0.3;
  double radius = 0.9;
};

/// The caller hands in every agent's features: any black-box model.
struct Precomputed {
  Index n_features = 1;
};

/// z = (1, x) / sqrt(dx + 1): the standardised input itself.
struct Linear {};

using Encoder = std::variant<RandomFeatures, EchoState, Precomputed, Linear>;

/// Throws std::invalid_argument that names the option at fault.
void validate(const Encoder& encoder);
/// Width of the features of inputs of width n_inputs.
Index n_features(const Encoder& encoder, Index n_inputs);

/// Weights of one agent; empty where the encoder has none.
struct EncoderWeights {
  std::vector<double> input;      ///< V, (p, dx)
  std::vector<double> bias;       ///< v, (p,)
  std::vector<double> reservoir;  ///< W, (p, p)
};

/// Drawn from a counter-based generator keyed by (seed, agent): agent 7 has the same weights in a
/// population of 10 or of 10^6.
EncoderWeights draw_weights(const Encoder& encoder, std::uint64_t seed, std::uint64_t agent,
                            Index n_inputs);

/// Running mean and population variance of inputs (Welford), theory section 6, step 1.
class Standardiser {
 public:
  explicit Standardiser(Index n_inputs = 0);
  /// Counts x.
  void count(const double* x);
  /// Standardised by what was counted, clipped at +-4; a coordinate without variance gives 0.
  void apply(const double* x, double* standardised) const;

  double steps = 0.0;
  std::vector<double> mean, squares;  ///< running mean; sum of squared deviations
};

}  // namespace memoa
