#pragma once

#include <Eigen/Core>

#include "memoa/types.hpp"

// For programs that use Eigen, in any version: the numbers of games and policies as Eigen's
// matrices, without a copy. No other header of memoa includes or needs this one.
namespace memoa {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<const RowMatrix>;
using VectorMap = Eigen::Map<const Eigen::VectorXd>;

inline MatrixMap map(const MatrixView& view) { return {view.data, view.rows, view.cols}; }
inline VectorMap map(const VectorView& view) { return {view.data, view.size}; }

}  // namespace memoa
