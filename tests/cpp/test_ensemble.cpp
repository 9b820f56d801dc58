#include "memoa/ensemble.hpp"

#include <filesystem>
#include <random>

#include "allocations.hpp"
#include "memoa/saved.hpp"
#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::kEncoders;
using tests::mixture_of;
using tests::names;
using tests::refusal;
using tests::settings_of;
namespace fs = std::filesystem;

namespace {

const std::vector<double> kLevels = {0.5, 0.9};

struct TemporaryFile {
  std::string path = (fs::temp_directory_path() /
                      ("memoa-ensemble-" + std::to_string(std::random_device{}()) + ".npz"))
                         .string();
  ~TemporaryFile() { fs::remove(path); }
};

/// A stream some of whose numbers are missing.
Stream with_gaps(std::uint64_t seed, Index steps) {
  Stream stream = random_stream(seed, steps, 3, 2);
  for (const Index t : {9, 10, 20}) stream.targets[static_cast<std::size_t>(2 * t)] = NAN;
  stream.targets[21] = stream.targets[33] = NAN;
  stream.inputs[40] = NAN;
  return stream;
}

template <class Real>
BasicOnlineEnsemble<Real> fresh(const Stream& stream, const Encoders& encoder = RandomFeatures{7}) {
  const PopulationSettings settings = settings_of(21, stream, encoder);
  return BasicOnlineEnsemble<Real>(settings, mixture_of(settings), kLevels);
}

constexpr Index kDelay = 3;

template <class Real>
BasicOnlineEnsemble<Real> late(const Stream& stream, const Encoders& encoder = RandomFeatures{7}) {
  PopulationSettings settings = settings_of(21, stream, encoder);
  settings.past.delay = kDelay;
  return BasicOnlineEnsemble<Real>(settings, mixture_of(settings), kLevels);
}

VectorView x_of(const Stream& s, Index t) { return {s.x(t), s.n_inputs}; }
VectorView y_of(const Stream& s, Index t) { return {s.y(t), s.n_outputs}; }

/// Forecasts and intervals of the steps [first, last), each y learnt once it is known.
template <class Real>
std::vector<double> follow(BasicOnlineEnsemble<Real>& e, const Stream& s, Index first, Index last) {
  std::vector<double> seen;
  for (Index t = first; t < last; ++t) {
    const std::vector<double>& forecast = e.predict(x_of(s, t));
    seen.insert(seen.end(), forecast.begin(), forecast.end());
    for (const double bound : e.intervals()) seen.push_back(std::isnan(bound) ? -1.0 : bound);
    const Index known = t - e.settings().past.delay;
    if (known >= 0) e.learn(x_of(s, known), y_of(s, known));
  }
  return seen;
}

/// The same, where a run has told what is known at the steps.
template <class Real>
std::vector<double> follow_told(BasicOnlineEnsemble<Real>& e, const Stream& s, Index first) {
  std::vector<double> seen;
  for (Index t = first; t < first + kDelay; ++t) {
    const std::vector<double>& forecast = e.predict(x_of(s, t));
    seen.insert(seen.end(), forecast.begin(), forecast.end());
    for (const double bound : e.intervals()) seen.push_back(std::isnan(bound) ? -1.0 : bound);
  }
  return seen;
}

template <class Real>
std::vector<double> run(BasicOnlineEnsemble<Real>& e, const Stream& s, Index first, Index last) {
  return e.run({s.x(first), last - first, s.n_inputs}, {s.y(first), last - first, s.n_outputs});
}

}  // namespace

