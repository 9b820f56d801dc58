// Several threads may call const members at once. ThreadSanitizer tells whether one of them writes.
#include <thread>

#include "memoa/ensemble.hpp"
#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;

namespace {

using Numbers = std::vector<double>;

/// All threads see at once what one sees later, as calls of `look(numbers)` have it.
template <class Look>
void check_at_once(const Look& look) {
  std::vector<Numbers> seen(4);
  std::vector<std::thread> threads;
  threads.reserve(seen.size());
  for (Numbers& own : seen) threads.emplace_back([&look, &own] { look(own); });
  for (std::thread& thread : threads) thread.join();
  Numbers later;
  look(later);
  for (const Numbers& own : seen) CHECK(own == later);
}

/// What a member writes, `n` numbers.
template <class Write>
void add(Numbers& to, Index n, const Write& write) {
  Numbers numbers(static_cast<std::size_t>(n));
  write(numbers.data());
  for (const double number : numbers) to.push_back(std::isnan(number) ? -12345.0 : number);
}

template <class Real>
void look_at(const BasicPopulation<Real>& population, Numbers& seen) {
  const PopulationSettings& s = population.settings();
  const Index N = s.n_agents, d = s.n_outputs;
  seen.insert(seen.end(), population.base(), population.base() + d);
  seen.insert(seen.end(), population.mean_field(), population.mean_field() + d);
  for (Index o = 0; o < d; ++o)
    for (Index i = 0; i < N; ++i)
      seen.push_back(static_cast<double>(population.increments()[o * population.stride() + i]));
  add(seen, N * d, [&](double* out) { population.predictions(out); });
  add(seen, N, [&](double* out) { population.energies(out); });
  for (const auto number : {population.steps(), population.overflow().step, n_scored(population),
                            n_waiting(population), static_cast<Index>(population.bytes())})
    seen.push_back(static_cast<double>(number));
  for (const double x : waiting_inputs(population)) seen.push_back(x);
  seen.push_back(population.has_seen() + 2.0 * population.is_pending());
}

}  // namespace

TEST_CASE_TEMPLATE("several threads look at engines", Real, double, float) {
  const Stream stream = random_stream(1, 30, 3, 2);
  for (const Index delay : {0, 2}) {
    PopulationSettings settings = tests::settings_of(300, stream);
    settings.past.delay = delay;
    Mixture mixture = tests::mixture_of(settings);
    mixture.delay = delay;
    BasicPopulation<Real> population(settings);
    BasicServerMixture<Real> server(300, 2, mixture);
    BasicOnlineEnsemble<Real> ensemble(settings, mixture, {0.9});
    for (Index t = 0; t < 30; ++t) {  // the last step leaves work that is put off
      Numbers forecast(2);
      predict(population, server, stream.x(t), forecast.data());
      ensemble.predict({stream.x(t), 3});
      if (t < delay) continue;
      const double *x = stream.x(t - delay), *y = stream.y(t - delay);
      if (delay == 0)
        learn(population, server, y);
      else
        learn_oldest(population, server, x, y);
      ensemble.learn({x, 3}, {y, 2});
    }
    check_at_once([&](Numbers& seen) {
      look_at(population, seen);
      look_at(ensemble.population(), seen);
      add(seen, 2, [&](double* out) { server.mixture_weight(out); });
      seen.push_back(static_cast<double>(server.steps() + ensemble.steps()));
      seen.push_back(ensemble.intervals()[0]);
      seen.push_back(ensemble.levels()[0] + ensemble.mixture().ridge);
    });
  }
}

TEST_CASE_TEMPLATE("several threads look at a panel", Real, double, float) {
  PanelSettings settings;
  settings.n_clients = 40, settings.n_inputs = 3, settings.n_outputs = 2;
  BasicPanel<Real> panel(settings);
  const Stream stream = random_stream(2, 30 * 40, 3, 2);
  const std::vector<Real> x(stream.inputs.begin(), stream.inputs.end());
  Numbers forecasts(80);
  for (Index t = 0; t < 30; ++t) {
    panel.predict(x.data() + t * 40 * 3, forecasts.data());
    panel.learn(stream.y(t * 40));
  }
  const BasicPanel<Real>& shown = panel;
  const Index p = n_features(settings.encoder, 3);
  check_at_once([&](Numbers& seen) {
    add(seen, 80, [&](double* out) { shown.base(out); });
    add(seen, 80 * p, [&](double* out) { shown.readouts(out); });
    add(seen, 2 * p, [&](double* out) { shown.mean_readout(out); });
    add(seen, 40, [&](double* out) { shown.costs(out); });
    add(seen, 40, [&](double* out) { shown.scored(out); });
    add(seen, 80, [&](double* out) { shown.scales(out); });
    std::vector<unsigned char> moved(80);
    shown.have_moved(moved.data());
    seen.insert(seen.end(), moved.begin(), moved.end());
    seen.push_back(static_cast<double>(shown.steps() + static_cast<Index>(shown.bytes())));
  });
}

TEST_CASE("several threads share a game, its policies, and intervals") {
  const Game game(problems::random_game(3, 4, 2, 3));
  const Policy policy = solve_mean_field(game);
  Intervals intervals({0.5, 0.9}, 2);
  const double forecast[] = {1.0, 2.0}, y[] = {1.5, 0.0}, state[] = {0.1, -0.2};
  intervals.learn(forecast, y);
  check_at_once([&](Numbers& seen) {
    const Numbers path = policy.mean_path(state), learnt = intervals.memory();
    seen.insert(seen.end(), path.begin(), path.end());
    seen.insert(seen.end(), learnt.begin(), learnt.end());
    add(seen, 8, [&](double* out) { intervals.bounds(forecast, out); });
    add(seen, 3, [&](double* out) { policy.act(1, state, 1, state, out); });
    for (const Policy& other : {solve_mean_field(game), solve_nash(game, 7)})
      seen.insert(seen.end(), other.gain.begin(), other.gain.end());
  });
}
