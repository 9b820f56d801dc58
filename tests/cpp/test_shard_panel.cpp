#include <memoa/panel.hpp>
#include <memoa/simulation.hpp>

#include "problems.hpp"
#include "ranks.hpp"

using namespace memoa;
using tests::contains;
using tests::message_of;
using tests::Ranks;
using tests::refusal;

namespace {

constexpr Index kN = 3 * kShardUnit + 100, kT = 12;

/// Series of clients that sleep and miss values at times.
struct Clients {
  Index d;
  std::vector<double> x, y, initial;  // (T, N, 2), (T, N, d), (N, d)
  std::vector<unsigned char> awake;   // (T, N)

  explicit Clients(Index n_outputs) : d(n_outputs) {
    problems::Random random(11);
    x = random.uniforms(kT * kN * 2), y = random.uniforms(kT * kN * d);
    initial = random.uniforms(kN * d);
    for (std::size_t k = 0; k < y.size(); k += 7) y[k] = std::nan("");
    for (std::size_t k = 0; k < initial.size(); k += 3) initial[k] = std::nan("");
    for (Index k = 0; k < kT * kN; ++k) awake.push_back(k % 11 != 0);
  }
  /// Rows of the clients [first, last) of every step.
  template <class Number>
  static std::vector<Number> part(const std::vector<Number>& all, Index first, Index last) {
    const Index steps = static_cast<Index>(all.size()) % (kT * kN) == 0 ? kT : 1;
    const Index width = static_cast<Index>(all.size()) / (steps * kN);
    std::vector<Number> rows;
    for (Index t = 0; t < steps; ++t)
      rows.insert(rows.end(), all.begin() + (t * kN + first) * width,
                  all.begin() + (t * kN + last) * width);
    return rows;
  }
};

struct Seen {
  std::vector<double> forecasts, shown, readouts, weights, costs;  // of those here
  std::vector<double> mean_readout;
};

Seen follow(const PanelSettings& s, const Clients& clients) {
  const Index N = s.n_clients, d = s.n_outputs, p = 3, first = s.shard.first;
  const auto x = Clients::part(clients.x, first, first + N);
  const auto y = Clients::part(clients.y, first, first + N);
  const auto initial = Clients::part(clients.initial, first, first + N);
  const auto awake = Clients::part(clients.awake, first, first + N);
  Panel panel(s);
  panel.observe(initial.data());
  Seen seen;
  seen.forecasts.resize((kT - 1) * N * d), seen.shown.resize(N * d);
  panel.run(x.data(), y.data(), awake.data(), kT - 2, seen.forecasts.data());
  seen.weights.resize(N * d);
  panel.consensus_weights(seen.weights.data());  // before the sums have gone anywhere
  panel.restore(panel.memory());
  panel.predict(x.data() + (kT - 2) * N * 2, &seen.forecasts[(kT - 2) * N * d]);
  panel.learn(y.data() + (kT - 2) * N * d);
  panel.predict(x.data() + (kT - 1) * N * 2, seen.shown.data());
  seen.readouts.resize(N * p * d), seen.costs.resize(N), seen.mean_readout.resize(p * d);
  panel.readouts(seen.readouts.data());
  panel.costs(seen.costs.data());
  panel.mean_readout(seen.mean_readout.data());
  for (double& value : seen.forecasts)
    if (std::isnan(value)) value = -1.0;
  return seen;
}

PanelSettings settings_of(Aggregate aggregate, Index n_outputs) {
  PanelSettings s;
  s.n_clients = kN, s.n_inputs = 2, s.n_outputs = n_outputs;
  s.aggregate = aggregate;
  s.n_threads = 1;
  return s;
}

}  // namespace

TEST_CASE("a panel in several processes computes the bits of one") {
  for (const Index d : {1, 2})
    for (const Aggregate aggregate : {Aggregate::mean, Aggregate::clip}) {
      const Clients clients(d);
      PanelSettings s = settings_of(aggregate, d);
      s.delay = d == 2 ? 3 : 0;  // where y comes late too
      const Seen whole = follow(s, clients);
      const int n_ranks = d == 1 ? 4 : 2;
      std::vector<Seen> parts(static_cast<std::size_t>(n_ranks));
      std::vector<Index> firsts(parts.size());
      Ranks ranks(n_ranks);
      ranks.run(kN, [&](int rank, Index n_clients, const Shard& shard) {
        PanelSettings here = s;
        here.n_clients = n_clients, here.shard = shard;
        firsts[rank] = shard.first;
        parts[rank] = follow(here, clients);
      });
      for (int rank = 0; rank < n_ranks; ++rank) {
        const Seen& part = parts[rank];
        const Index first = firsts[rank], N = static_cast<Index>(part.costs.size());
        CHECK(part.mean_readout == whole.mean_readout);
        for (Index t = 0; t < kT - 1; ++t)
          CHECK(std::equal(part.forecasts.begin() + t * N * d,
                           part.forecasts.begin() + (t + 1) * N * d,
                           whole.forecasts.begin() + (t * kN + first) * d));
        CHECK(std::equal(part.shown.begin(), part.shown.end(), whole.shown.begin() + first * d));
        CHECK(std::equal(part.weights.begin(), part.weights.end(),
                         whole.weights.begin() + first * d));
        CHECK(std::equal(part.readouts.begin(), part.readouts.end(),
                         whole.readouts.begin() + first * 3 * d));
        CHECK(std::equal(part.costs.begin(), part.costs.end(), whole.costs.begin() + first));
      }
    }
}

