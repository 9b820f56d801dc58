#pragma once

#include <algorithm>

#include "detail/validate.hpp"

// What the memories of engines share. The list of a memory's fields is its visit_fields; where an
// engine keeps each of them is its `exchange`, which goes both ways.
namespace memoa::detail {

/// Every array of the memory has the size that this engine needs, and finite numbers.
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

/// From an engine into its memory.
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

/// From a memory back into the engine.
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