TEST_CASE_TEMPLATE("an ensemble is its population and its server", Real, double, float) {
  const Stream stream = with_gaps(1, 40);
  for (const Encoders& encoder : kEncoders) {
    auto stepped = fresh<Real>(stream, encoder), whole = fresh<Real>(stream, encoder);
    BasicPopulation<Real> population(stepped.settings());
    BasicServerMixture<Real> server(21, 2, stepped.mixture());
    std::vector<double> forecasts;
    for (Index t = 0; t < 40; ++t) {
      std::vector<double> forecast(2);
      predict(population, server, stream.x(t), forecast.data());
      CHECK(stepped.predict(x_of(stream, t)) == forecast);
      learn(population, server, stream.y(t));
      stepped.learn(x_of(stream, t), y_of(stream, t));
      forecasts.insert(forecasts.end(), forecast.begin(), forecast.end());
    }
    CHECK(run(whole, stream, 0, 40) == forecasts);
    std::vector<double> costs(21), weights(21);
    population.costs(costs.data());
    server.weights(weights.data());
    CHECK(whole.agent_costs() == costs);
    CHECK(stepped.agent_costs() == costs);
    CHECK(whole.weights() == weights);
    CHECK(whole.steps() == population.steps());
    const WorstAgent worst = whole.worst_agent();
    CHECK(worst.cost == *std::max_element(costs.begin(), costs.end()));
    CHECK(costs[static_cast<std::size_t>(worst.agent)] == worst.cost);
    // intervals have learnt the same
    whole.predict(x_of(stream, 0)), stepped.predict(x_of(stream, 0));
    CHECK(whole.intervals() == stepped.intervals());
    CHECK(whole.intervals()[0] < whole.intervals()[2]);
  }
}

TEST_CASE_TEMPLATE("agents follow the server, which forecasts the same", Real, double, float) {
  const Stream stream = with_gaps(3, 60);
  std::vector<double> forecasts[2];
  double worst[2];
  for (const Follow follow : {Follow::server, Follow::mean}) {
    PopulationSettings settings = settings_of(21, stream, RandomFeatures{7});
    settings.follow = follow;
    settings.consensus = 10.0, settings.effort = 1e-9;
    BasicOnlineEnsemble<Real> ensemble(settings);
    const auto at = static_cast<std::size_t>(follow);
    forecasts[at] = ensemble.run({stream.inputs.data(), 60, 3}, {stream.targets.data(), 60, 2});
    worst[at] = ensemble.worst_agent().cost;
  }
  CHECK(forecasts[0] == forecasts[1]);
  CHECK(worst[0] != worst[1]);
}

TEST_CASE("an engine without its server takes the mean for the mean field") {
  const Stream stream = random_stream(4, 12, 3, 2);
  std::vector<double> shown[2];
  for (const Follow follow : {Follow::server, Follow::mean}) {
    PopulationSettings settings = settings_of(21, stream, RandomFeatures{7});
    settings.follow = follow;
    Population population(settings);
    population.observe(stream.y(0));
    for (Index t = 1; t < 12; ++t) {
      population.predict(stream.x(t));
      population.learn(stream.y(t));
    }
    auto& predictions = shown[static_cast<std::size_t>(follow)];
    predictions.resize(21 * 2);
    population.predictions(predictions.data());
  }
  CHECK(shown[0] == shown[1]);
}

TEST_CASE("learning what was not predicted predicts it first") {
  const Stream stream = random_stream(2, 30, 3, 2);
  auto one = fresh<double>(stream), other = fresh<double>(stream);
  follow(one, stream, 0, 20);
  for (Index t = 0; t < 20; ++t) {
    if (t % 3 == 0) other.predict(x_of(stream, t + 5));  // leaves no trace
    other.learn(x_of(stream, t), y_of(stream, t));
  }
  CHECK(follow(other, stream, 20, 30) == follow(one, stream, 20, 30));
}

TEST_CASE("a forecast that is taken back leaves the one before it to be learnt") {
  const Stream stream = random_stream(11, 30, 3, 2);
  auto one = fresh<double>(stream), other = fresh<double>(stream);
  follow(one, stream, 0, 10), follow(other, stream, 0, 10);
  CHECK(one.waiting().empty());
  CHECK(names(refusal([&] { one.learn(y_of(stream, 10)); }), "x was not predicted"));
  one.predict(x_of(stream, 10)), other.predict(x_of(stream, 10));
  one.predict(x_of(stream, 15));
  CHECK(one.waits_for(x_of(stream, 15)));
  one.take_back();
  CHECK(one.waits_for(x_of(stream, 10)));
  CHECK(one.waiting() == std::vector<double>(stream.x(10), stream.x(10) + 3));
  CHECK(one.intervals() == other.intervals());
  one.take_back();  // none was before it
  CHECK(!one.waits_for(x_of(stream, 10)));
  CHECK(names(refusal([&] { one.learn(y_of(stream, 10)); }), "x was not predicted"));
  one.learn(x_of(stream, 10), y_of(stream, 10)), other.learn(y_of(stream, 10));
  CHECK(follow(one, stream, 11, 30) == follow(other, stream, 11, 30));
}

