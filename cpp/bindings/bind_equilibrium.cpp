#include "memoa/equilibrium.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "constructor.hpp"

namespace memoa::python {

void bind_equilibrium(py::module_& module) {
  using py::arg;
  const auto field = [](std::vector<double> Policy::*member, auto shape) {
    return [member, shape](py::object self) {
      const Policy& policy = self.cast<const Policy&>();
      return view(policy.*member, shape(policy), self);
    };
  };
  py::class_<Policy>(module, "Policy")
      .def("__init__",
           constructor<Policy>([](const Array& gain, const Array& mean_gain, const Array& offset,
                                  const Array& mean_map, const Array& mean_shift, double rcond) {
             Policy policy;
             policy.horizon = gain.shape(0);
             policy.n_features = gain.shape(1);
             policy.n_outputs = gain.shape(2);
             policy.mean_size = mean_gain.shape(2);
             policy.gain = to_vector(gain);
             policy.mean_gain = to_vector(mean_gain);
             policy.offset = to_vector(offset);
             policy.mean_map = to_vector(mean_map);
             policy.mean_shift = to_vector(mean_shift);
             policy.rcond = rcond;
             policy.validate();
             return policy;
           }),
           kConstructor, py::kw_only(), arg("gain").noconvert(), arg("mean_gain").noconvert(),
           arg("offset").noconvert(), arg("mean_map").noconvert(), arg("mean_shift").noconvert(),
           arg("rcond"))
      .def_property_readonly("gain", field(&Policy::gain,
                                           [](const Policy& p) {
                                             return Shape{p.horizon, p.n_features, p.n_outputs};
                                           }))
      .def_property_readonly("mean_gain",
                             field(&Policy::mean_gain,
                                   [](const Policy& p) {
                                     return Shape{p.horizon, p.n_features, p.mean_size};
                                   }))
      .def_property_readonly("offset", field(&Policy::offset,
                                             [](const Policy& p) {
                                               return Shape{p.horizon, p.n_features};
                                             }))
      .def_property_readonly("mean_map", field(&Policy::mean_map,
                                               [](const Policy& p) {
                                                 return Shape{p.horizon, p.mean_size, p.mean_size};
                                               }))
      .def_property_readonly("mean_shift", field(&Policy::mean_shift,
                                                 [](const Policy& p) {
                                                   return Shape{p.horizon, p.mean_size};
                                                 }))
      .def_readonly("rcond", &Policy::rcond)
      .def(
          "mean_path",
          [](const Policy& policy, const Array& m0) {
            require_shape("m0", m0, {policy.mean_size});
            require_finite("m0", m0.data(), {policy.mean_size});
            const std::vector<double> path = policy.mean_path(m0.data());
            return copy(path.data(), {policy.horizon + 1, policy.mean_size});
          },
          arg("m0").noconvert())
      .def(
          "act",
          [](const Policy& policy, Index t, const Array& prediction, const Array& mean) {
            const Index n_agents = prediction.ndim() == 2 ? prediction.shape(0) : 0;
            require_shape("prediction", prediction, {n_agents, policy.n_outputs});
            require_shape("mean", mean, {policy.mean_size});
            require_finite("prediction", prediction.data(), {n_agents, policy.n_outputs});
            require_finite("mean", mean.data(), {policy.mean_size});
            Array control({n_agents, policy.n_features});
            double* out = control.mutable_data();
            {
              py::gil_scoped_release release;  // safe: the arrays are held by the caller
              policy.act(t, prediction.data(), n_agents, mean.data(), out);
            }
            return control;
          },
          arg("t"), arg("prediction").noconvert(), arg("mean").noconvert());

  module.def(
      "solve_mean_field",
      [](const Game& game) {
        py::gil_scoped_release release;  // safe: a Game never changes and the caller holds it
        return solve_mean_field(game);
      },
      arg("game"));
  module.def(
      "solve_mean_field_types",
      [](const std::vector<Game>& games, const std::vector<double>& shares) {
        py::gil_scoped_release release;  // safe: both are copies
        return solve_mean_field(games, shares);
      },
      arg("games"), arg("shares"));
  module.def(
      "solve_nash",
      [](const Game& game, Index n_agents) {
        py::gil_scoped_release release;  // safe: a Game never changes and the caller holds it
        return solve_nash(game, n_agents);
      },
      arg("game"), arg("n_agents"));
  module.def(
      "solve_social_optimum",
      [](const Game& game, double n_agents) {
        py::gil_scoped_release release;  // safe: as above
        return solve_social_optimum(game, n_agents);
      },
      arg("game"), arg("n_agents"));
  module.def(
      "solve_myopic",
      [](const Game& game) {
        py::gil_scoped_release release;  // safe: as above
        return solve_myopic(game);
      },
      arg("game"));
}

}  // namespace memoa::python
