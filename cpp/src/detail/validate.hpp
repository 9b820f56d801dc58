#pragma once

#include <string_view>

#include "memoa/equilibrium.hpp"

// Common checks of arguments; if one fails, it throws std::invalid_argument.
namespace memoa::detail {

/// A number for messages: a short text that reads back as the same number.
std::string to_text(double value);
std::string to_text(Index value);
/// The same, rounded.
std::string to_text(double value, int digits);

/// Throws "NAME is VALUE; expected EXPECTED" unless `holds`. No heap where it holds.
void require(bool holds, std::string_view name, double value, std::string_view expected);
void require(bool holds, std::string_view name, Index value, std::string_view expected);

/// Throws "NAME has SIZE numbers; expected EXPECTED" unless the two are equal.
void require_size(std::string_view name, std::size_t size, Index expected);

/// Throws MemoryError "WHAT needs ... bytes" if this process can never have so many: before any
/// work, and before a system that overcommits memory ends the process.
void require_memory(const std::string& what, double bytes);

/// Symmetric and without a negative eigenvalue, to a relative 1e-10.
void require_psd(std::string_view name, const MatrixView& matrix);

/// Types of agents: games of one horizon and n_outputs, with positive shares that sum to one.
void require_types(const std::vector<Game>& games, const std::vector<double>& shares);

void require_agents(Index n_agents, Index least);

/// The policy is one of this game, and its mean field has `mean_size` numbers.
void require_policy(const std::string& name, const Policy& policy, const Game& game,
                    Index mean_size);

/// A mean (d) and a covariance (d, d).
void require_moments(const std::string& mean_name, const std::vector<double>& mean,
                     const std::string& cov_name, const std::vector<double>& cov, Index d);

}  // namespace memoa::detail