TEST_CASE_TEMPLATE("a run tells what its steps do", Real, double, float) {
  const Stream stream = with_gaps(12, 40);
  const Index T = 39, levels = static_cast<Index>(kLevels.size());
  for (const Index delay : {Index{0}, kDelay}) {
    auto whole = delay > 0 ? late<Real>(stream) : fresh<Real>(stream);
    auto steps = delay > 0 ? late<Real>(stream) : fresh<Real>(stream);
    const auto numbers = [](Index n) { return std::vector<double>(static_cast<std::size_t>(n)); };
    std::vector<double> forecasts = numbers(T * 2), bounds = numbers(T * levels * 4), next(2),
                        next_bounds = numbers(levels * 4), rmse = numbers(21), base(2);
    EnsembleOutput output;
    output.predictions = forecasts.data(), output.bounds = bounds.data(), output.next = next.data();
    output.next_bounds = next_bounds.data(), output.agent_rmse = rmse.data();
    output.base = base.data(), output.skip = 5;
    RunOptions options;
    const double initial[] = {0.5, -0.5};
    options.initial = initial;
    const Scored scored = whole.run({stream.x(0), T + 1, 3}, {stream.y(0), T, 2}, output, options);
    CHECK(scored.first == 5);
    Index known = 0;
    for (Index t = 5; t < T; ++t)
      for (Index o = 0; o < 2; ++o) known += std::isnan(stream.y(t)[o]) ? 0 : 1;
    CHECK(scored.values == known);
    CHECK(base == std::vector<double>{0.5, -0.5});
    steps.observe({initial, 2});
    for (double& bound : bounds) bound = std::isnan(bound) ? -1.0 : bound;
    const std::vector<double> expected = follow(steps, stream, 0, T);
    const auto width = static_cast<std::size_t>(levels * 4);
    std::vector<double> both;
    for (std::size_t t = 0; t < static_cast<std::size_t>(T); ++t) {
      both.insert(both.end(), forecasts.begin() + 2 * t, forecasts.begin() + 2 * (t + 1));
      both.insert(both.end(), bounds.begin() + width * t, bounds.begin() + width * (t + 1));
    }
    CHECK(both == expected);
    CHECK(whole.scored() == steps.scored());
    CHECK(steps.predict_rows({stream.x(T), 1, 3}) == next);
    CHECK(steps.predict(x_of(stream, T)) == next);
    CHECK(steps.intervals() == next_bounds);
    CHECK(*std::min_element(rmse.begin(), rmse.end()) > 0.0);
  }
}

TEST_CASE("forecasts of rows move no interval that waits for its y") {
  const Stream stream = random_stream(13, 30, 3, 2);
  auto one = late<double>(stream), other = late<double>(stream);
  follow(one, stream, 0, 20), follow(other, stream, 0, 20);
  one.predict(x_of(stream, 20)), other.predict(x_of(stream, 20));
  one.predict_rows({stream.x(21), 5, 3});  // as many wait as may
  for (auto* each : {&one, &other}) each->learn(x_of(stream, 17), y_of(stream, 17));
  CHECK(follow(one, stream, 21, 30) == follow(other, stream, 21, 30));
}

