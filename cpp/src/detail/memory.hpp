#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "detail/crc.hpp"
#include "detail/validate.hpp"
#include "memoa/mixture.hpp"
#include "memoa/panel.hpp"
#include "memoa/population.hpp"

// Code that the memories of all engines share. `visit_fields` lists the fields of a memory. An
// engine's `exchange` connects each field with the place where the engine stores it; it serves to
// read and to write.
namespace memoa::detail {

/// Requires that every array has the size that this engine needs, and only finite numbers.
template <class Memory, class Engine>
void check_fields(const Memory& memory, const Engine& engine) {
  visit_fields(memory, engine, [](const char* name, const auto& field, const Shape& shape) {
    if constexpr (std::is_same_v<decltype(field), const std::vector<double>&>) {
      Index size = 1;
      for (const Index n : shape) size *= n;
      const std::string full = std::string("memory.") + name;
      require_size(full, field.size(), size);
      require_finite(full.c_str(), field.data(), shape);
    }
  });
}

/// CRC-32 of every field of a memory.
template <class Memory, class Engine>
std::uint32_t checksum_of(const Memory& memory, const Engine& engine) {
  Crc32 crc;
  visit_fields(memory, engine, [&crc](const char*, const auto& field, const Shape&) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(field)>>)
      crc.add(&field, sizeof field);
    else
      crc.add(field.data(), field.size() * sizeof field[0]);
  });
  return crc.value();
}

/// Requires that no field was changed since the engine created the memory.
template <class Memory, class Engine>
void require_untorn(const Memory& memory, const Engine& engine) {
  if (memory.checksum && *memory.checksum != checksum_of(memory, engine))
    throw std::invalid_argument(
        "memory.checksum is not that of the fields; expected a memory of one moment");
}
inline void require_seed(const std::optional<std::uint64_t>& seed, std::uint64_t expected) {
  if (seed && *seed != expected)
    throw std::invalid_argument("memory.seed is " + std::to_string(*seed) + "; expected " +
                                std::to_string(expected) + ", that of the engine's encoders");
}

/// The largest number of steps in a memory: up to it, doubles count without rounding.
constexpr Index kMostSteps = Index{1} << 53;

inline void require_steps(const char* name, Index steps) {
  require(steps >= 0 && steps <= kMostSteps, name, steps, "a number of steps from 0 to 2^53");
}

/// A number of the field `sleep`: how many values of y an agent missed, or whether it is away.
inline void require_sleep(double value, bool is_flag) {
  require(is_flag ? value == 0.0 || value == 1.0 : value >= 0.0 && std::isfinite(value),
          "memory.sleep", value, is_flag ? "0 or 1" : "a number of values >= 0");
}

/// Requires numbers that an engine can have counted.
inline void check_numbers(const PopulationMemory& m) {
  require_steps("memory.steps", m.steps);
  require(m.has_seen == 1 || (m.has_seen == 0 && m.steps == 0), "memory.has_seen", m.has_seen,
          "1, or 0 where nothing was learnt");
  for (std::size_t first = 0; first < m.standardiser.size(); first += Coordinate::kNumbers) {
    Coordinate coordinate;
    for (Index k = 0; k < Coordinate::kNumbers; ++k)
      coordinate.number(k) = m.standardiser[first + static_cast<std::size_t>(k)];
    coordinate.validate();
  }
  for (std::size_t k = 0; k < m.sleep.size(); ++k) require_sleep(m.sleep[k], k % 2 == 1);
}
inline void check_numbers(const MixtureMemory& m, Index window) {
  require_steps("memory.steps", m.steps);
  const Index newest = m.steps == 0 || window == 0 ? -1 : (m.steps - 1) % window;
  require(m.newest == newest, "memory.newest", m.newest, to_text(newest));
}

