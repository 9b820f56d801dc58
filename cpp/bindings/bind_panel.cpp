#include "memoa/panel.hpp"

#include <pybind11/stl.h>

#include <chrono>

#include "bind_encoder.hpp"
#include "bind_memory.hpp"
#include "bind_panel.hpp"
#include "constructor.hpp"
#include "memoa/saved.hpp"

namespace memoa::python {
namespace {

const PanelSettings& settings_of(const LockedPanel& panel) {
  return panel.look([](const auto& e) -> const PanelSettings& { return e.settings(); });
}

/// memoa.panel has checked the words; the core checks the numbers.
PanelSettings settings_from(const py::dict& d) {
  PanelSettings s;
  s.n_clients = d["n_clients"].cast<Index>();
  s.n_inputs = d["n_inputs"].cast<Index>();
  s.n_outputs = d["n_outputs"].cast<Index>();
  s.encoder = d["encoder"].cast<EncoderHandle>().encoder;
  s.pooling = d["pooling"].cast<double>();
  s.ridge = d["ridge"].cast<double>();
  const auto consensus = d["consensus"].cast<std::optional<double>>();
  s.learned = !consensus.has_value(), s.consensus = consensus.value_or(0.0);
  const auto aggregate = d["aggregate"].cast<std::string>();
  s.aggregate = aggregate == "mean"   ? Aggregate::mean
                : aggregate == "clip" ? Aggregate::clip
                                      : Aggregate::trimmed;
  s.forgetting = d["forgetting"].cast<double>();
  s.delay = d["delay"].cast<Index>();
  s.seed = d["seed"].cast<std::uint64_t>();
  s.n_threads = d["n_threads"].cast<int>();
  s.shard = d["shard"].cast<std::optional<Shard>>().value_or(Shard{});
  validate(s);
  return s;
}

Index width_of(const LockedPanel& panel) {
  const PanelSettings& s = settings_of(panel);
  return std::holds_alternative<Precomputed>(s.encoder) ? n_features(s.encoder, 0) : s.n_inputs;
}

/// Inputs of the engine's own precision; memoa.panel converts before.
template <class Engine>
struct RealOf;
template <class Real>
struct RealOf<BasicPanel<Real>> {
  using type = Real;
};
template <class Engine>
using Real = typename RealOf<std::decay_t<Engine>>::type;

template <class Engine>
const Real<Engine>* inputs_of(const Engine&, const py::buffer_info& x, const Shape& expected) {
  if (x.shape != expected || x.format != py::format_descriptor<Real<Engine>>::format())
    throw std::invalid_argument("X has another shape or dtype than the engine");
  return static_cast<const Real<Engine>*>(x.ptr);
}

const unsigned char* flags_of(const std::optional<Flags>& awake, py::ssize_t size) {
  if (!awake) return nullptr;
  if (awake->size() != size) throw std::invalid_argument("awake has another size than the panel");
  return awake->data();
}

/// A tenth of a second apart, and at the end: Python hears of Ctrl-C and of the progress made.
class Pulse {
 public:
  Pulse(const py::object& progress, Index total) : progress_(progress), total_(total) {}
  void operator()(Index done) {
    const auto now = std::chrono::steady_clock::now();
    if (done < total_ && now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress_.is_none()) progress_(done, total_);
  }

