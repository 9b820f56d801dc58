#pragma once

#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "memoa/types.hpp"

namespace memoa {

/// wave: a parabola instead of the cosine, theory (6.11), which needs no library function.
enum class Activation { relu, tanh, cos, wave };

/// Random features z = sqrt(2/p) act(scale V x + v), theory section 6, step 1. The entries of V are
/// N(0, 1/dx). Those of v are uniform on (-1, 1), for cos and wave on (0, 2 pi).
///
/// With `n_raw`, the first features are the constant sqrt(2/p) and `n_raw` of the inputs, chosen at
/// random for each agent. With `n_columns`, each row of V uses only `n_columns` of the inputs,
/// chosen at random for each row, with entries N(0, 1/n_columns).
struct RandomFeatures {
  Index n_features = 12;
  Activation activation = Activation::relu;
  double scale = 1.0;
  Index n_raw = 0;      ///< 0: no constant either; at most the number of inputs is used
  Index n_columns = 0;  ///< 0: all inputs
};

/// A leaky tanh reservoir r <- (1-leak) r + leak tanh(W r + V x + v); the features are
/// z = sqrt(2/p) r. W is a random matrix, scaled to have the given spectral radius. V and v are as
/// in RandomFeatures.
struct EchoState {
  Index n_features = 12;
  double leak = 0.3;
  double radius = 0.9;
};

/// The caller passes every agent's features, from any black-box model.
struct Precomputed {
  Index n_features = 1;
};

/// z = (1, x) / sqrt(dx + 1): the standardised input itself.
struct Linear {};

using Encoder = std::variant<RandomFeatures, EchoState, Precomputed, Linear>;

/// One encoder for all agents, or one per type: with K encoders, agent i has number i mod K.
class Encoders : public std::vector<Encoder> {
 public:
  Encoders(std::initializer_list<Encoder> encoders) : vector(encoders) {}
  explicit Encoders(std::vector<Encoder> encoders) : vector(std::move(encoders)) {}
  template <class One, class = std::enable_if_t<std::is_convertible_v<One, Encoder>>>
  Encoders(One&& encoder) : vector{Encoder(std::forward<One>(encoder))} {}
};

/// Throws std::invalid_argument that names the bad option.
MEMOA_API void validate(const Encoder& encoder);
/// Number of features that the encoder makes from n_inputs inputs.
MEMOA_API Index n_features(const Encoder& encoder, Index n_inputs);

/// Number of features that are not random: the constant and the raw inputs, which come first.
MEMOA_API Index n_plain(const Encoder& encoder, Index n_inputs);
/// Number of entries of a row of V: `n_columns`, or all inputs.
MEMOA_API Index row_size(const Encoder& encoder, Index n_inputs);

/// Weights of one agent; arrays that the encoder does not have are empty. q of its p features are
/// random.
struct EncoderWeights {
  std::vector<double> input;      ///< V, (q, dx), or (q, n_columns)
  std::vector<double> bias;       ///< v, (q,)
  std::vector<double> reservoir;  ///< W, (p, p)
  std::vector<Index> raw;         ///< the inputs that are used as features directly
  std::vector<Index> columns;     ///< (q, n_columns), the inputs that each row of V uses
};

/// Draws the weights of one agent. The counter-based generator is keyed by (seed, agent): agent 7
/// has the same weights in a population of 10 or of 10^6. With `n_columns`, every second row of V
/// uses only the first `n_own` inputs; 0 means all.
MEMOA_API EncoderWeights draw_weights(const Encoder& encoder, std::uint64_t seed,
                                      std::uint64_t agent, Index n_inputs, Index n_own = 0);

/// Running mean and population variance of one quantity (Welford).
struct MEMOA_API Moments {
  double count = 0.0, mean = 0.0, squares = 0.0;  ///< squares: sum of squared deviations

  void add(double x);
  double deviation() const;
};

/// Running moments of one coordinate of the inputs, which survive outliers and jumps of level.
///
/// A value far from those seen before is an outlier: only the first few of a series of them count,
/// and they are cut to a bound. If such values continue, the level has moved, and the moments start
/// again from these values. They also start again if all values stay for long in an interval so
/// narrow that, divided by the old deviation, they would all look the same to the agents.
class MEMOA_API Coordinate {
 public:
  void count(double x);
  /// x standardised by the moments so far, clipped at +-4; 0 if there is no variance.
  double standardised(double x) const;
  const Moments& known() const { return known_; }

  /// The numbers that a memory stores.
  static constexpr Index kNumbers = 11;
  double& number(Index k);
  /// Throws std::invalid_argument if the numbers cannot be counts and sums of squares.
  void validate() const;

 private:
  void restart(const Moments& moments);

  Moments known_, far_, near_;  // far: since an outlier came; near: in the narrow interval
  double excess_ = 0.0;         // number of outliers minus the other values, since then
  double age_ = 0.0;            // all values counted
};

/// Running moments of inputs, theory section 6, step 1.
class MEMOA_API Standardiser {
 public:
  explicit Standardiser(Index n_inputs = 0) : coordinates(static_cast<std::size_t>(n_inputs)) {}
  void count(const double* x);
  void apply(const double* x, double* standardised) const;

  std::vector<Coordinate> coordinates;
};

}  // namespace memoa
