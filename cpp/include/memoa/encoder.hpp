#pragma once

#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "memoa/types.hpp"

namespace memoa {

/// wave: a parabola in place of the cosine, theory (6.11); no library computes it.
enum class Activation { relu, tanh, cos, wave };

/// z = sqrt(2/p) act(scale V x + v): V entries N(0, 1/dx), v uniform on (-1, 1), for cos and wave
/// on (0, 2 pi). With `n_raw` the first features are a constant, sqrt(2/p), and as many inputs,
/// drawn for each agent. With `n_columns` a row of V sees so many inputs, drawn for each row, with
/// entries N(0, 1/n_columns). Theory section 6, step 1.
struct RandomFeatures {
  Index n_features = 12;
  Activation activation = Activation::relu;
  double scale = 1.0;
  Index n_raw = 0;      ///< 0: no constant either; fewer where there are fewer inputs
  Index n_columns = 0;  ///< 0: all inputs
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

/// One encoder for all agents, or one per type: of K encoders, agent i has number i mod K.
class Encoders : public std::vector<Encoder> {
 public:
  Encoders(std::initializer_list<Encoder> encoders) : vector(encoders) {}
  explicit Encoders(std::vector<Encoder> encoders) : vector(std::move(encoders)) {}
  template <class One, class = std::enable_if_t<std::is_convertible_v<One, Encoder>>>
  Encoders(One&& encoder) : vector{Encoder(std::forward<One>(encoder))} {}
};

/// Throws std::invalid_argument that names the option at fault.
MEMOA_API void validate(const Encoder& encoder);
/// Width of the features of inputs of width n_inputs.
MEMOA_API Index n_features(const Encoder& encoder, Index n_inputs);

/// Features that are no random ones: the constant and raw inputs, which come first.
MEMOA_API Index n_plain(const Encoder& encoder, Index n_inputs);
/// Entries of a row of V: `n_columns`, or all inputs.
MEMOA_API Index row_size(const Encoder& encoder, Index n_inputs);

/// Weights of one agent; empty where the encoder has none. Of its p features q are random.
struct EncoderWeights {
  std::vector<double> input;      ///< V, (q, dx), or (q, n_columns)
  std::vector<double> bias;       ///< v, (q,)
  std::vector<double> reservoir;  ///< W, (p, p)
  std::vector<Index> raw;         ///< inputs that are features themselves
  std::vector<Index> columns;     ///< (q, n_columns), the inputs that a row of V sees
};

/// Drawn from a counter-based generator keyed by (seed, agent): agent 7 has the same weights in a
/// population of 10 or of 10^6. Of rows with `n_columns`, every second sees the first `n_own` of
/// the inputs alone; 0 means all.
MEMOA_API EncoderWeights draw_weights(const Encoder& encoder, std::uint64_t seed,
                                      std::uint64_t agent, Index n_inputs, Index n_own = 0);

/// Running mean and population variance of a number (Welford).
struct MEMOA_API Moments {
  double count = 0.0, mean = 0.0, squares = 0.0;  ///< squares: sum of squared deviations

  void add(double x);
  double deviation() const;
};

/// What is known of one coordinate of the inputs. Of values far from what was seen few are taken
/// in, with a bound; where such values stay, or all values keep to a stretch so narrow that what
/// was seen blinds the agents to them, the coordinate is learnt anew from those values.
class MEMOA_API Coordinate {
 public:
  void count(double x);
  /// Standardised by what was counted, clipped at +-4; 0 where there is no variance.
  double standardised(double x) const;
  const Moments& known() const { return known_; }

  /// The numbers kept, for a memory.
  static constexpr Index kNumbers = 11;
  double& number(Index k);
  /// Throws std::invalid_argument where the numbers are no counts and sums of squares.
  void validate() const;

 private:
  void restart(const Moments& moments);

  Moments known_, far_, near_;  // far: since such a value came; near: in a stretch so narrow
  double excess_ = 0.0;         // of far values over near ones, since then
  double age_ = 0.0;            // values counted in all
};

/// Running moments of inputs, theory section 6, step 1.
class MEMOA_API Standardiser {
 public:
  explicit Standardiser(Index n_inputs = 0) : coordinates(static_cast<std::size_t>(n_inputs)) {}
  /// Counts x.
  void count(const double* x);
  void apply(const double* x, double* standardised) const;

  std::vector<Coordinate> coordinates;
};

}  // namespace memoa
