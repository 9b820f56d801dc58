#include "memoa/mixture.hpp"

#include <pybind11/stl.h>

#include "bind_memory.hpp"
#include "bind_mixture.hpp"
#include "constructor.hpp"

namespace memoa::python {
namespace {

std::pair<Index, Index> sizes(const LockedMixture& server) {
  return server.look([](const auto& e) { return std::make_pair(e.n_agents(), e.n_outputs()); });
}

}  // namespace

void bind_mixture(py::module_& module) {
  using py::arg;
  py::class_<Mixture>(module, "Mixture")
      .def("__init__",
           constructor<Mixture>([](Index window, double decay, double ridge, double total,
                                   bool absolute, bool fallback, bool rivals, Index season,
                                   Index start, Index delay) {
             Mixture mixture;
             mixture.window = window;
             mixture.decay = decay;
             mixture.ridge = ridge;
             mixture.total = total;
             mixture.absolute = absolute;
             mixture.fallback = fallback;
             mixture.rivals = rivals;
             mixture.season = season;
             mixture.start = start;
             mixture.delay = delay;
             validate(mixture);
             return mixture;
           }),
           kConstructor, py::kw_only(), arg("window"), arg("decay"), arg("ridge"), arg("total"),
           arg("absolute"), arg("fallback"), arg("rivals"), arg("season"), arg("start"),
           arg("delay") = 0);

  module.def(
      "mixture_weights",
      [](const Array& predictions, const Array& targets, const Mixture& mixture) {
        const Index window = predictions.shape(0), n = predictions.shape(1),
                    d = predictions.shape(2);
        require_shape("targets", targets, {window, d});
        std::vector<double> weights;
        {
          py::gil_scoped_release release;  // safe: the arrays are held by the caller
          weights = mixture_weights(predictions.data(), targets.data(), window, n, d, mixture);
        }
        return copy(weights.data(), {n});
      },
      arg("predictions").noconvert(), arg("targets").noconvert(), arg("mixture"));

  py::class_<LockedMixture>(module, "ServerMixture")
      .def("__init__",
           constructor<LockedMixture>([](Index n_agents, Index n_outputs, const Mixture& mixture,
                                         int n_threads, bool single,
                                         const std::optional<Shard>& shard) {
             return std::make_unique<LockedMixture>(single, n_agents, n_outputs, mixture, n_threads,
                                                    shard.value_or(Shard{}));
           }),
           kConstructor, arg("n_agents"), arg("n_outputs"), arg("mixture"), arg("n_threads"),
           arg("single") = false, arg("shard") = py::none())
      .def_property_readonly(
          "steps",
          [](const LockedMixture& m) { return m.look([](const auto& e) { return e.steps(); }); })
      .def(
          "predict",
          [](LockedMixture& self, const Array& predictions) {
            const auto [n, d] = sizes(self);
            require_shape("predictions", predictions, {n, d});
            Array mixed(d);
            double* out = mixed.mutable_data();
            self.compute([&](auto& m) { m.predict(predictions.data(), out); });
            return mixed;
          },
          arg("predictions").noconvert())
      .def(
          "update",
          [](LockedMixture& self, const Array& predictions, const Array& target) {
            const auto [n, d] = sizes(self);
            require_shape("predictions", predictions, {n, d});
            require_shape("target", target, {d});
            self.compute([&](auto& m) { m.update(predictions.data(), target.data()); });
          },
          arg("predictions").noconvert(), arg("target").noconvert())
      .def("weights",
           [](LockedMixture& self) {
             Array weights(sizes(self).first);
             double* out = weights.mutable_data();
             self.compute([&](auto& m) { m.weights(out); });
             return weights;
           })
      .def("mixture_weight",
           [](LockedMixture& self) {
             Array weight(sizes(self).second);
             double* out = weight.mutable_data();
             self.compute([&](auto& m) { m.mixture_weight(out); });
             return weight;
           })
      .def("shares",
           [](LockedMixture& self) {
             Array shares({Index{4}, sizes(self).second});
             double* out = shares.mutable_data();
             self.compute([&](auto& m) { m.shares(out); });
             return shares;
           })
      .def("forecast_weights",
           [](LockedMixture& self) {
             const auto [n, d] = sizes(self);
             Array weights({n, d});
             double* out = weights.mutable_data();
             self.compute([&](auto& m) { m.forecast_weights(out); });
             return weights;
           })
      .def("memory", [](LockedMixture& self) { return memory_to_dict(self); })
      .def("restore", [](LockedMixture& self, const py::dict& memory) {
        memory_from_dict<MixtureMemory>(self, memory);
      });
}

}  // namespace memoa::python
