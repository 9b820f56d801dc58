#pragma once

#include <cstdlib>

#include "checks.hpp"
#include "problems.hpp"

/// What the tests of single steps and those of whole runs share.
namespace memoa::tests {

using problems::Stream;

inline const Encoders kEncoders[] = {Linear{},
                                     RandomFeatures{7, Activation::relu},
                                     RandomFeatures{6, Activation::tanh},
                                     RandomFeatures{5, Activation::cos, 2.0},
                                     RandomFeatures{4, Activation::wave, 0.7},
                                     RandomFeatures{9, Activation::wave, 1.5, 2, 2},
                                     RandomFeatures{6, Activation::relu, 1.0, 0, 1},
                                     EchoState{6},
                                     {RandomFeatures{9, Activation::wave, 1.0, 2, 2}, EchoState{4},
                                      Linear{}, RandomFeatures{5, Activation::relu}}};

inline PopulationSettings settings_of(Index n_agents, const Stream& stream,
                                      const Encoders& encoder = RandomFeatures{},
                                      PolicyKind policy = PolicyKind::memoa) {
  PopulationSettings s;
  s.n_agents = n_agents;
  s.n_inputs = stream.n_inputs;
  s.n_outputs = stream.n_outputs;
  s.encoder = encoder;
  s.policy = policy;
  s.seed = 5;
  s.consensus = 1.0;
  s.forgetting = {0.97, 0.99, 0.998};
  s.ridge = {0.1};
  s.past = {};
  s.bounded = false;
  const auto* random = std::get_if<RandomFeatures>(&encoder.front());
  if (random != nullptr && random->n_raw > 0) {  // one of kEncoders: all that there is
    s.past = {2, kAutoSeason};
    s.bounded = true;
  }
  return s;
}

/// A server with rivals where the agents see the past.
inline Mixture mixture_of(const PopulationSettings& settings) {
  Mixture mixture;
  mixture.rivals = settings.past.any();
  mixture.season = settings.past.season;
  return mixture;
}

/// Everything that can be seen of a population.
struct Seen {
  std::vector<double> predictions, costs, mean_field;
  double worst_cost;
  bool operator==(const Seen& o) const {
    return predictions == o.predictions && costs == o.costs && mean_field == o.mean_field &&
           worst_cost == o.worst_cost;
  }
};

template <class Real>
Seen see(const BasicPopulation<Real>& population) {
  const Index N = population.settings().n_agents, d = population.settings().n_outputs;
  Seen seen{std::vector<double>(N * d),
            std::vector<double>(N),
            {population.mean_field(), population.mean_field() + d},
            population.worst_cost()};
  population.predictions(seen.predictions.data());
  population.costs(seen.costs.data());
  return seen;
}

/// A population that has seen a y of zeros, so that every step of a stream is learnt.
template <class Real = double>
BasicPopulation<Real> started(const PopulationSettings& settings) {
  BasicPopulation<Real> population(settings);
  const std::vector<double> zero(static_cast<std::size_t>(settings.n_outputs), 0.0);
  population.observe(zero.data());
  return population;
}

template <class Real>
void follow(BasicPopulation<Real>& population, const Stream& stream, Index first, Index last) {
  for (Index t = first; t < last; ++t) {
    population.predict(stream.x(t));
    population.learn(stream.y(t));
  }
}

/// The instruction sets of this processor, for MEMOA_INSTRUCTION_SET.
inline std::vector<std::string> instruction_sets() {
  std::vector<std::string> usable;
  for (const char* name : {"baseline", "x86-64-v3", "x86-64-v4"}) {
    setenv("MEMOA_INSTRUCTION_SET", name, 1);
    if (refusal([] { instruction_set(); }).empty()) usable.emplace_back(name);
  }
  unsetenv("MEMOA_INSTRUCTION_SET");
  return usable;
}

}  // namespace memoa::tests
