#include "memoa/population.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bind_encoder.hpp"
#include "constructor.hpp"

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
                                 const std::optional<Shard>& shard, Index delay,
                                 bool follows_mean) {
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
  s.follow = follows_mean ? Follow::mean : Follow::server;
  s.seed = seed;
  s.n_threads = n_threads;
  if (shard) s.shard = *shard;
  validate(s);
  return s;
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
           arg("n_outputs") = 1, arg("seed") = 0, arg("shard") = py::none(), arg("delay") = 0,
           arg("follows_mean") = false)
      .def_readonly("n_agents", &PopulationSettings::n_agents)
      .def_readonly("n_threads", &PopulationSettings::n_threads);
}

}  // namespace memoa::python
