#include "memoa/federated.hpp"

#include "bind_ensemble.hpp"
#include "bind_panel.hpp"

namespace memoa::python {
namespace {

using Present = py::array_t<unsigned char, py::array::c_style>;

Index steps_of(const Array& array) { return array.ndim() > 0 ? array.shape(0) : 0; }

void require_present(const Present& present, Index size) {
  if (present.size() != size)
    throw std::invalid_argument("present has " + std::to_string(present.size()) +
                                " values; expected " + std::to_string(size));
}

py::tuple tell_forecasts(LockedEnsemble& self, const Array& inputs, const Array& targets) {
  const PopulationSettings& s = settings_of(self);
  const Index T = steps_of(inputs), known = steps_of(targets);
  Shape shape = input_shape(s);
  shape.insert(shape.begin(), T);
  require_shape("X", inputs, shape);
  require_shape("Y", targets, {known, s.n_outputs});
  Array forecasts({T, s.n_agents, s.n_outputs}), energies({T, s.n_agents});
  double *c = forecasts.mutable_data(), *e = energies.mutable_data();
  self.compute([&](auto& ensemble) {
    tell(ensemble.population(), inputs.data(), targets.data(), T, known, c, e);
  });
  return py::make_tuple(forecasts, energies);
}

py::tuple hear_forecasts(LockedEnsemble& self, const Array& forecasts, const Array& energies,
                         const Present& present, const Array& targets) {
  const PopulationSettings& s = settings_of(self);
  const Index T = steps_of(forecasts), known = steps_of(targets);
  require_shape("forecasts", forecasts, {T, s.n_agents, s.n_outputs});
  require_shape("energies", energies, {T, s.n_agents});
  require_present(present, T * s.n_agents);
  require_shape("Y", targets, {known, s.n_outputs});
  Array predictions({T, s.n_outputs}), mean_field({T, s.n_outputs});
  double *mixed = predictions.mutable_data(), *mean = mean_field.mutable_data();
  const Told told{forecasts.data(), energies.data(), present.data()};
  self.compute([&](auto& ensemble) {
    hear(ensemble.population(), ensemble.server(), told, targets.data(), T, known, mixed, mean);
  });
  return py::make_tuple(predictions, mean_field);
}

Shape readout_shape(const LockedPanel& panel) {
  return panel.look([](const auto& e) {
    const PanelSettings& s = e.settings();
    return Shape{s.n_clients, n_features(s.encoder, s.n_inputs), s.n_outputs};
  });
}

}  // namespace

void bind_federated(py::module_& module) {
  using py::arg;
  module.def("tell", &tell_forecasts, arg("ensemble"), arg("inputs").noconvert(),
             arg("targets").noconvert());
  module.def("hear", &hear_forecasts, arg("ensemble"), arg("forecasts").noconvert(),
             arg("energies").noconvert(), arg("present").noconvert(), arg("targets").noconvert());
  module.def(
      "receive_readout",
      [](LockedPanel& panel, const Array& mean_readout) {
        const Shape shape = readout_shape(panel);
        require_shape("mean_readout", mean_readout, {shape[1], shape[2]});
        panel.compute([&](auto& engine) { engine.receive(mean_readout.data()); });
      },
      arg("panel"), arg("mean_readout").noconvert());
  module.def(
      "gather_readouts",
      [](LockedPanel& panel, const Array& readouts, const Present& present) {
        const Shape shape = readout_shape(panel);
        require_shape("readouts", readouts, shape);
        require_present(present, shape[0] * shape[2]);
        panel.compute([&](auto& engine) { engine.gather(readouts.data(), present.data()); });
      },
      arg("panel"), arg("readouts").noconvert(), arg("present").noconvert());
  module.def(
      "have_moved",
      [](LockedPanel& panel) {
        const Shape shape = readout_shape(panel);
        Present moved({shape[0], shape[2]});
        unsigned char* out = moved.mutable_data();
        panel.compute([&](auto& engine) { engine.have_moved(out); });
        return moved;
      },
      arg("panel"));
}

}  // namespace memoa::python
