#include "detail/validate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif
#include <cstdlib>

namespace memoa::detail {
namespace {

/// Bytes that this process could have if it were alone: the least of the machine's memory, the
/// process's limit and that of its container.
double memory_limit() {
  double most = 4.6e18;
#ifdef __linux__
  most = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    most = std::min(most, static_cast<double>(limit.rlim_cur));
  double of_container = 0.0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> of_container && of_container > 0.0)
    most = std::min(most, of_container);
#endif
  return most;
}

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

[[noreturn]] void refuse(std::string_view name, const std::string& value,
                         std::string_view expected) {
  refuse(std::string(name) + " is " + value + "; expected " + std::string(expected));
}

/// Of the matrix with `shift` added to its diagonal.
bool has_cholesky_factor(const MatrixView& matrix, double shift) {
  const Index d = matrix.rows;
  std::vector<double> lower(matrix.data, matrix.data + d * d);
  for (Index i = 0; i < d; ++i) {
    double* row = lower.data() + i * d;
    for (Index j = 0; j < i; ++j) {
      const double* above = lower.data() + j * d;
      for (Index k = 0; k < j; ++k) row[j] -= row[k] * above[k];
      row[j] /= above[j];
    }
    double pivot = row[i] + shift;
    for (Index k = 0; k < i; ++k) pivot -= row[k] * row[k];
    if (!(pivot > 0.0)) return false;
    row[i] = std::sqrt(pivot);
  }
  return true;
}

std::string triple(Index a, Index b, Index c) {
  return "(" + to_text(a) + ", " + to_text(b) + ", " + to_text(c) + ")";
}

}  // namespace

std::string to_text(double value, int digits) {
  if (std::isnan(value)) return "nan";  // printf may give it a sign
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

std::string to_text(double value) {
  constexpr int kEnough = 17;  // digits that distinguish all doubles
  for (int digits = 15; digits < kEnough; ++digits) {
    std::string text = to_text(value, digits);
    if (std::strtod(text.c_str(), nullptr) == value) return text;
  }
  return to_text(value, kEnough);
}

std::string to_text(Index value) { return std::to_string(value); }

void require(bool holds, std::string_view name, double value, std::string_view expected) {
  if (!holds) refuse(name, to_text(value), expected);
}

void require(bool holds, std::string_view name, Index value, std::string_view expected) {
  if (!holds) refuse(name, to_text(value), expected);
}

void require_size(std::string_view name, std::size_t size, Index expected) {
  if (static_cast<Index>(size) != expected)
    refuse(std::string(name) + " has " + std::to_string(size) + " numbers; expected " +
           to_text(expected));
}

void require_memory(const std::string& what, double bytes) {
  constexpr double kLittle = 1e7;  // not worth reading the limits; allocating it may fail still
  if (bytes <= kLittle) return;
  const double most = memory_limit();
  if (bytes <= most) return;
  throw MemoryError(what + " needs " + to_text(bytes, 3) +
                    " bytes of memory; this process can have " + to_text(most, 3));
}

void require_psd(std::string_view name, const MatrixView& matrix) {
  const Index d = matrix.rows;
  double scale = 0.0, skew = 0.0;
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) {
      scale = std::max(scale, std::abs(matrix(i, j)));
      skew = std::max(skew, std::abs(matrix(i, j) - matrix(j, i)));
    }
  if (scale == 0.0) return;
  const double tolerance = 1e-10 * scale;
  if (skew > tolerance)
    refuse(std::string(name) +
           " is not symmetric; expected a symmetric positive semi-definite matrix");
  if (!has_cholesky_factor(matrix, tolerance * static_cast<double>(d)))
    refuse(std::string(name) +
           " has a negative eigenvalue; expected a positive semi-definite matrix");
}

void require_types(const std::vector<Game>& games, const std::vector<double>& shares) {
  if (games.empty()) refuse("games is empty; expected at least one Game");
  if (shares.size() != games.size())
    refuse("shares has " + std::to_string(shares.size()) +
           " numbers; expected one for each of the " + std::to_string(games.size()) + " games");
  double total = 0.0;
  for (const double share : shares) {
    if (!(share > 0.0)) refuse("shares holds " + to_text(share) + "; expected positive numbers");
    total += share;
  }
  if (!(std::abs(total - 1.0) <= 1e-9))
    refuse("shares sum to " + to_text(total, 12) + "; expected 1");
  const auto sizes = [](const Game& game) {
    return "(" + to_text(game.horizon()) + ", " + to_text(game.n_outputs()) + ")";
  };
  for (std::size_t k = 1; k < games.size(); ++k)
    if (games[k].horizon() != games[0].horizon() || games[k].n_outputs() != games[0].n_outputs())
      refuse("games[" + std::to_string(k) + "] has (horizon, n_outputs) = " + sizes(games[k]) +
             "; expected those of games[0], " + sizes(games[0]));
}

void require_agents(Index n_agents, Index least) {
  require(n_agents >= least, "n_agents", n_agents, "at least " + to_text(least));
}

void require_policy(const std::string& name, const Policy& policy, const Game& game,
                    Index mean_size) {
  if (policy.horizon != game.horizon() || policy.n_outputs != game.n_outputs() ||
      policy.n_features != game.n_features())
    refuse(name + " has (horizon, n_outputs, n_features) = " +
           triple(policy.horizon, policy.n_outputs, policy.n_features) +
           "; expected those of its game, " +
           triple(game.horizon(), game.n_outputs(), game.n_features()));
  if (policy.mean_size != mean_size)
    refuse(name + " acts on a mean field of " + to_text(policy.mean_size) + " numbers; expected " +
           to_text(mean_size));
}

void require_moments(const std::string& mean_name, const std::vector<double>& mean,
                     const std::string& cov_name, const std::vector<double>& cov, Index d) {
  require_size(mean_name, mean.size(), d);
  require_size(cov_name, cov.size(), d * d);
  require_finite(mean_name.c_str(), mean.data(), {d});
  require_finite(cov_name.c_str(), cov.data(), {d, d});
  require_psd(cov_name, {cov.data(), d, d});
}

}  // namespace memoa::detail
