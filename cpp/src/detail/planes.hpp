#pragma once

#include "memoa/types.hpp"

// Kernels on a chunk of agents: every output is a plane, an array over the chunk's agents that
// stays in the first-level cache. Planes of one array are kPlane apart.
namespace memoa::detail {

constexpr Index kPlane = 256;  // agents of a chunk, whatever the threads

/// Plane of entry (row, column <= row) of a lower triangle, and how many planes it has.
inline Index plane_of(Index row, Index column) { return row * (row + 1) / 2 + column; }
inline Index n_entries(Index d) { return d * (d + 1) / 2; }

/// Monomials of x up to degree two but for the constant: x_j, then x_j x_k packed.
inline Index monomials(Index d) { return d + n_entries(d); }

/// Writes the monomials of x = y - centre; the planes of y are `stride` apart.
void expand(const double* y, Index stride, const double* centre, Index d, Index n, double* out);

/// out += coefficients[0] + sum_k coefficients[k + 1] planes[k] over `count` planes.
void add_combination(const double* coefficients, const double* planes, Index count, Index n,
                     double* out);

/// Cholesky factors of the agents' d x d covariances in place; `lower` holds packed planes. A
/// direction without variance, up to rounding, moves no other output.
void factorise_planes(double* lower, Index d, Index n);

/// out += a b, agent by agent.
void add_product(const double* a, const double* b, Index n, double* out);

/// A sum whose order depends on n alone: eight running sums that vector units add side by side.
double ordered_sum(const double* values, Index n);

}  // namespace memoa::detail
