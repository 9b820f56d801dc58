#include "memoa/population.hpp"

#include <pybind11/stl.h>

#include "bind_mixture.hpp"

namespace memoa::python {
namespace {

using LockedPopulation = Locked<Population, PopulationF32>;

const PopulationSettings& settings_of(const LockedPopulation& population) {
  return population.look(
      [](const auto& engine) -> const PopulationSettings& { return engine.settings(); });
}

/// body(population, server) of one precision, without the GIL and with both locks.
template <class Body>
void compute(LockedPopulation& self, LockedMixture& mixture, const Body& body) {
  self.compute([&](auto& population) {
    using Server = std::conditional_t<std::is_same_v<decltype(population), Population&>,
                                      ServerMixture, ServerMixtureF32>;
    const std::lock_guard<std::mutex> guard(mixture.mutex);
    auto* server = std::get_if<Server>(&mixture.engine);
    if (server == nullptr)
      throw std::invalid_argument("mixture and population are of different precision");
    body(population, *server);
  });
}

/// pybind11 would convert the bare variant by its alternatives.
struct EncoderHandle {
  Encoder encoder;
};

EncoderHandle random_features(Index n_features, const std::string& activation, double scale) {
  RandomFeatures encoder{n_features, Activation::relu, scale};
  if (activation == "tanh")
    encoder.activation = Activation::tanh;
  else if (activation == "cos")
    encoder.activation = Activation::cos;
  else if (activation != "relu")
    throw std::invalid_argument("activation is '" + activation +
                                "'; expected 'relu', 'tanh' or 'cos'");
  return {encoder};
}

/// Expected shape of one step's input.
Shape input_shape(const PopulationSettings& s) {
  if (std::holds_alternative<Precomputed>(s.encoder)) return {s.n_agents, n_features(s.encoder)};
  return {s.n_inputs};
}

py::dict memory_to_dict(const PopulationMemory& m) {
  const auto array = [](const std::vector<double>& v) {
    return copy(v.data(), {static_cast<py::ssize_t>(v.size())});
  };
  py::dict d;
  d["steps"] = m.steps;
  d["counted"] = m.standardiser.steps;
  d["input_mean"] = array(m.standardiser.mean);
  d["input_squares"] = array(m.standardiser.squares);
  d["base"] = array(m.base);
  d["shown_base"] = array(m.shown_base);
  d["mean_field"] = array(m.mean_field);
  d["costs"] = array(m.costs);
  d["gram"] = array(m.gram);
  d["cross"] = array(m.cross);
  d["reservoir"] = array(m.reservoir);
  d["increments"] = array(m.increments);
  return d;
}

PopulationMemory memory_from_dict(const py::dict& d) {
  const auto vector = [&](const char* name) { return to_vector(d[name].cast<Array>()); };
  PopulationMemory m;
  m.steps = d["steps"].cast<Index>();
  m.standardiser.steps = d["counted"].cast<double>();
  m.standardiser.mean = vector("input_mean");
  m.standardiser.squares = vector("input_squares");
  m.base = vector("base");
  m.shown_base = vector("shown_base");
  m.mean_field = vector("mean_field");
  m.costs = vector("costs");
  m.gram = vector("gram");
  m.cross = vector("cross");
  m.reservoir = vector("reservoir");
  m.increments = vector("increments");
  return m;
}

/// The whole series; outputs are (T, d), (T, d), (T,) and (T, n_record, d).
py::tuple run_series(LockedPopulation& self, LockedMixture& mixture, const Array& inputs,
                     const Array& targets, const IndexArray& record) {
  const PopulationSettings& s = settings_of(self);
  const Index T = targets.ndim() == 2 ? targets.shape(0) : 0, d = s.n_outputs, R = record.size();
  Shape shape = input_shape(s);
  shape.insert(shape.begin(), T);
  require_shape("Y", targets, {T, d});
  require_shape("X", inputs, shape);
  Array predictions({T, d}), mean_field({T, d}), worst_cost(T), recorded({T, R, d});
  const RunOutput output{predictions.mutable_data(),
                         mean_field.mutable_data(),
                         worst_cost.mutable_data(),
                         recorded.mutable_data(),
                         record.data(),
                         R};
  compute(self, mixture, [&](auto& population, auto& server) {
    run(population, server, inputs.data(), targets.data(), T, output);
  });
  return py::make_tuple(predictions, mean_field, worst_cost, recorded);
}

/// Each row as the next input, none of them learnt: (T, d).
Array predict_rows(LockedPopulation& self, LockedMixture& mixture, const Array& inputs) {
  Shape shape = input_shape(settings_of(self));
  const Index T = inputs.ndim() > 0 ? inputs.shape(0) : 0, d = settings_of(self).n_outputs;
  shape.insert(shape.begin(), T);
  require_shape("X", inputs, shape);
  require_finite("X", inputs.data(), {T, T > 0 ? inputs.size() / T : 0});
  const Index width = T > 0 ? inputs.size() / T : 0;
  Array mixed({T, d});
  double* out = mixed.mutable_data();
  compute(self, mixture, [&](auto& population, auto& server) {
    for (Index t = 0; t < T; ++t) {
      population.predict(inputs.data() + t * width);
      server.predict_increments(population.increments(), population.stride(), population.base(),
                                out + t * d);
    }
  });
  return mixed;
}

}  // namespace

void bind_population(py::module_& module) {
  using py::arg;
  py::class_<EncoderHandle>(module, "Encoder")
      .def_static("random_features", &random_features)
      .def_static("echo_state",
                  [](Index n, double leak, double radius) {
                    return EncoderHandle{EchoState{n, leak, radius}};
                  })
      .def_static("precomputed", [](Index n) { return EncoderHandle{Precomputed{n}}; })
      .def("validate", [](const EncoderHandle& handle) { validate(handle.encoder); });

  module.def("draw_weights", [](const EncoderHandle& handle, std::uint64_t seed,
                                std::uint64_t agent, Index n_inputs) {
    const EncoderWeights w = draw_weights(handle.encoder, seed, agent, n_inputs);
    const auto array = [](const std::vector<double>& v) {
      return copy(v.data(), {static_cast<py::ssize_t>(v.size())});
    };
    return py::make_tuple(array(w.input), array(w.bias), array(w.reservoir));
  });

  module.def(
      "check_settings",
      [](Index n_agents, bool greedy, double consensus, double effort, Index horizon,
         double discount, const std::vector<double>& forgetting, const std::vector<double>& ridge,
         int n_threads) {
        PopulationSettings settings;
        settings.n_agents = n_agents;
        settings.policy = greedy ? PolicyKind::greedy : PolicyKind::memoa;
        settings.consensus = consensus;
        settings.effort = effort;
        settings.horizon = horizon;
        settings.discount = discount;
        settings.forgetting = forgetting;
        settings.ridge = ridge;
        settings.n_threads = n_threads;
        validate(settings);
      },
      py::kw_only(), arg("n_agents"), arg("greedy"), arg("consensus"), arg("effort"),
      arg("horizon"), arg("discount"), arg("forgetting"), arg("ridge"), arg("n_threads"));

  py::class_<LockedPopulation>(module, "Population")
      .def(py::init([](Index n_agents, Index n_inputs, Index n_outputs, const EncoderHandle& handle,
                       bool greedy, double consensus, double effort, Index horizon, double discount,
                       const std::vector<double>& forgetting, const std::vector<double>& ridge,
                       std::uint64_t seed, int n_threads, bool single) {
             const PopulationSettings settings{n_agents,
                                               n_inputs,
                                               n_outputs,
                                               handle.encoder,
                                               greedy ? PolicyKind::greedy : PolicyKind::memoa,
                                               consensus,
                                               effort,
                                               horizon,
                                               discount,
                                               forgetting,
                                               ridge,
                                               seed,
                                               n_threads};
             py::gil_scoped_release release;  // safe: drawing the weights touches no Python object
             return std::make_unique<LockedPopulation>(single, settings);
           }),
           py::kw_only(), arg("n_agents"), arg("n_inputs"), arg("n_outputs"), arg("encoder"),
           arg("greedy"), arg("consensus"), arg("effort"), arg("horizon"), arg("discount"),
           arg("forgetting"), arg("ridge"), arg("seed"), arg("n_threads"), arg("single"))
      .def(
          "observe",
          [](LockedPopulation& self, const Array& y) {
            require_shape("y", y, {settings_of(self).n_outputs});
            self.compute([&](auto& population) { population.observe(y.data()); });
          },
          arg("y").noconvert())
      .def(
          "predict",
          [](LockedPopulation& self, LockedMixture& mixture, const Array& x) {
            require_shape("x", x, input_shape(settings_of(self)));
            Array mixed(settings_of(self).n_outputs);
            double* out = mixed.mutable_data();
            compute(self, mixture, [&](auto& population, auto& server) {
              population.predict(x.data());
              server.predict_increments(population.increments(), population.stride(),
                                        population.base(), out);
            });
            return mixed;
          },
          arg("mixture"), arg("x").noconvert())
      .def(
          "learn",
          [](LockedPopulation& self, LockedMixture& mixture, const Array& y) {
            require_shape("y", y, {settings_of(self).n_outputs});
            compute(self, mixture, [&](auto& population, auto& server) {
              population.learn(y.data());
              server.settle(y.data());
            });
          },
          arg("mixture"), arg("y").noconvert())
      .def("run", &run_series, arg("mixture"), arg("inputs").noconvert(),
           arg("targets").noconvert(), arg("record").noconvert())
      .def("predict_rows", &predict_rows, arg("mixture"), arg("inputs").noconvert())
      .def("mark_costs",
           [](LockedPopulation& self) { self.compute([](auto& p) { p.mark_costs(); }); })
      .def_property_readonly("is_pending",
                             [](const LockedPopulation& p) {
                               return p.look([](const auto& e) { return e.is_pending(); });
                             })
      .def_property_readonly(
          "steps",
          [](const LockedPopulation& p) { return p.look([](const auto& e) { return e.steps(); }); })
      .def_property_readonly(
          "bytes",
          [](const LockedPopulation& p) { return p.look([](const auto& e) { return e.bytes(); }); })
      .def("overflow",
           [](const LockedPopulation& p) {
             const Overflow last = p.look([](const auto& e) { return e.overflow(); });
             return py::make_tuple(last.step, last.agent);
           })
      .def("base",
           [](const LockedPopulation& p) {
             return p.look([](const auto& e) { return copy(e.base(), {e.settings().n_outputs}); });
           })
      .def("mean_field",
           [](const LockedPopulation& p) {
             return p.look(
                 [](const auto& e) { return copy(e.mean_field(), {e.settings().n_outputs}); });
           })
      .def("predictions",
           [](LockedPopulation& self) {
             Array out({settings_of(self).n_agents, settings_of(self).n_outputs});
             double* data = out.mutable_data();
             self.compute([&](auto& population) { population.predictions(data); });
             return out;
           })
      .def("energies",
           [](LockedPopulation& self) {
             Array out(settings_of(self).n_agents);
             double* data = out.mutable_data();
             self.compute([&](auto& population) { population.energies(data); });
             return out;
           })
      .def("costs",
           [](LockedPopulation& self) {
             Array out(settings_of(self).n_agents);
             double* data = out.mutable_data();
             self.compute([&](auto& population) { population.costs(data); });
             return out;
           })
      .def("memory",
           [](LockedPopulation& self) {
             return memory_to_dict(self.compute([](auto& p) { return p.memory(); }));
           })
      .def("restore", [](LockedPopulation& self, const py::dict& memory) {
        const PopulationMemory m = memory_from_dict(memory);
        self.compute([&](auto& population) { population.restore(m); });
      });
}

}  // namespace memoa::python
