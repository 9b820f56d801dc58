#pragma once

#include "arrays.hpp"

// The memory of an engine as a dict of numbers and arrays, field by field of its visit_fields.
namespace memoa::python {

template <class Engine>
py::dict memory_to_dict(Engine& locked) {
  const auto memory = locked.compute([](auto& engine) { return engine.memory(); });
  py::dict d;
  locked.look([&](const auto& engine) {
    visit_fields(memory, engine, [&](const char* name, const auto& field, const Shape& shape) {
      if constexpr (std::is_arithmetic_v<std::decay_t<decltype(field)>>)
        d[name] = field;
      else
        d[name] = copy(field.data(), shape);
    });
  });
  return d;
}

/// `memory` has numbers where the dict has a field that not all have.
template <class Memory, class Engine>
void memory_from_dict(Engine& locked, const py::dict& d, Memory memory = {}) {
  locked.look([&](const auto& engine) {
    visit_fields(memory, engine, [&](const char* name, auto& field, const Shape&) {
      if (!d.contains(name)) throw std::invalid_argument("memory has no " + std::string(name));
      using Field = std::decay_t<decltype(field)>;
      if constexpr (std::is_arithmetic_v<Field>)
        field = d[name].cast<Field>();
      else
        field = to_vector(d[name].template cast<Array>());
    });
  });
  locked.compute([&](auto& engine) { engine.restore(memory); });
}

}  // namespace memoa::python
