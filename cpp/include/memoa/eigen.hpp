#pragma once

#include <Eigen/Core>

#include "memoa/types.hpp"

// For programs that compute with Eigen, whichever version: the numbers of games and policies as its
// matrices, without a copy. Nothing else of memoa includes or needs this header.
namespace memoa {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<const RowMatrix>;
using VectorMap = Eigen::Map<const Eigen::VectorXd>;

inline MatrixMap map(const MatrixView& view) { return {view.data, view.rows, view.cols}; }
inline VectorMap map(const VectorView& view) { return {view.data, view.size}; }

}  // namespace memoa
