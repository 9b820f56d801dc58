#include "memoa/federated.hpp"

#include <cmath>
#include <limits>

#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::kEncoders;
using tests::refusal;
using tests::settings_of;

namespace {

/// What one client of all agents tells of a stream.
struct Story {
  std::vector<double> forecasts, energies;
  std::vector<unsigned char> present;
  Told told() const { return {forecasts.data(), energies.data(), present.data()}; }
};

template <class Real>
Story story_of(PopulationSettings settings, const Stream& stream, const double* initial) {
  settings.policy = PolicyKind::greedy;
  const Index N = settings.n_agents, T = stream.n_steps, d = stream.n_outputs;
  BasicPopulation<Real> client(settings);
  client.observe(initial);
  Story story{std::vector<double>(T * N * d), std::vector<double>(T * N),
              std::vector<unsigned char>(T * N, 1)};
  tell(client, stream.inputs.data(), stream.targets.data(), T, T, story.forecasts.data(),
       story.energies.data());
  return story;
}

PopulationSettings of_server(PopulationSettings settings) {
  settings.encoder = Precomputed{1};
  settings.past = {}, settings.bounded = false;  // those of its clients
  return settings;
}

}  // namespace

TEST_CASE_TEMPLATE("what agents tell gives the bits of a run", Real, double, float) {
  const double initial[] = {0.5, -1.0};
  for (const Index N : {7, 300}) {
    const Stream stream = random_stream(20, 30, 3, 2);
    for (const Encoders& encoder : kEncoders) {
      const PopulationSettings settings = settings_of(N, stream, encoder, PolicyKind::memoa);
      BasicPopulation<Real> whole(settings), server(of_server(settings));
      BasicServerMixture<Real> of_whole(N, 2), of_server(N, 2);
      std::vector<double> expected(60), shown(60), means(60), expected_means(60);
      RunOutput output;
      output.predictions = expected.data();
      output.mean_field = expected_means.data();
      run(whole, of_whole, stream.inputs.data(), stream.targets.data(), 30, output, initial);
      const Story story = story_of<Real>(settings, stream, initial);
      server.observe(initial);
      hear(server, of_server, story.told(), stream.targets.data(), 30, 30, shown.data(),
           means.data());
      CHECK(shown == expected);
      CHECK(means == expected_means);
    }
  }
}

TEST_CASE("agents that are absent count for nothing") {
  const Index N = 20, T = 25;
  const double initial[] = {0.0};
  const Stream stream = random_stream(3, T, 2, 1);
  const PopulationSettings settings = settings_of(N, stream, RandomFeatures{}, PolicyKind::memoa);
  const Story all = story_of<double>(settings, stream, initial);
  const auto listen = [&](const Story& story, Index n) {
    PopulationSettings of_these = of_server(settings);
    of_these.n_agents = n;
    of_these.follow = Follow::mean;  // a server knows of those who are absent
    Population server(of_these);
    ServerMixture mixture(n, 1);
    server.observe(initial);
    std::vector<double> shown(T), means(T), costs(n);
    hear(server, mixture, story.told(), stream.targets.data(), T, T, shown.data(), means.data());
    server.costs(costs.data());
    means.insert(means.end(), costs.begin(), costs.end());
    return means;
  };
  // the first 17 agents as an ensemble of their own, and the others absent
  Story some = all, few{{}, {}, std::vector<unsigned char>(T * 17, 1)};
  for (Index t = 0; t < T; ++t)
    for (Index i = 0; i < N; ++i) {
      some.present[t * N + i] = i < 17;
      if (i < 17) {
        few.forecasts.push_back(all.forecasts[t * N + i]);
        few.energies.push_back(all.energies[t * N + i]);
      } else {  // not read
        some.forecasts[t * N + i] = some.energies[t * N + i] = NAN;
      }
    }
  std::vector<double> found = listen(some, N), expected = listen(few, 17);
  CHECK(found[T + 18] == 0.0);
  found.resize(expected.size());
  CHECK(found == expected);
}

TEST_CASE("what is told is checked before any of it is learnt") {
  const Index N = 20, T = 4;
  const double initial[] = {0.0};
  const Stream stream = random_stream(3, T, 2, 1);
  const PopulationSettings settings = settings_of(N, stream, RandomFeatures{}, PolicyKind::memoa);
  Population server(of_server(settings)), client(settings);
  ServerMixture mixture(N, 1), other(N + 1, 1);
  std::vector<double> shown(T), means(T);
  const auto refused = [&](const Story& story, ServerMixture& by, Index n_known) {
    return refusal([&] {
      hear(server, by, story.told(), stream.targets.data(), T, n_known, shown.data(), means.data());
    });
  };
  const Story good = story_of<double>(settings, stream, initial);
  for (const double bad : {std::numeric_limits<double>::infinity(), -1.0, 1e200}) {
    Story story = good;
    story.energies[3 * N + 2] = bad;
    CHECK(contains(refused(story, mixture, T), "[3, 2]"));
  }
  Story story = good;
  story.forecasts[N + 5] = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(refused(story, mixture, T), "[1, 5]"));
  CHECK(contains(refused(good, other, T), "another number"));
  CHECK(contains(refused(good, mixture, T - 2), "one less"));
  CHECK(server.steps() == 0);
  CHECK(!server.has_seen());
  CHECK(contains(refusal([&] {
                   tell(client, stream.inputs.data(), stream.targets.data(), T, T, shown.data(),
                        means.data());
                 }),
                 "greedy"));
}

TEST_CASE("readouts from elsewhere are checked, and those of the absent are not read") {
  PanelSettings settings;
  settings.n_clients = 10;
  settings.encoder = Precomputed{2};
  Panel panel(settings);
  std::vector<double> readouts(20, 1.0), mean(2);
  std::vector<unsigned char> present(10, 1);
  readouts[7] = std::numeric_limits<double>::infinity();
  CHECK(contains(refusal([&] { panel.gather(readouts.data(), present.data()); }), "readouts"));
  CHECK(panel.steps() == 0);
  present[3] = 0;
  panel.gather(readouts.data(), present.data());
  panel.mean_readout(mean.data());
  CHECK(mean == std::vector<double>{1.0, 1.0});
  CHECK(panel.steps() == 1);
  const double bad[] = {0.0, NAN};
  CHECK(contains(refusal([&] { panel.receive(bad); }), "mean_readout"));
}
