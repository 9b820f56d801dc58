#pragma once

#include "memoa/types.hpp"

namespace memoa {

/// The data of one linear-quadratic mean-field game, as plain row-major arrays.
///
/// Agent i of N predicts y^i and controls its readout b^i through random features Z^i with mean M
/// and column covariances C[k] (theory (1.1), (1.2); m is the mean field):
///
///     y^i_{t+1} = A_t y^i_t + Abar_t m_t + f_t + Z^i_t b^i_t
///     J^i = E sum_t w_t ( |y^i_{t+1} - G m_{t+1} - e_t|_Q^2 + g |b^i_t|^2 )
///
/// Arrays with a leading horizon T may also be given for one stage, which then repeats.
struct GameData {
  Index horizon = 0;                    ///< T, stages
  Index n_outputs = 0;                  ///< d, dimension of a prediction
  Index n_features = 0;                 ///< p, width of a feature
  std::vector<double> feature_mean;     ///< M, (T, d, p)
  std::vector<double> feature_cov;      ///< C, (T, p, d, d), symmetric >= 0
  std::vector<double> target;           ///< e, (T, d): the target of y_{t+1}
  std::vector<double> tracking;         ///< Q, (d, d), symmetric >= 0; empty: the identity
  std::vector<double> coupling;         ///< G, (d, d); empty: zero
  double effort = 1.0;                  ///< g > 0
  std::vector<double> discount;         ///< w, (T,) > 0; empty: ones. See discount_weights
  std::vector<double> transition;       ///< A, (T, d, d); empty: the identity
  std::vector<double> mean_transition;  ///< Abar, (T, d, d); empty: zero
  std::vector<double> drift;            ///< f, (T, d); empty: zero
};

/// w_t = exp(-rate (T - 1 - t)), theory (1.2). The rate must not be negative.
MEMOA_API std::vector<double> discount_weights(double rate, Index horizon);

/// A validated, immutable game. Throws std::invalid_argument that names the bad field.
class MEMOA_API Game {
 public:
  explicit Game(GameData data);

  Index horizon() const { return data_.horizon; }
  Index n_outputs() const { return data_.n_outputs; }
  Index n_features() const { return data_.n_features; }
  double effort() const { return data_.effort; }
  double discount(Index t) const { return data_.discount[t]; }
  MatrixView tracking() const { return square(data_.tracking, 0); }
  MatrixView coupling() const { return square(data_.coupling, 0); }
  MatrixView transition(Index t) const { return square(data_.transition, t); }
  MatrixView mean_transition(Index t) const { return square(data_.mean_transition, t); }
  VectorView drift(Index t) const { return {data_.drift.data() + t * n_outputs(), n_outputs()}; }
  VectorView target(Index t) const { return {data_.target.data() + t * n_outputs(), n_outputs()}; }
  MatrixView feature_mean(Index t) const {
    return {data_.feature_mean.data() + t * n_outputs() * n_features(), n_outputs(), n_features()};
  }
  /// Covariance of column k of the features at stage t.
  MatrixView feature_cov(Index t, Index k) const {
    return square(data_.feature_cov, t * n_features() + k);
  }
  const GameData& data() const { return data_; }

 private:
  MatrixView square(const std::vector<double>& values, Index which) const {
    return {values.data() + which * n_outputs() * n_outputs(), n_outputs(), n_outputs()};
  }
  GameData data_;
};

}  // namespace memoa
