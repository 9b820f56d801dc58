#include <pybind11/stl.h>

#include <chrono>

#include "bind_ensemble.hpp"
#include "bind_memory.hpp"
#include "constructor.hpp"
#include "memoa/saved.hpp"

namespace memoa::python {
namespace {

/// Slices of a run, each a tenth of a second's work, so that progress and Ctrl-C come through.
/// A slice is at least a tile long, unless that would last more than half a second.
class Slices {
 public:
  /// Steps of the next slice.
  Index next() {
    const auto now = std::chrono::steady_clock::now();
    if (size_ == 0) {
      size_ = 1;
    } else {
      const double seconds = std::chrono::duration<double>(now - began_).count();
      const double per_step = std::max(seconds / static_cast<double>(size_), 1e-9);
      const Index longest = 8 * std::max(size_, kRunTile);
      size_ = std::min(longest, static_cast<Index>(0.1 / per_step));
      if (size_ < kRunTile)
        size_ = kRunTile * per_step < 0.5 ? kRunTile : std::max<Index>(1, size_);
    }
    began_ = std::chrono::steady_clock::now();
    return size_;
  }

 private:
  Index size_ = 0;
  std::chrono::steady_clock::time_point began_;
};

VectorView view_of(const Array& array) { return {array.data(), array.size()}; }

std::vector<unsigned char> to_flags(const std::optional<Flags>& awake) {
  if (!awake) return {};
  return {awake->data(), awake->data() + awake->size()};
}

/// Numbers of one step's input.
Index width_of(const PopulationSettings& s) {
  return takes_features(s) ? s.n_agents * n_features(s) : s.n_inputs;
}

Index n_levels(const LockedEnsemble& self) {
  return self.look([](const auto& e) { return static_cast<Index>(e.levels().size()); });
}

Array predict(LockedEnsemble& self, const Array& x, const std::optional<Flags>& awake) {
  const PopulationSettings& s = settings_of(self);
  require_shape("x", x, input_shape(s));
  if (awake) require_shape("awake", *awake, {s.n_agents});
  const std::vector<unsigned char> present = to_flags(awake);
  return filled(self, {s.n_outputs}, [&](auto& ensemble, double* out) {
    const std::vector<double>& forecast = ensemble.predict(view_of(x), present);
    std::copy(forecast.begin(), forecast.end(), out);
  });
}

void learn(LockedEnsemble& self, const Array& y) {
  require_shape("y", y, {settings_of(self).n_outputs});
  self.compute([&](auto& ensemble) { ensemble.learn(view_of(y)); });
}

void learn_oldest(LockedEnsemble& self, const Array& x, const Array& y) {
  require_shape("x", x, input_shape(settings_of(self)));
  require_shape("y", y, {settings_of(self).n_outputs});
  self.compute([&](auto& ensemble) { ensemble.learn(view_of(x), view_of(y)); });
}

/// The whole series, as memoa.Run tells it; X may have one row more than Y. After the steps nothing
/// asks for memory.
py::dict run_series(LockedEnsemble& self, const Array& inputs, const Array& targets,
                    const std::optional<Array>& initial, const IndexArray& record,
                    const py::object& progress, Index skip, bool arriving,
                    const std::optional<Flags>& awake) {
  const PopulationSettings& s = settings_of(self);
  const Index T = targets.ndim() == 2 ? targets.shape(0) : 0, d = s.n_outputs, R = record.size(),
              L = n_levels(self);
  const bool has_next = inputs.ndim() > 0 && inputs.shape(0) == T + 1, is_late = s.past.delay > 0;
  const Index rows = has_next ? T + 1 : T;
  Shape shape = input_shape(s);
  shape.insert(shape.begin(), rows);
  require_shape("Y", targets, {T, d});
  require_shape("X", inputs, shape);
  if (awake) require_shape("awake", *awake, {rows, s.n_agents});
  const bool many = initial && initial->ndim() == 2;  // a run knows how many it takes
  RunOptions options;
  options.n_initial = many ? initial->shape(0) : 1;
  if (initial) require_shape("initial", *initial, many ? Shape{options.n_initial, d} : Shape{d});
  if (initial) options.initial = initial->data();
  if (awake) options.awake = awake->data();
  options.labels = arriving ? Labels::arriving : Labels::own;

  Array predictions({T, d}), mean_field({T, d}), worst_cost(T), recorded({T, R, d});
  Array shares({T, Index{4}, d}), agent_rmse(s.n_agents), base(d), next(d);
  Array bases({is_late ? T : 0, d}), bounds({T, L, Index{2}, d}), next_bounds({L, Index{2}, d});
  EnsembleOutput output;
  output.predictions = predictions.mutable_data();
  output.shares = shares.mutable_data();
  output.mean_field = mean_field.mutable_data();
  output.worst_cost = worst_cost.mutable_data();
  output.recorded = recorded.mutable_data();
  output.record = record.data();
  output.n_record = R;
  output.skip = skip;
  output.agent_rmse = agent_rmse.mutable_data();
  output.base = base.mutable_data();
  output.bounds = bounds.mutable_data();
  if (has_next) output.next = next.mutable_data(), output.next_bounds = next_bounds.mutable_data();
  if (is_late) output.bases = bases.mutable_data();
  const MatrixView X{inputs.data(), rows, width_of(s)}, Y{targets.data(), T, d};
  Slices slices;
  const Scored scored = self.compute_in_turns([&](auto& ensemble, auto& lock) {
    options.pace = [&](Index done) {
      if (done == 0) return slices.next();
      lock.unlock();  // the callback may look at the engine
      {
        py::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!progress.is_none()) progress(done, T);
      }
      lock.lock();
      return slices.next();
    };
    return ensemble.run(X, Y, output, options);
  });
  py::dict result;
  result["predictions"] = predictions;
  result["shares"] = shares;
  result["mean_field"] = mean_field;
  result["worst_cost"] = worst_cost;
  result["recorded"] = recorded;
  result["agent_rmse"] = agent_rmse;
  result["initial"] = base;
  result["unscored"] = scored.first;
  if (is_late) result["bases"] = bases;
  if (has_next) result["next"] = next;
  if (L > 0) result["prediction_intervals"] = bounds;
  if (L > 0 && has_next) result["next_intervals"] = next_bounds;
  return result;
}

/// Each row as the next input, none of them learnt: (T, d).
Array predict_rows(LockedEnsemble& self, const Array& inputs) {
  const PopulationSettings& s = settings_of(self);
  const Index T = inputs.ndim() > 0 ? inputs.shape(0) : 0;
  Shape shape = input_shape(s);
  shape.insert(shape.begin(), T);
  require_shape("X", inputs, shape);
  const MatrixView X{inputs.data(), T, width_of(s)};
  return filled(self, {T, s.n_outputs}, [&](auto& ensemble, double* out) {
    const std::vector<double> forecasts = ensemble.predict_rows(X);
    std::copy(forecasts.begin(), forecasts.end(), out);
  });
}

/// Inputs of all forecasts that wait where y comes late, the oldest first.
Array waiting_late(LockedEnsemble& self) {
  const PopulationSettings& s = settings_of(self);
  const std::vector<double> all =
      self.compute([](auto& ensemble) { return waiting_inputs(ensemble.population()); });
  Shape shape = input_shape(s);
  shape.insert(shape.begin(), static_cast<Index>(all.size()) / width_of(s));
  return copy(all.data(), shape);
}

std::optional<Array> waiting(LockedEnsemble& self) {
  const std::vector<double> x = self.compute([](auto& ensemble) { return ensemble.waiting(); });
  if (x.empty()) return std::nullopt;
  return copy(x.data(), input_shape(settings_of(self)));
}

std::optional<Flags> awake(LockedEnsemble& self) {
  Flags out(settings_of(self).n_agents);
  unsigned char* data = out.mutable_data();
  const bool some = self.compute([&](auto& e) { return e.population().awake(data); });
  return some ? std::optional<Flags>(out) : std::nullopt;
}

py::tuple memory(LockedEnsemble& self) {
  const auto memories = self.compute(
      [](auto& e) { return std::make_pair(e.population().memory(), e.server().memory()); });
  return self.look([&](const auto& e) {
    return py::make_tuple(to_dict(memories.first, e.population()),
                          to_dict(memories.second, e.server()));
  });
}

void restore(LockedEnsemble& self, const std::pair<py::dict, py::dict>& memories,
             const std::string& note, const std::optional<Array>& intervals) {
  const auto [of_population, of_server] = self.look([&](const auto& e) {
    PopulationMemory like;
    if (memories.first.contains("sleep")) like.sleep.resize(1);  // a memory need not have it
    return std::make_pair(from_dict(memories.first, e.population(), std::move(like)),
                          from_dict<MixtureMemory>(memories.second, e.server()));
  });
  const std::vector<double> bounds = intervals ? to_vector(*intervals) : std::vector<double>();
  const PopulationMemory& population = of_population;  // a lambda takes no structured binding
  const MixtureMemory& server = of_server;
  self.compute([&](auto& ensemble) { ensemble.restore(population, server, note, bounds); });
}

template <class Real>
std::unique_ptr<LockedEnsemble> held(SavedEngines<Real>&, Saved& saved, const std::string& path) {
  return std::make_unique<LockedEnsemble>(std::variant<OnlineEnsemble, OnlineEnsembleF32>(
      BasicOnlineEnsemble<Real>(std::move(saved), path)));
}

/// The ensemble, the input that its file has waiting, and the file's header.
py::tuple load_ensemble(const std::string& path, int n_threads) {
  std::unique_ptr<LockedEnsemble> made;
  std::vector<double> pending;
  std::string header;
  {
    py::gil_scoped_release release;  // safe: only the file is touched
    Saved saved = load(path, n_threads);
    pending = saved.pending, header = saved.header;
    made = std::visit([&](auto& engines) { return held(engines, saved, path); }, saved.engines);
  }
  return py::make_tuple(to_python(std::move(made)),
                        copy(pending.data(), {static_cast<Index>(pending.size())}), header);
}

}  // namespace

