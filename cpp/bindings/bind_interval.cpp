#include <pybind11/stl.h>

#include "arrays.hpp"
#include "constructor.hpp"
#include "detail/late_intervals.hpp"
#include "memoa/interval.hpp"

namespace memoa::python {
namespace {

Index n_levels(const Intervals& self) { return static_cast<Index>(self.levels().size()); }

/// Bounds (T, levels, 2, d) of forecasts (T, d), each made before its outcome is learnt, `delay`
/// forecasts later.
Array run(Intervals& self, const Array& forecasts, const Array& targets, Index delay) {
  const Index d = self.n_outputs(), n = forecasts.ndim() == 2 ? forecasts.shape(0) : 0;
  require_shape("forecasts", forecasts, {n, d});
  require_shape("targets", targets, {n, d});
  Array bounds({n, n_levels(self), Index(2), d});
  detail::LateIntervals late(self, std::min(delay, n));
  // With the GIL: a step is some nanoseconds, and threads that share the object take turns.
  late.run(forecasts.data(), targets.data(), nullptr, n, false, bounds.mutable_data());
  return bounds;
}

}  // namespace

void bind_interval(py::module_& module) {
  using py::arg;
  py::class_<Intervals>(module, "Intervals")
      .def("__init__",
           constructor<Intervals>([](const std::vector<double>& levels, Index n_outputs) {
             return Intervals(levels, n_outputs);
           }),
           kConstructor, arg("levels"), arg("n_outputs"))
      .def(
          "bounds",
          [](const Intervals& self, const Array& forecast) {
            require_shape("forecast", forecast, {self.n_outputs()});
            Array bounds({n_levels(self), Index(2), self.n_outputs()});
            self.bounds(forecast.data(), bounds.mutable_data());
            return bounds;
          },
          arg("forecast").noconvert())
      .def(
          "learn",
          [](Intervals& self, const Array& forecast, const Array& y,
             const std::optional<Array>& bounds, Index delay) {
            require_shape("forecast", forecast, {self.n_outputs()});
            require_shape("y", y, {self.n_outputs()});
            if (bounds) require_shape("bounds", *bounds, {n_levels(self), 2, self.n_outputs()});
            self.learn(forecast.data(), y.data(), bounds ? bounds->data() : nullptr, delay);
          },
          arg("forecast").noconvert(), arg("y").noconvert(), arg("bounds").noconvert() = py::none(),
          arg("delay") = 0)
      .def("run", &run, arg("forecasts").noconvert(), arg("targets").noconvert(), arg("delay"))
      .def("memory", &Intervals::memory)
      .def("restore", &Intervals::restore, arg("memory"));
}

}  // namespace memoa::python
