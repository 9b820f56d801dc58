#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <type_traits>
#include <utility>

// What Python objects are made with instead of py::init and of returning a unique_ptr. Each object
// is entered in a table, which asks for memory: where there is none, pybind11 3.1 lets the
// exception run into Python's C code, which ends the process, or frees the object twice.
namespace memoa::python {

namespace py = pybind11;

/// The object becomes that of the Python object whose slot this is, or is gone.
template <class T>
void hold(py::detail::value_and_holder& slot, std::unique_ptr<T> made) {
  slot.value_ptr() = made.get();
  try {
    slot.type->init_instance(slot.inst, &made);
  } catch (...) {
    slot.value_ptr() = nullptr;
    throw;
  }
}

/// A new Python object that owns this one.
template <class T>
py::object to_python(std::unique_ptr<T> made) {
  const auto* info = py::detail::get_type_info(typeid(T), true);
  auto object = py::reinterpret_steal<py::object>(py::detail::make_new_instance(info->type));
  auto slot = reinterpret_cast<py::detail::instance*>(object.ptr())->get_value_and_holder(info);
  hold(slot, std::move(made));
  return object;
}

/// `__init__`, to be defined with `kConstructor`: make(args...) is a T or a unique_ptr of one.
template <class T, class Return, class... Args>
auto constructor_by(Return (*make)(Args...)) {
  return [make](py::detail::value_and_holder& slot, Args... args) {
    if constexpr (std::is_same_v<Return, std::unique_ptr<T>>)
      hold(slot, make(std::forward<Args>(args)...));
    else
      hold(slot, std::make_unique<T>(make(std::forward<Args>(args)...)));
  };
}
template <class T, class Make>
auto constructor(const Make& make) {
  return constructor_by<T>(+make);
}
inline constexpr py::detail::is_new_style_constructor kConstructor;

}  // namespace memoa::python
