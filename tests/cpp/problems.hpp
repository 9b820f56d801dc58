#pragma once

#include <memoa/eigen.hpp>
#include <memoa/memoa.hpp>
#include <random>

/// Random problems, the same on every platform for the same seed.
namespace memoa::problems {

/// Uniform numbers by hand: the standard fixes its engines, not its distributions.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  double uniform(double low = -1.0, double high = 1.0) {
    return low + (high - low) * (static_cast<double>(engine_() >> 11) * 0x1p-53);
  }
  std::vector<double> uniforms(Index n, double low = -1.0, double high = 1.0) {
    std::vector<double> values(static_cast<std::size_t>(n));
    for (double& v : values) v = uniform(low, high);
    return values;
  }
  Eigen::VectorXd vector(Index n) { return matrix(n, 1); }
  RowMatrix matrix(Index rows, Index columns) {
    const std::vector<double> values = uniforms(rows * columns);
    return MatrixMap(values.data(), rows, columns);
  }
  /// Symmetric, with eigenvalues of at least `floor`.
  RowMatrix psd(Index n, double floor = 0.0) {
    const RowMatrix root = matrix(n, n);
    return root * root.transpose() + floor * RowMatrix::Identity(n, n);
  }

 private:
  std::mt19937_64 engine_;
};

inline void append(std::vector<double>& to, const RowMatrix& matrix) {
  to.insert(to.end(), matrix.data(), matrix.data() + matrix.size());
}

/// A game with every field filled and every stage different. Dynamics stay near the identity and
/// the coupling below one, so that its mean-field equilibrium exists and is well conditioned.
inline GameData random_game(std::uint64_t seed, Index horizon, Index n_outputs, Index n_features) {
  const Index T = horizon, d = n_outputs, p = n_features;
  Random random(seed);
  const RowMatrix identity = RowMatrix::Identity(d, d);
  const double near = 0.2 / static_cast<double>(d);
  GameData data;
  data.horizon = T;
  data.n_outputs = d;
  data.n_features = p;
  data.feature_mean = random.uniforms(T * d * p);
  for (Index k = 0; k < T * p; ++k) append(data.feature_cov, 0.1 * random.psd(d));
  data.target = random.uniforms(T * d);
  append(data.tracking, random.psd(d, 0.2));
  append(data.coupling, 0.5 * identity + near * random.matrix(d, d));
  data.effort = random.uniform(0.2, 1.0);
  data.discount = random.uniforms(T, 0.5, 1.0);
  for (Index t = 0; t < T; ++t) {
    append(data.transition, identity + near * random.matrix(d, d));
    append(data.mean_transition, near * random.matrix(d, d));
  }
  data.drift = random.uniforms(T * d, -0.1, 0.1);
  return data;
}

/// Inputs (T, dx) and targets (T, d) of a smooth function of them, with noise.
struct Stream {
  Index n_steps, n_inputs, n_outputs;
  std::vector<double> inputs, targets;
  const double* x(Index t) const { return inputs.data() + t * n_inputs; }
  const double* y(Index t) const { return targets.data() + t * n_outputs; }
};

inline Stream random_stream(std::uint64_t seed, Index n_steps, Index n_inputs, Index n_outputs) {
  Random random(seed);
  Stream stream{n_steps, n_inputs, n_outputs, random.uniforms(n_steps * n_inputs, -2.0, 2.0), {}};
  for (Index t = 0; t < n_steps; ++t)
    for (Index o = 0; o < n_outputs; ++o) {
      const double phase = static_cast<double>(o) + stream.x(t)[o % n_inputs];
      stream.targets.push_back(std::sin(phase) + 0.1 * random.uniform());
    }
  return stream;
}

}  // namespace memoa::problems