TEST_CASE("a step of a panel takes two exchanges") {
  const Clients clients(1);
  Ranks ranks(2);
  ranks.run(kN, [&](int, Index n_clients, const Shard& shard) {
    PanelSettings s = settings_of(Aggregate::clip, 1);
    s.n_clients = n_clients, s.shard = shard;
    Panel panel(s);
    const auto x = Clients::part(clients.x, shard.first, shard.first + n_clients);
    const auto y = Clients::part(clients.y, shard.first, shard.first + n_clients);
    std::vector<double> forecasts(kT * n_clients);
    panel.run(x.data(), y.data(), nullptr, kT, forecasts.data());
  });
  CHECK(ranks.exchanges() == 2 * kT);  // the length of the run, and none for readouts at first
}

TEST_CASE("what a panel in several processes cannot do is refused") {
  PanelSettings s = settings_of(Aggregate::trimmed, 1);
  s.n_clients = kShardUnit, s.shard = {0, kN, nullptr};
  CHECK(contains(refusal([&] { Panel panel(s); }), "aggregate is trimmed"));
  s.aggregate = Aggregate::clip;
  Panel panel(s);
  CHECK(contains(refusal([&] { panel.add_clients(2); }), "expected all clients from the start"));
}

TEST_CASE("an exchange that fails breaks a panel, and it says so") {
  const Clients clients(1);
  for (const int fails_at : {1, 2, 5}) {
    Ranks ranks(2);
    ranks.fails_at = fails_at;
    ranks.run(kN, [&](int, Index n_clients, const Shard& shard) {
      PanelSettings s = settings_of(Aggregate::clip, 1);
      s.n_clients = n_clients, s.shard = shard;
      Panel panel(s);
      const auto x = Clients::part(clients.x, shard.first, shard.first + n_clients);
      const auto y = Clients::part(clients.y, shard.first, shard.first + n_clients);
      std::vector<double> forecasts(kT * n_clients);
      CHECK(message_of<std::runtime_error>([&] {
              panel.run(x.data(), y.data(), nullptr, kT, forecasts.data());
            }) == "the wire was cut");
      for (const std::string& later :
           {message_of<std::runtime_error>([&] { panel.memory(); }),
            message_of<std::runtime_error>([&] { panel.predict(x.data(), forecasts.data()); }),
            message_of<std::runtime_error>([&] { panel.learn(y.data()); }),
            message_of<std::runtime_error>([&] { panel.costs(forecasts.data()); })})
        CHECK(contains(later, "broken since an exchange"));
    });
  }
}

TEST_CASE("a simulation in several processes computes the bits of one") {
  const Index N = 4 * kShardUnit + 77, d = 2;
  const std::vector<Game> games = {Game(problems::random_game(1, 5, d, 3)),
                                   Game(problems::random_game(2, 5, d, 3))};
  const std::vector<double> shares = {0.4, 0.6}, mean = {0.5, -1.0, 0.1, 2.0},
                            cov = {1.0, 0.2, 0.2, 0.5, 2.0, 0.0, 0.0, 1.0};
  const std::vector<Policy> policies = solve_mean_field(games, shares);
  for (const MeanField kind : {MeanField::empirical, MeanField::limit}) {
    SimulationSettings s{N, 7, kind, 2, {}};
    const Simulation whole = simulate(games, policies, shares, mean, cov, s);
    Ranks ranks(3);
    ranks.run(N, [&](int, Index n_agents, const Shard& shard) {
      const Simulation part =
          simulate(games, policies, shares, mean, cov, {n_agents, 7, kind, 1, shard});
      CHECK(std::equal(part.cost.begin(), part.cost.end(), whole.cost.begin() + shard.first));
      CHECK(part.mean_path == whole.mean_path);
      CHECK(part.type_sizes == whole.type_sizes);
      CHECK(part.mean_cost == whole.mean_cost);
      CHECK(part.worst_cost == whole.worst_cost);
      CHECK(part.worst_agent == whole.worst_agent);
    });
  }
  Ranks ranks(2);
  const std::string said = refusal([&] {
    ranks.run(N, [&](int rank, Index n_agents, const Shard& shard) {
      const auto seed = static_cast<std::uint64_t>(rank);
      simulate(games, policies, shares, mean, cov,
               {n_agents, seed, MeanField::empirical, 1, shard});
    });
  });
  CHECK(contains(said, "seed is not the same in all 2 processes"));
}
