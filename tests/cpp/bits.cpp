// Prints a number made of every bit of some runs, for builds to be compared: the kernels of plain
// C++ and those of the compiler's vectors, and compilers, give the same.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "memoa/memoa.hpp"

namespace {

using namespace memoa;

std::uint64_t mix(std::uint64_t hash, const std::vector<double>& values) {
  for (const double value : values) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    hash = (hash ^ bits) * 1099511628211U;
  }
  return hash;
}

const Encoder kEncoders[] = {Linear{}, RandomFeatures{7, Activation::relu},
                             RandomFeatures{6, Activation::tanh},
                             RandomFeatures{9, Activation::wave, 1.5, 2, 2}, EchoState{6}};

/// Waves without a library's sine, whose bits are its own.
double wave(Index t, Index period) {
  const double u = static_cast<double>(t % period) / static_cast<double>(period);
  return 4.0 * u * (1.0 - u) - 0.5;
}

template <class Real>
std::uint64_t of_ensembles(std::uint64_t hash) {
  constexpr Index T = 80, dx = 3, N = 300;
  for (const Encoder& encoder : kEncoders) {
    PopulationSettings settings;
    settings.n_agents = N, settings.n_inputs = dx, settings.encoder = encoder;
    BasicPopulation<Real> population(settings);
    BasicServerMixture<Real> server(N, 1);
    std::vector<double> x(T * dx), y(T), forecasts(T), costs(N);
    for (Index t = 0; t < T; ++t) {
      for (Index j = 0; j < dx; ++j) x[t * dx + j] = wave(t, 7 + 4 * j);
      y[t] = wave(t, 13) + 0.3 * wave(t, 29);
    }
    run(population, server, x.data(), y.data(), T, {forecasts.data()});
    population.costs(costs.data());
    hash = mix(mix(hash, forecasts), costs);
  }
  return hash;
}

template <class Real>
std::uint64_t of_panel(std::uint64_t hash) {
  constexpr Index T = 40, N = 100, dx = 3;
  PanelSettings settings;
  settings.n_clients = N, settings.n_inputs = dx;
  BasicPanel<Real> panel(settings);
  std::vector<Real> x(N * dx);
  std::vector<double> y(N), forecasts(N), costs(N);
  for (Index t = 0; t < T; ++t) {
    for (Index i = 0; i < N; ++i) {
      for (Index j = 0; j < dx; ++j) x[i * dx + j] = static_cast<Real>(wave(t + i, 5 + 6 * j));
      y[i] = wave(t + i, 11) + 0.1 * static_cast<double>(i);
    }
    panel.predict(x.data(), forecasts.data());
    panel.learn(y.data());
    hash = mix(hash, forecasts);
  }
  panel.costs(costs.data());
  return mix(hash, costs);
}

}  // namespace

int main() {
  std::uint64_t hash = of_ensembles<float>(of_ensembles<double>(14695981039346656037U));
  hash = of_panel<float>(of_panel<double>(hash));
  std::printf("%016llx\n", static_cast<unsigned long long>(hash));
}