 private:
  const py::object& progress_;
  Index total_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

Array run_panel(LockedPanel& self, const py::array& x, const Array& y,
                const std::optional<Flags>& awake, const std::optional<Array>& initial,
                std::optional<Array> bases, const py::object& progress) {
  const PanelSettings& s = settings_of(self);
  const Index T = y.ndim() == 3 ? y.shape(0) : 0;
  require_shape("Y", y, {T, s.n_clients, s.n_outputs});
  const py::buffer_info inputs = x.request();
  const Index n_initial = initial && initial->ndim() == 3 ? initial->shape(0) : 1;
  if (initial && initial->ndim() == 3)
    require_shape("initial", *initial, {s.delay + 1, s.n_clients, s.n_outputs});
  else if (initial)
    require_shape("initial", *initial, {s.n_clients, s.n_outputs});
  if (bases) require_shape("bases", *bases, {T, s.n_clients, s.n_outputs});
  const double* start = initial ? initial->data() : nullptr;
  double* known = bases ? bases->mutable_data() : nullptr;
  const unsigned char* flags = flags_of(awake, T * s.n_clients);
  Array out({T, s.n_clients, s.n_outputs});
  double* forecasts = out.mutable_data();
  Pulse pulse(progress, T);
  self.compute([&](auto& panel) {
    const auto* values = inputs_of(panel, inputs, {T, s.n_clients, width_of(self)});
    panel.run(values, y.data(), flags, T, forecasts, std::ref(pulse), start, n_initial, known);
  });
  return out;
}

Index n_features_of(const LockedPanel& self) {
  const PanelSettings& s = settings_of(self);
  return n_features(s.encoder, s.n_inputs);
}

py::tuple load_saved(const std::string& path, int n_threads) {
  SavedPanel saved = [&] {
    const py::gil_scoped_release release;  // safe: only the file is touched
    return load_panel(path, n_threads);
  }();
  return py::make_tuple(to_python(std::make_unique<LockedPanel>(std::move(saved.panel))),
                        copy(saved.pending.data(), {static_cast<Index>(saved.pending.size())}),
                        saved.header);
}

py::tuple equilibrium(const Array& gram, const Array& cross, double ridge, double pooling) {
  const Index N = cross.shape(0), p = cross.shape(1), d = cross.shape(2);
  require_shape("gram", gram, {N, p, p});
  PanelEquilibrium found;
  {
    const py::gil_scoped_release release;  // safe: only the callers' arrays are read
    found = solve_panel_equilibrium(gram.data(), cross.data(), N, p, d, ridge, pooling);
  }
  return py::make_tuple(copy(found.mean_readout.data(), {p, d}),
                        copy(found.readouts.data(), {N, p, d}));
}

}  // namespace

void bind_panel(py::module_& module) {
  using py::arg;
  module.def("solve_panel_equilibrium", &equilibrium, arg("gram").noconvert(),
             arg("cross").noconvert(), py::kw_only(), arg("ridge"), arg("pooling"));

  module.def("load_panel", &load_saved, arg("path"), py::kw_only(), arg("n_threads"));
  module.def("check_panel", [](const py::kwargs& d) { settings_from(d); });

  py::class_<LockedPanel>(module, "Panel")
      .def("__init__", constructor<LockedPanel>([](const py::kwargs& d) {
             const PanelSettings settings = settings_from(d);
             const bool single = d["single"].cast<bool>();
             py::gil_scoped_release release;  // safe: clearing the state touches no Python object
             return std::make_unique<LockedPanel>(single, settings);
           }),
           kConstructor)
      .def(
          "observe",
          [](LockedPanel& self, const Array& y) {
            require_shape("Y", y, {settings_of(self).n_clients, settings_of(self).n_outputs});
            self.compute([&](auto& panel) { panel.observe(y.data()); });
          },
          arg("y").noconvert())
      .def(
          "predict",
          [](LockedPanel& self, const py::array& x) {
            const PanelSettings& s = settings_of(self);
            const py::buffer_info inputs = x.request();
            return filled(self, {s.n_clients, s.n_outputs}, [&](auto& panel, double* out) {
              panel.predict(inputs_of(panel, inputs, {s.n_clients, width_of(self)}), out);
            });
          },
          arg("x").noconvert())
      .def(
          "learn",
          [](LockedPanel& self, const Array& y, const std::optional<Flags>& awake) {
            const PanelSettings& s = settings_of(self);
            require_shape("Y", y, {s.n_clients, s.n_outputs});
            const unsigned char* flags = flags_of(awake, s.n_clients);
            self.compute([&](auto& panel) { panel.learn(y.data(), flags); });
          },
          arg("y").noconvert(), arg("awake").none(true))
      .def(
          "learn_late",
          [](LockedPanel& self, const py::array& x, const Array& y,
             const std::optional<Flags>& awake) {
            const PanelSettings& s = settings_of(self);
            require_shape("Y", y, {s.n_clients, s.n_outputs});
            const py::buffer_info inputs = x.request();
            const unsigned char* flags = flags_of(awake, s.n_clients);
            self.compute([&](auto& panel) {
              panel.learn_late(inputs_of(panel, inputs, {s.n_clients, width_of(self)}), y.data(),
                               flags);
            });
          },
          arg("x").noconvert(), arg("y").noconvert(), arg("awake").none(true))
      .def("run", &run_panel, arg("x").noconvert(), arg("y").noconvert(), arg("awake").none(true),
           arg("initial").none(true), arg("bases").none(true), arg("progress"))
      .def(
          "add_clients",
          [](LockedPanel& self, Index count) {
            self.compute([&](auto& panel) { panel.add_clients(count); });
          },
          arg("count"))
      .def_property_readonly("steps",
                             [](const LockedPanel& self) {
                               return self.look([](const auto& e) { return e.steps(); });
                             })
      .def_property_readonly("n_waiting",
                             [](const LockedPanel& self) {
                               return self.look([](const auto& e) { return e.n_waiting(); });
                             })
      .def_property_readonly("n_told",
                             [](const LockedPanel& self) {
                               return self.look([](const auto& e) { return e.n_told(); });
                             })
      .def_property_readonly("n_clients",
                             [](const LockedPanel& self) { return settings_of(self).n_clients; })
      .def_property_readonly("bytes",
                             [](const LockedPanel& self) {
                               return self.look([](const auto& e) { return e.bytes(); });
                             })
      .def("readouts",
           [](LockedPanel& self) {
             const PanelSettings& s = settings_of(self);
             return filled(self, {s.n_clients, n_features_of(self), s.n_outputs},
                           [](auto& panel, double* out) { panel.readouts(out); });
           })
      .def("mean_readout",
           [](LockedPanel& self) {
             return filled(self, {n_features_of(self), settings_of(self).n_outputs},
                           [](auto& panel, double* out) { panel.mean_readout(out); });
           })
      .def("consensus_weights",
           [](LockedPanel& self) {
             const PanelSettings& s = settings_of(self);
             return filled(self, {s.n_clients, s.n_outputs},
                           [](auto& panel, double* out) { panel.consensus_weights(out); });
           })
      .def("scales",
           [](LockedPanel& self) {
             const PanelSettings& s = settings_of(self);
             return filled(self, {s.n_clients, s.n_outputs},
                           [](auto& panel, double* out) { panel.scales(out); });
           })
      .def("base",
           [](LockedPanel& self) {
             const PanelSettings& s = settings_of(self);
             return filled(self, {s.n_clients, s.n_outputs},
                           [](auto& panel, double* out) { panel.base(out); });
           })
      .def("costs",
           [](LockedPanel& self) {
             return filled(self, {settings_of(self).n_clients},
                           [](auto& panel, double* out) { panel.costs(out); });
           })
      .def("scored",
           [](LockedPanel& self) {
             return filled(self, {settings_of(self).n_clients},
                           [](auto& panel, double* out) { panel.scored(out); });
           })
      .def(
          "save",
          [](LockedPanel& self, const std::string& path, const Array& pending,
             const std::string& note) {
            const std::vector<double> waiting = to_vector(pending);
            self.compute([&](auto& panel) { save(path, panel, waiting, note); });
          },
          arg("path"), py::kw_only(), arg("pending").noconvert(), arg("note"))
      .def("memory", [](LockedPanel& self) { return memory_to_dict(self); })
      .def("restore", [](LockedPanel& self, const py::dict& memory) {
        memory_from_dict<PanelMemory>(self, memory);
      });
}

}  // namespace memoa::python