inline void check_numbers(const PanelMemory& m) {
  require_steps("memory.steps", m.steps);
  require(m.due == 0 || m.due == 1, "memory.due", m.due, "0 or 1");
  const auto all = [](const char* name, const std::vector<double>& field, const char* expected,
                      const auto& holds) {
    for (const double value : field) require(holds(value), name, value, expected);
  };
  const auto flags = [&](const char* name, const std::vector<double>& field) {
    all(name, field, "0 or 1", [](double value) { return value == 0.0 || value == 1.0; });
  };
  flags("memory.seen", m.seen), flags("memory.asleep", m.asleep);
  flags("memory.moved", m.moved), flags("memory.present", m.present);
  all("memory.mark", m.mark, "what a step leaves to be learnt",
      [](double value) { return value >= 0.0 && value <= 7.0 && value == std::floor(value); });
  all("memory.base", m.base, "at most 1e150 in size",
      [](double value) { return std::abs(value) <= kLargest<double>; });
  const auto positive = [&](const char* name, const std::vector<double>& field) {
    all(name, field, "at least 0", [](double value) { return value >= 0.0; });
  };
  positive("memory.counted", m.counted), positive("memory.learnt", m.learnt);
  positive("memory.squares", m.squares), positive("memory.deviations", m.deviations);
  positive("memory.cost", m.cost), positive("memory.scored", m.scored);
  require(m.told >= 0 && m.told <= m.waiting, "memory.told", m.told,
          "a number of the steps that wait");
  constexpr double kMissing = std::numeric_limits<double>::max();
  all("memory.waiting_told", m.waiting_told, "at most 1e150 in size, or missing",
      [](double value) { return std::abs(value) <= kLargest<double> || value == kMissing; });
}

/// Requires that every number fits into the type in which the engine stores it.
struct Fits {
  template <class Number>
  static void check(const std::vector<double>& field) {
    const double largest = static_cast<double>(std::numeric_limits<Number>::max());
    for (const double value : field)
      require(std::abs(value) <= largest, "memory", value, "numbers of the engine's precision");
  }
  template <class Field, class Place>
  void operator()(const Field&, const Place&) const {}
  template <class Number>
  void operator()(const std::vector<double>& field, const Number*, Index) const {
    check<Number>(field);
  }
  template <class View, class = decltype(&View::gather)>
  void operator()(const std::vector<double>& field, const View& view) const {
    check<std::decay_t<decltype(view.at(0, 0))>>(field);
  }
};

/// A view of numbers of all agents with the layout of a memory, (N, size). Number k of an agent is
/// at(k, agent), wherever the engine stores it.
template <class At>
struct AgentView {
  Index N, size;
  At at;

  void gather(std::vector<double>& values) const {
    values.resize(static_cast<std::size_t>(N * size));
    for (Index agent = 0; agent < N; ++agent)
      for (Index k = 0; k < size; ++k) values[agent * size + k] = at(k, agent);
  }
  void spread(const std::vector<double>& values) const {
    for (Index agent = 0; agent < N; ++agent)
      for (Index k = 0; k < size; ++k) {
        auto& place = at(k, agent);
        place = static_cast<std::decay_t<decltype(place)>>(values[agent * size + k]);
      }
  }
};
template <class At>
AgentView<At> agent_view(Index n_agents, Index size, const At& at) {
  return {n_agents, size, at};
}

/// Copies from an engine to a memory.
struct Save {
  template <class Number>
  void operator()(Number& field, const Number& place) const {
    field = place;
  }
  template <class Number>
  void operator()(std::vector<double>& field, const Number* place, Index size) const {
    field.assign(place, place + size);
  }
  template <class View>
  void operator()(std::vector<double>& field, const View& view) const {
    view.gather(field);
  }
};

/// Copies from a memory to an engine.
struct Load {
  template <class Number>
  void operator()(const Number& field, Number& place) const {
    place = field;
  }
  template <class Number>
  void operator()(const std::vector<double>& field, Number* place, Index size) const {
    std::transform(field.begin(), field.begin() + size, place,
                   [](double value) { return static_cast<Number>(value); });
  }
  template <class View>
  void operator()(const std::vector<double>& field, const View& view) const {
    view.spread(field);
  }
};

}  // namespace memoa::detail