TEST_CASE_TEMPLATE("memories and the note restore an ensemble", Real, double, float) {
  const Stream stream = with_gaps(14, 40);
  for (const bool comes_late : {false, true}) {
    const auto make = [&] { return comes_late ? late<Real>(stream) : fresh<Real>(stream); };
    auto ensemble = make(), restored = make(), torn = make();
    follow(ensemble, stream, 0, 25);
    const auto population = ensemble.population().memory();
    const auto server = ensemble.server().memory();
    const std::string note = ensemble.note();
    restored.restore(population, server, note, ensemble.intervals());
    CHECK(restored.intervals() == ensemble.intervals());
    CHECK(restored.note() == note);
    CHECK(follow(restored, stream, 25, 40) == follow(ensemble, stream, 25, 40));
    const auto refused = [&](const std::string& text, const std::vector<double>& intervals) {
      return refusal([&] { torn.restore(population, server, text, intervals); });
    };
    CHECK(contains(refused("null", {}), "bands"));
    CHECK(contains(refused("{\"bands\": [1]}", {}), "memory has 1 numbers"));
    CHECK(names(refused(note, {1.0}), "intervals has 1 numbers; expected 8"));
  }
}

TEST_CASE_TEMPLATE("what is loaded goes on with the same bits", Real, double, float) {
  const Stream stream = with_gaps(3, 40);
  for (const Encoders& encoder : kEncoders)
    for (const Index steps : {0, 1, 11, 24}) {
      const bool waits = steps % 2 == 1;  // does a forecast wait for its y?
      const TemporaryFile file;
      auto ensemble = fresh<Real>(stream, encoder);
      follow(ensemble, stream, 0, steps);
      if (waits) ensemble.predict(x_of(stream, steps));
      ensemble.save(file.path);
      auto loaded = BasicOnlineEnsemble<Real>::load(file.path);
      CHECK(loaded.levels() == kLevels);
      CHECK(loaded.steps() == ensemble.steps());
      CHECK(loaded.worst_agent().cost == ensemble.worst_agent().cost);
      const Index next = steps + (waits ? 1 : 0);
      if (waits) {
        ensemble.learn(x_of(stream, steps), y_of(stream, steps));
        loaded.learn(x_of(stream, steps), y_of(stream, steps));
      }
      CHECK(follow(loaded, stream, next, 40) == follow(ensemble, stream, next, 40));
      loaded.save(file.path);
      CHECK(BasicOnlineEnsemble<Real>::load(file.path, 1).weights() == ensemble.weights());
    }
}

TEST_CASE_TEMPLATE("where y comes late an ensemble is its population and its server", Real, double,
                   float) {
  const Stream stream = with_gaps(8, 50);
  for (const Encoders& encoder : kEncoders) {
    auto stepped = late<Real>(stream, encoder), whole = late<Real>(stream, encoder),
         halves = late<Real>(stream, encoder);
    BasicPopulation<Real> population(stepped.settings());
    BasicServerMixture<Real> server(21, 2, stepped.mixture());
    CHECK(server.settings().delay == kDelay);
    std::vector<double> forecasts;
    for (Index t = 0; t < 40; ++t) {
      std::vector<double> forecast(2);
      predict(population, server, stream.x(t), forecast.data());
      CHECK(stepped.predict(x_of(stream, t)) == forecast);
      forecasts.insert(forecasts.end(), forecast.begin(), forecast.end());
      if (t < kDelay) continue;
      learn_oldest(population, server, stream.x(t - kDelay), stream.y(t - kDelay));
      stepped.learn(x_of(stream, t - kDelay), y_of(stream, t - kDelay));
    }
    CHECK(run(whole, stream, 0, 40) == forecasts);
    run(halves, stream, 0, 17), run(halves, stream, 17, 40);
    std::vector<double> costs(21);
    population.costs(costs.data());
    CHECK(whole.agent_costs() == costs);
    CHECK(stepped.agent_costs() == costs);
    CHECK(whole.steps() == population.steps());
    CHECK(n_waiting(whole.population()) == kDelay);
    // intervals have learnt the same, and learn what the runs have told
    const std::vector<double> following = follow(stepped, stream, 40, 40 + kDelay);
    CHECK(follow_told(halves, stream, 40) == following);
    CHECK(follow(whole, stream, 40, 40 + kDelay) == following);
    CHECK(whole.intervals()[0] < whole.intervals()[2]);
    for (auto* one : {&stepped, &halves}) {  // of one of them another y is told, and comes first
      one->learn(x_of(stream, 40), y_of(stream, 40));
      one->predict(x_of(stream, 43));
    }
    CHECK(halves.intervals() == stepped.intervals());
  }
}

