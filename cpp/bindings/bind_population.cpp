#include "memoa/population.hpp"

#include <pybind11/stl.h>

#include <chrono>

#include "bind_encoder.hpp"
#include "bind_memory.hpp"
#include "bind_mixture.hpp"
#include "bind_population.hpp"
#include "constructor.hpp"
#include "memoa/interval.hpp"
#include "memoa/run.hpp"
#include "memoa/saved.hpp"

namespace memoa::python {
namespace {

EncoderHandle random_features(Index n_features, const std::string& activation, double scale,
                              Index n_raw, Index n_columns) {
  RandomFeatures encoder{n_features, Activation::relu, scale, n_raw, n_columns};
  if (activation == "tanh")
    encoder.activation = Activation::tanh;
  else if (activation == "cos")
    encoder.activation = Activation::cos;
  else if (activation == "wave")
    encoder.activation = Activation::wave;
  else if (activation != "relu")
    throw std::invalid_argument("activation is '" + activation +
                                "'; expected 'relu', 'tanh', 'cos' or 'wave'");
  return {encoder};
}

Aggregate aggregate_of(const std::string& name) {
  if (name == "mean") return Aggregate::mean;
  if (name == "trimmed") return Aggregate::trimmed;
  if (name == "clip") return Aggregate::clip;
  throw std::invalid_argument("aggregate is '" + name + "'; expected 'mean', 'trimmed' or 'clip'");
}

PopulationSettings make_settings(Index n_agents, const std::vector<EncoderHandle>& handles,
                                 bool greedy, double consensus, double effort, Index horizon,
                                 double discount, const std::vector<double>& forgetting,
                                 const std::vector<double>& ridge, const std::string& aggregate,
                                 Index lags, Index season, bool bounded, int n_threads,
                                 Index n_inputs, Index n_outputs, std::uint64_t seed,
                                 const std::optional<Shard>& shard, Index delay) {
  PopulationSettings s;
  s.n_agents = n_agents;
  s.n_inputs = n_inputs;
  s.n_outputs = n_outputs;
  s.encoder.clear();
  for (const EncoderHandle& handle : handles) s.encoder.push_back(handle.encoder);
  s.policy = greedy ? PolicyKind::greedy : PolicyKind::memoa;
  s.consensus = consensus;
  s.effort = effort;
  s.horizon = horizon;
  s.discount = discount;
  s.forgetting = forgetting;
  s.ridge = ridge;
  s.aggregate = aggregate_of(aggregate);
  s.past = {lags, season, delay};
  s.bounded = bounded;
  s.seed = seed;
  s.n_threads = n_threads;
  if (shard) s.shard = *shard;
  validate(s);
  return s;
}

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

/// The whole series, as memoa.Run tells it; `costs` are those of the run alone. X may have one row
/// more than Y. `intervals` around its forecasts learn from step `unseen` on and write `bounds`,
/// and `next_bounds` where there is one more row. After the steps nothing asks for memory.
py::dict run_series(LockedPopulation& self, LockedMixture& mixture, const Array& inputs,
                    const Array& targets, const std::optional<Array>& initial,
                    const IndexArray& record, const py::object& progress, Index skip, bool arriving,
                    Intervals* intervals, std::optional<Array> bounds,
                    std::optional<Array> next_bounds, Index unseen,
                    const std::optional<Flags>& awake) {
  const PopulationSettings& s = settings_of(self);
  const Index T = targets.ndim() == 2 ? targets.shape(0) : 0, d = s.n_outputs, R = record.size();
  Shape shape = input_shape(s);
  const bool has_next = inputs.ndim() > 0 && inputs.shape(0) == T + 1;
  shape.insert(shape.begin(), has_next ? T + 1 : T);
  require_shape("Y", targets, {T, d});
  require_shape("X", inputs, shape);
  if (awake) require_shape("awake", *awake, {shape[0], s.n_agents});
  const bool many = initial && initial->ndim() == 2;  // a run knows how many it takes
  const Index n_initial = many ? initial->shape(0) : 1;
  if (initial) require_shape("initial", *initial, many ? Shape{n_initial, d} : Shape{d});
  double *of_steps = nullptr, *of_next = nullptr;
  const Index per_step = intervals ? static_cast<Index>(intervals->levels().size()) * 2 * d : 0;
  if (intervals) {
    require_shape("bounds", bounds.value(), {T, per_step / (2 * d), 2, d});
    require_shape("next_bounds", next_bounds.value(), {per_step / (2 * d), 2, d});
    of_steps = bounds->mutable_data(), of_next = next_bounds->mutable_data();
  }
  Array predictions({T, d}), mean_field({T, d}), worst_cost(T), recorded({T, R, d});
  Array shares({T, Index{4}, d});
  Array costs(s.n_agents), missed(awake ? s.n_agents : 0), base(d), next(d);
  Array bases({s.past.delay > 0 ? T : 0, d});
  RunOutput output;
  output.predictions = predictions.mutable_data();
  output.shares = shares.mutable_data();
  output.mean_field = mean_field.mutable_data();
  output.worst_cost = worst_cost.mutable_data();
  output.recorded = recorded.mutable_data();
  output.record = record.data();
  output.n_record = R;
  if (s.past.delay > 0) output.bases = bases.mutable_data(), output.costs = costs.mutable_data();
  output.skip = skip;
  if (has_next) output.next = next.mutable_data();
  double *of_run = costs.mutable_data(), *missed_in_run = missed.mutable_data();
  double* before = base.mutable_data();
  const unsigned char* present = awake ? awake->data() : nullptr;
  bool knows = false;
  Slices slices;
  compute(self, mixture, [&](auto& population, auto& server, auto& both) {
    const Pace pace = [&](Index done) {
      if (done == 0) {  // all is checked, nothing is learnt
        population.mark_costs();
        knows = population.has_seen();
        std::copy_n(population.base(), d, before);
        return slices.next();
      }
      both.unlock();  // the callback may look at the engines
      {
        py::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!progress.is_none()) progress(done, T);
      }
      both.lock();
      return slices.next();
    };
    run(population, server, inputs.data(), targets.data(), T, output,
        initial ? initial->data() : nullptr, pace, n_initial,
        arriving ? Labels::arriving : Labels::own, present);
    if (output.costs == nullptr) population.costs_since_mark(of_run);
    if (present != nullptr) population.missed_since_mark(missed_in_run);
    for (Index t = unseen; intervals && t < T; ++t) {
      intervals->bounds(output.predictions + t * d, of_steps + t * per_step);
      intervals->learn(output.predictions + t * d, targets.data() + t * d);
    }
    if (intervals && output.next) intervals->bounds(output.next, of_next);
  });
  py::dict result;
  result["predictions"] = predictions;
  result["shares"] = shares;
  result["mean_field"] = mean_field;
  result["worst_cost"] = worst_cost;
  result["recorded"] = recorded;
  result["costs"] = costs;
  if (awake) result["missed"] = missed;
  result["base"] = base;
  result["bases"] = bases;
  if (has_next) result["next"] = next;
  result["unscored"] = knows ? 0 : 1;
  return result;
}

/// Each row as the next input, none of them learnt: (T, d).
Array forecast_rows(LockedPopulation& self, LockedMixture& mixture, const Array& inputs) {
  Shape shape = input_shape(settings_of(self));
  const Index T = inputs.ndim() > 0 ? inputs.shape(0) : 0, d = settings_of(self).n_outputs;
  shape.insert(shape.begin(), T);
  require_shape("X", inputs, shape);
  Array mixed({T, d});
  double* out = mixed.mutable_data();
  compute(self, mixture, [&](auto& population, auto& server, auto&) {
    predict_rows(population, server, inputs.data(), T, out);
  });
  return mixed;
}

void learn_late(LockedPopulation& self, LockedMixture& mixture, const Array& x, const Array& y) {
  require_shape("x", x, input_shape(settings_of(self)));
  require_shape("y", y, {settings_of(self).n_outputs});
  compute(self, mixture, [&](auto& population, auto& server, auto&) {
    learn_oldest(population, server, x.data(), y.data());
  });
}

void observe_late(LockedPopulation& self, LockedMixture& mixture, const Array& y) {
  require_shape("y", y, {settings_of(self).n_outputs});
  compute(self, mixture,
          [&](auto& population, auto& server, auto&) { observe(population, server, y.data()); });
}

void save_engines(LockedPopulation& self, LockedMixture& mixture, const std::string& path,
                  const Array& pending, const std::string& note) {
  compute(self, mixture, [&](auto& population, auto& server, auto&) {
    save(path, population, server, to_vector(pending), note);
  });
}

py::tuple load_engines(const std::string& path, int n_threads) {
  std::unique_ptr<LockedPopulation> population;
  std::unique_ptr<LockedMixture> server;
  Saved saved = [&] {
    py::gil_scoped_release release;  // safe: only the file is touched
    return load(path, n_threads);
  }();
  std::visit(
      [&](auto& engines) {
        population = std::make_unique<LockedPopulation>(std::move(engines.population));
        server = std::make_unique<LockedMixture>(std::move(engines.mixture));
      },
      saved.engines);
  return py::make_tuple(to_python(std::move(population)), to_python(std::move(server)),
                        copy(saved.pending.data(), {static_cast<Index>(saved.pending.size())}),
                        saved.header);
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
      .def_static("linear", [] { return EncoderHandle{Linear{}}; })
      .def_static("precomputed", [](Index n) { return EncoderHandle{Precomputed{n}}; })
      .def("validate", [](const EncoderHandle& handle) { validate(handle.encoder); });

  module.def(
      "draw_weights",
      [](const EncoderHandle& handle, std::uint64_t seed, std::uint64_t agent, Index n_inputs,
         Index n_own) {
        const EncoderWeights w = draw_weights(handle.encoder, seed, agent, n_inputs, n_own);
        const auto array = [](const std::vector<double>& v) {
          return copy(v.data(), {static_cast<py::ssize_t>(v.size())});
        };
        py::dict drawn;
        drawn["input"] = array(w.input);
        drawn["bias"] = array(w.bias);
        drawn["reservoir"] = array(w.reservoir);
        drawn["raw"] = w.raw;
        drawn["columns"] = w.columns;
        return drawn;
      },
      arg("encoder"), arg("seed"), arg("agent"), arg("n_inputs"), arg("n_own") = 0);

  py::class_<PopulationSettings>(module, "PopulationSettings")
      .def("__init__", constructor<PopulationSettings>(&make_settings), kConstructor, py::kw_only(),
           arg("n_agents"), arg("encoder"), arg("greedy"), arg("consensus"), arg("effort"),
           arg("horizon"), arg("discount"), arg("forgetting"), arg("ridge"), arg("aggregate"),
           arg("lags"), arg("season"), arg("bounded"), arg("n_threads"), arg("n_inputs") = 1,
           arg("n_outputs") = 1, arg("seed") = 0, arg("shard") = py::none(), arg("delay") = 0)
      .def_readonly("n_agents", &PopulationSettings::n_agents)
      .def_readonly("n_threads", &PopulationSettings::n_threads);

  module.def("load", &load_engines, arg("path"), py::kw_only(), arg("n_threads"));

  py::class_<LockedPopulation>(module, "Population")
      .def("__init__",
           constructor<LockedPopulation>([](const PopulationSettings& settings, bool single) {
             py::gil_scoped_release release;  // safe: drawing the weights touches no Python object
             return std::make_unique<LockedPopulation>(single, settings);
           }),
           kConstructor, arg("settings"), arg("single") = false)
      .def(
          "observe",
          [](LockedPopulation& self, const Array& y) {
            require_shape("y", y, {settings_of(self).n_outputs});
            self.compute([&](auto& population) { population.observe(y.data()); });
          },
          arg("y").noconvert())
      .def(
          "predict",
          [](LockedPopulation& self, LockedMixture& mixture, const Array& x,
             const Intervals* intervals, std::optional<Array> bounds,
             const std::optional<Flags>& awake) {
            require_shape("x", x, input_shape(settings_of(self)));
            const Index d = settings_of(self).n_outputs;
            if (awake) require_shape("awake", *awake, {settings_of(self).n_agents});
            const unsigned char* present = awake ? awake->data() : nullptr;
            Array mixed(d);
            double *out = mixed.mutable_data(), *around = nullptr;
            if (intervals) {
              const auto n_levels = static_cast<Index>(intervals->levels().size());
              require_shape("bounds", bounds.value(), {n_levels, 2, d});
              around = bounds->mutable_data();
            }
            compute(self, mixture, [&](auto& population, auto& server, auto&) {
              predict(population, server, x.data(), out, present);
              if (intervals) intervals->bounds(out, around);
            });
            return mixed;
          },
          arg("mixture"), arg("x").noconvert(), py::kw_only(), arg("intervals") = nullptr,
          arg("bounds").noconvert() = py::none(), arg("awake").noconvert() = py::none())
      .def(
          "learn",
          [](LockedPopulation& self, LockedMixture& mixture, const Array& y) {
            require_shape("y", y, {settings_of(self).n_outputs});
            compute(self, mixture, [&](auto& population, auto& server, auto&) {
              learn(population, server, y.data());
            });
          },
          arg("mixture"), arg("y").noconvert())
      .def("run", &run_series, arg("mixture"), arg("inputs").noconvert(),
           arg("targets").noconvert(), py::kw_only(), arg("initial").noconvert().none(true),
           arg("record").noconvert(), arg("progress").none(true), arg("skip") = 0,
           arg("arriving") = false, arg("intervals") = nullptr,
           arg("bounds").noconvert() = py::none(), arg("next_bounds").noconvert() = py::none(),
           arg("unseen") = 0, arg("awake").noconvert() = py::none())
      .def(
          "n_told",
          [](LockedPopulation& self, const Array& x) {
            require_shape("x", x, input_shape(settings_of(self)));
            return self.compute([&](auto& population) { return n_told(population, x.data()); });
          },
          arg("x").noconvert())
      .def("learn_oldest", &learn_late, arg("mixture"), arg("x").noconvert(), arg("y").noconvert())
      .def("observe_late", &observe_late, arg("mixture"), arg("y").noconvert())
      .def_property_readonly("n_waiting",
                             [](const LockedPopulation& p) {
                               return p.look([](const auto& e) { return n_waiting(e); });
                             })
      .def_property_readonly("scored",
                             [](const LockedPopulation& p) {
                               return p.look([](const auto& e) { return n_scored(e); });
                             })
      .def("waiting_inputs",
           [](LockedPopulation& self) {
             const PopulationSettings& s = settings_of(self);
             const std::vector<double> all =
                 self.compute([](auto& population) { return waiting_inputs(population); });
             const Shape one = input_shape(s);
             Index size = 1;
             for (const Index n : one) size *= n;
             Shape shape{static_cast<Index>(all.size()) / size};
             shape.insert(shape.end(), one.begin(), one.end());
             return copy(all.data(), shape);
           })
      .def("predict_rows", &forecast_rows, arg("mixture"), arg("inputs").noconvert())
      .def_property_readonly("has_seen",
                             [](const LockedPopulation& p) {
                               return p.look([](const auto& e) { return e.has_seen(); });
                             })
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
      .def("costs",
           [](LockedPopulation& self) {
             Array out(settings_of(self).n_agents);
             double* data = out.mutable_data();
             self.compute([&](auto& population) { population.costs(data); });
             return out;
           })
      .def("missed",
           [](LockedPopulation& self) {
             Array out(settings_of(self).n_agents);
             double* data = out.mutable_data();
             self.compute([&](auto& population) { population.missed(data); });
             return out;
           })
      .def("awake",
           [](LockedPopulation& self) -> std::optional<Flags> {
             Flags out(settings_of(self).n_agents);
             unsigned char* data = out.mutable_data();
             const bool some = self.compute([&](auto& engine) { return engine.awake(data); });
             return some ? std::optional<Flags>(out) : std::nullopt;
           })
      .def("save", &save_engines, arg("mixture"), arg("path"), py::kw_only(),
           arg("pending").noconvert(), arg("note"))
      .def("memory", [](LockedPopulation& self) { return memory_to_dict(self); })
      .def("restore", [](LockedPopulation& self, const py::dict& memory) {
        PopulationMemory like;
        if (memory.contains("sleep")) like.sleep.resize(1);  // a memory need not have it
        memory_from_dict(self, memory, std::move(like));
      });
}

}  // namespace memoa::python
