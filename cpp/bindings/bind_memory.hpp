#pragma once

#include "arrays.hpp"

// The memory of an engine as a dict of numbers and arrays, field by field of its visit_fields.
namespace memoa::python {

template <class Memory, class Engine>
py::dict to_dict(const Memory& memory, const Engine& engine) {
  py::dict d;
  visit_fields(memory, engine, [&](const char* name, const auto& field, const Shape& shape) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(field)>>)
      d[name] = field;
    else
      d[name] = copy(field.data(), shape);
  });
  return d;
}

/// `memory` has numbers where the dict has a field that not all have.
template <class Memory, class Engine>
Memory from_dict(const py::dict& d, const Engine& engine, Memory memory = {}) {
  visit_fields(memory, engine, [&](const char* name, auto& field, const Shape&) {
    if (!d.contains(name)) throw std::invalid_argument("memory has no " + std::string(name));
    using Field = std::decay_t<decltype(field)>;
    if constexpr (std::is_arithmetic_v<Field>)
      field = d[name].cast<Field>();
    else
      field = to_vector(d[name].template cast<Array>());
  });
  return memory;
}

template <class Locked>
py::dict memory_to_dict(Locked& locked) {
  const auto memory = locked.compute([](auto& engine) { return engine.memory(); });
  return locked.look([&](const auto& engine) { return to_dict(memory, engine); });
}

template <class Memory, class Locked>
void memory_from_dict(Locked& locked, const py::dict& d) {
  const Memory memory =
      locked.look([&](const auto& engine) { return from_dict<Memory>(d, engine); });
  locked.compute([&](auto& engine) { engine.restore(memory); });
}

}  // namespace memoa::python