TEST_CASE_TEMPLATE("a file takes along what waits for its y", Real, double, float) {
  const Stream stream = with_gaps(9, 40);
  for (const Encoders& encoder : kEncoders)
    for (const Index steps : {0, 2, 11, 24})
      for (const bool told : {false, true}) {
        const TemporaryFile file;
        auto ensemble = late<Real>(stream, encoder);
        if (told)
          run(ensemble, stream, 0, steps);
        else
          follow(ensemble, stream, 0, steps);
        ensemble.save(file.path);
        auto loaded = BasicOnlineEnsemble<Real>::load(file.path);
        CHECK(loaded.levels() == kLevels);
        CHECK(loaded.mixture().delay == kDelay);
        CHECK(loaded.agent_costs() == ensemble.agent_costs());
        CHECK(waiting_inputs(loaded.population()) == waiting_inputs(ensemble.population()));
        if (told) CHECK(follow_told(loaded, stream, steps) == follow_told(ensemble, stream, steps));
        const Index next = steps + (told ? kDelay : 0);
        CHECK(follow(loaded, stream, next, 40) == follow(ensemble, stream, next, 40));
        loaded.save(file.path);
        CHECK(BasicOnlineEnsemble<Real>::load(file.path, 1).weights() == ensemble.weights());
      }
}

TEST_CASE("where y comes late the y of another forecast is refused, and nothing changes") {
  const Stream stream = random_stream(10, 40, 3, 2);
  auto ensemble = late<double>(stream), twin = late<double>(stream);
  follow(ensemble, stream, 0, 20), follow(twin, stream, 0, 20);
  ensemble.predict(x_of(stream, 20)), twin.predict(x_of(stream, 20));
  const double bad[] = {1.0, 1e200};
  const auto refused = [&](const VectorView& x, const VectorView& y) {
    return refusal([&] { ensemble.learn(x, y); });
  };
  CHECK(contains(refused(x_of(stream, 20), y_of(stream, 20)), "the oldest"));
  CHECK(names(refused(x_of(stream, 17), {bad, 2}), "y holds 1e+200 at [1]"));
  CHECK(contains(refusal([&] { ensemble.predict(x_of(stream, 21)); }), "4 forecasts wait"));
  CHECK(contains(refusal([&] { run(ensemble, stream, 21, 30); }), "waits for its y"));
  CHECK(names(refusal([&] { ensemble.observe({bad, 2}); }), "y holds 1e+200"));
  for (OnlineEnsemble* one : {&ensemble, &twin}) one->learn(x_of(stream, 17), y_of(stream, 17));
  CHECK(follow(ensemble, stream, 21, 40) == follow(twin, stream, 21, 40));

  PopulationSettings settings = settings_of(5, stream);
  settings.past.delay = 2;
  Mixture mixture;
  mixture.delay = 1;
  CHECK(names(refusal([&] { OnlineEnsemble(settings, mixture); }), "mixture.delay is 1"));
}

TEST_CASE("a file keeps what another language noted, and tells how many values were scored") {
  const Stream stream = with_gaps(4, 30);
  const TemporaryFile file;
  const PopulationSettings settings = settings_of(5, stream);
  const Population population(settings);
  const ServerMixture server(5, 2);
  save(file.path, population, server, {},
       R"({"params": {"intervals": []}, "names": ["a", "é"], "flat": true, "values_scored": 0})");
  OnlineEnsemble ensemble = OnlineEnsemble::load(file.path);
  CHECK(ensemble.levels().empty());
  CHECK(ensemble.intervals().empty());
  run(ensemble, stream, 0, 30);
  ensemble.save(file.path);
  const std::string header = load(file.path).header;
  for (const char* part : {R"("names": ["a", "é"])", R"("flat": true)", R"("intervals": [])"})
    CHECK(contains(header, part));
  Index known = 0;
  for (Index t = 1; t < 30; ++t)
    for (Index o = 0; o < 2; ++o) known += std::isnan(stream.y(t)[o]) ? 0 : 1;
  CHECK(contains(header, "\"values_scored\": " + std::to_string(known)));
}