void bind_ensemble(py::module_& module) {
  using py::arg;
  module.def("load", &load_ensemble, arg("path"), py::kw_only(), arg("n_threads"));

  const auto glance = [](auto get) {
    return [get](const LockedEnsemble& self) { return self.look(get); };
  };
  const auto of_agents = [](auto write) {
    return
        [write](LockedEnsemble& self) { return filled(self, {settings_of(self).n_agents}, write); };
  };
  py::class_<LockedEnsemble>(module, "OnlineEnsemble")
      .def(
          "__init__",
          constructor<LockedEnsemble>([](const PopulationSettings& settings, const Mixture& mixture,
                                         const std::vector<double>& levels, bool single) {
            py::gil_scoped_release release;  // safe: drawing the weights touches no Python object
            return std::make_unique<LockedEnsemble>(single, settings, mixture, levels);
          }),
          kConstructor, arg("settings"), arg("mixture"), arg("levels"), arg("single") = false)
      .def("predict", &predict, arg("x").noconvert(), arg("awake").noconvert() = py::none())
      .def("learn", &learn, arg("y").noconvert())
      .def("learn_oldest", &learn_oldest, arg("x").noconvert(), arg("y").noconvert())
      .def(
          "observe",
          [](LockedEnsemble& self, const Array& y) {
            require_shape("y", y, {settings_of(self).n_outputs});
            self.compute([&](auto& ensemble) { ensemble.observe(view_of(y)); });
          },
          arg("y").noconvert())
      .def(
          "waits_for",
          [](LockedEnsemble& self, const Array& x) {
            return self.compute([&](auto& ensemble) { return ensemble.waits_for(view_of(x)); });
          },
          arg("x").noconvert())
      .def("waiting", &waiting)
      .def("take_back",
           [](LockedEnsemble& self) { self.compute([](auto& ensemble) { ensemble.take_back(); }); })
      .def("run", &run_series, arg("inputs").noconvert(), arg("targets").noconvert(), py::kw_only(),
           arg("initial").noconvert().none(true), arg("record").noconvert(),
           arg("progress").none(true), arg("skip") = 0, arg("arriving") = false,
           arg("awake").noconvert() = py::none())
      .def("predict_rows", &predict_rows, arg("inputs").noconvert())
      .def("waiting_inputs", &waiting_late)
      .def_property_readonly("n_waiting",
                             glance([](const auto& e) { return n_waiting(e.population()); }))
      .def_property_readonly("steps", glance([](const auto& e) { return e.steps(); }))
      .def_property_readonly("scored", glance([](const auto& e) { return e.scored(); }))
      .def_property_readonly("has_seen",
                             glance([](const auto& e) { return e.population().has_seen(); }))
      .def_property_readonly("is_pending",
                             glance([](const auto& e) { return e.population().is_pending(); }))
      .def_property_readonly("bytes", glance([](const auto& e) { return e.population().bytes(); }))
      .def("overflow", glance([](const auto& e) {
             const Overflow last = e.population().overflow();
             return std::make_pair(last.step, last.agent);
           }))
      .def("mean_field", glance([](const auto& e) {
             return copy(e.population().mean_field(), {e.settings().n_outputs});
           }))
      .def("intervals",
           [](LockedEnsemble& self) {
             return filled(self, {n_levels(self), 2, settings_of(self).n_outputs},
                           [](const auto& ensemble, double* out) {
                             std::copy(ensemble.intervals().begin(), ensemble.intervals().end(),
                                       out);
                           });
           })
      .def("predictions",
           [](LockedEnsemble& self) {
             const PopulationSettings& s = settings_of(self);
             return filled(self, {s.n_agents, s.n_outputs},
                           [](auto& e, double* out) { e.population().predictions(out); });
           })
      .def("costs", of_agents([](auto& e, double* out) { e.population().costs(out); }))
      .def("missed", of_agents([](auto& e, double* out) { e.population().missed(out); }))
      .def("weights", of_agents([](auto& e, double* out) { e.server().weights(out); }))
      .def("mixture_weight",
           [](LockedEnsemble& self) {
             return filled(self, {settings_of(self).n_outputs},
                           [](auto& e, double* out) { e.server().mixture_weight(out); });
           })
      .def("shares",
           [](LockedEnsemble& self) {
             return filled(self, {4, settings_of(self).n_outputs},
                           [](auto& e, double* out) { e.server().shares(out); });
           })
      .def("forecast_weights",
           [](LockedEnsemble& self) {
             const PopulationSettings& s = settings_of(self);
             return filled(self, {s.n_agents, s.n_outputs},
                           [](auto& e, double* out) { e.server().forecast_weights(out); });
           })
      .def("awake", &awake)
      .def(
          "save",
          [](LockedEnsemble& self, const std::string& path, const std::string& note) {
            self.compute([&](auto& ensemble) { ensemble.save(path, note); });
          },
          arg("path"), py::kw_only(), arg("note"))
      .def("note",
           [](LockedEnsemble& self) {
             return self.compute([](auto& ensemble) { return ensemble.note(); });
           })
      .def("memory", &memory)
      .def("restore", &restore, arg("memory"), arg("note"), arg("intervals") = py::none());
}

}  // namespace memoa::python
