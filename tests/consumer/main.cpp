#include <cmath>
#include <iostream>
#include <memoa/memoa.hpp>

/// Solves a game whose stationary gain is known, then runs a small population on a ramp.
int main() {
  memoa::GameData data;
  data.horizon = 60;
  data.n_outputs = data.n_features = 1;
  data.feature_mean = {1.0};
  data.feature_cov = {0.0};
  data.target = {1.0};
  const memoa::Policy policy = memoa::solve_mean_field(memoa::Game(data));
  const double golden = 0.5 * (1.0 + std::sqrt(5.0));
  std::cout << "first gain " << policy.gain.front() << ", expected " << -1.0 / golden << '\n';

  memoa::PopulationSettings settings;
  settings.n_agents = 20;
  memoa::Population population(settings);
  memoa::ServerMixture mixture(settings.n_agents, settings.n_outputs);
  double predictions[100], ramp[100];
  for (int t = 0; t < 100; ++t) ramp[t] = 0.1 * t;
  memoa::run(population, mixture, ramp, ramp, 100, {predictions});
  std::cout << "last prediction " << predictions[99] << ", truth " << ramp[99] << '\n';

  const bool solved = std::abs(policy.gain.front() + 1.0 / golden) < 1e-12;
  return solved && std::abs(predictions[99] - ramp[99]) < 0.05 ? 0 : 1;
}