TEST_CASE("what cannot be learnt is named and changes nothing") {
  const Stream stream = random_stream(5, 30, 3, 2);
  auto ensemble = fresh<double>(stream), twin = fresh<double>(stream);
  follow(ensemble, stream, 0, 12), follow(twin, stream, 0, 12);
  const std::vector<double> good(stream.x(12), stream.x(12) + 3);
  std::vector<double> x = good, y = {1.0, 2.0};
  ensemble.predict(good);
  const auto refuses = [&](const VectorView& inputs, const VectorView& targets,
                           const std::string& message) {
    const std::string told = refusal([&] { ensemble.learn(inputs, targets); });
    CHECK_MESSAGE(names(told, message), told);
  };
  refuses({x.data(), 2}, y, "x has 2 numbers; expected 3");
  refuses(x, 1.0, "y has 1 numbers; expected 2");
  x[1] = INFINITY;
  refuses(x, y, "x holds inf at [1]");
  y[1] = 1e200;
  refuses(x, y, "y holds 1e+200 at [1]");
  x[1] = 1e160;
  refuses(x, {stream.y(0), 2}, "x holds 1e+160 at [1]");
  refuses(good, y, "y holds 1e+200 at [1]");
  const auto refuses_run = [&](const MatrixView& X, const MatrixView& Y, const char* message) {
    const std::string told = refusal([&] { ensemble.run(X, Y); });
    CHECK_MESSAGE(names(told, message), told);
  };
  refuses_run({stream.x(0), 9, 2}, {stream.y(0), 9, 2}, "X has 2 columns; expected 3");
  refuses_run({stream.x(0), 9, 3}, {stream.y(0), 9, 1}, "Y has 1 columns; expected 2");
  refuses_run({stream.x(0), 9, 3}, {stream.y(0), 8, 2}, "Y has 8 rows; expected those of X, 9");
  CHECK(names(refusal([&] { ensemble.observe(y); }), "y holds 1e+200"));
  ensemble.learn(good, y_of(stream, 12));  // what was predicted can be learnt still
  twin.learn(good, y_of(stream, 12));
  CHECK(follow(ensemble, stream, 13, 30) == follow(twin, stream, 13, 30));

  CHECK(names(refusal([&] { OnlineEnsemble({}, {}, {0.9, 0.5}); }), "levels"));
}

TEST_CASE("a file of another kind is refused by its name") {
  const Stream stream = random_stream(6, 12, 3, 2);
  const TemporaryFile file;
  const auto refused = [&] { return refusal([&] { OnlineEnsemble::load(file.path); }); };
  fresh<float>(stream).save(file.path);
  CHECK(names(refused(), file.path + ": its agents are float32; expected float64"));
  const Population population(settings_of(5, stream));
  const ServerMixture server(5, 2);
  for (const char* note :
       {R"({"params": {"intervals": [0.5]}})", R"({"params": {"intervals": [2]}, "bands": []})",
        R"({"params": {"intervals": [0.5]}, "bands": [1, -1, 0, 0, 1, 1, 0, 0]})",
        R"({"values_scored": 1})"}) {
    save(file.path, population, server, {}, note);
    CHECK(names(refused(), file.path + ": header.json: note: "));
  }
}

TEST_CASE("a warm step allocates nothing") {
  const Stream stream = random_stream(7, 60, 3, 2);
  PopulationSettings settings = settings_of(40, stream);
  settings.n_threads = 1;
  for (const Index delay : {0, 3}) {
    settings.past.delay = delay;
    OnlineEnsemble ensemble(settings, {}, kLevels);
    std::size_t before = 0;
    for (Index t = 0; t < 60; ++t) {
      if (t == 30) before = tests::allocations();
      ensemble.predict(x_of(stream, t));
      const Index known = t - delay;
      if (known >= 0) ensemble.learn(x_of(stream, known), y_of(stream, known));
    }
    CHECK(tests::allocations() - before == 0);
  }
}
