#include "allocations.hpp"
#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::kEncoders;
using tests::mixture_of;
using tests::refusal;
using tests::see;
using tests::settings_of;

namespace {

constexpr Index kDelay = 3;

template <class Real>
struct Engines {
  Engines(PopulationSettings s, int n_threads) : population(with(s, n_threads)), mixture(of(s)) {}

  static PopulationSettings with(PopulationSettings s, int n_threads) {
    s.past.delay = kDelay;
    s.n_threads = n_threads;
    return s;
  }
  static BasicServerMixture<Real> of(const PopulationSettings& s) {
    Mixture m = mixture_of(s);
    m.delay = kDelay;
    return {s.n_agents, s.n_outputs, m};
  }
  BasicPopulation<Real> population;
  BasicServerMixture<Real> mixture;
};

/// Forecasts of the steps [first, last), each y learnt once it is known.
template <class Real>
std::vector<double> step(Engines<Real>& e, const Stream& s, Index first, Index last) {
  const Index d = s.n_outputs;
  std::vector<double> shown(static_cast<std::size_t>((last - first) * d));
  for (Index t = first; t < last; ++t) {
    predict(e.population, e.mixture, s.inputs.data() + t * s.n_inputs,
            shown.data() + (t - first) * d);
    const Index known = t - kDelay;
    if (known >= 0)
      learn_oldest(e.population, e.mixture, s.inputs.data() + known * s.n_inputs,
                   s.targets.data() + known * d);
  }
  return shown;
}

}  // namespace

TEST_CASE_TEMPLATE("where y comes late a run is its steps, bit for bit", Real, double, float) {
  const Stream stream = random_stream(3, 40, 3, 2);
  const double initial[] = {0.5, -1.0};
  for (const Encoders& encoder : kEncoders) {
    const PopulationSettings settings = settings_of(300, stream, encoder);
    Engines<Real> whole(settings, 3), stepped(settings, 1);
    std::vector<double> shown(static_cast<std::size_t>(stream.n_steps * 2)), costs(300);
    RunOutput output;
    output.predictions = shown.data();
    output.costs = costs.data();
    run(whole.population, whole.mixture, stream.inputs.data(), stream.targets.data(),
        stream.n_steps, output, initial);
    observe(stepped.population, stepped.mixture, initial);
    CHECK(step(stepped, stream, 0, stream.n_steps) == shown);
    CHECK(see(stepped.population) == see(whole.population));
    CHECK(n_waiting(whole.population) == kDelay);
    CHECK(n_scored(whole.population) == (stream.n_steps - kDelay) * 2);
    // the last steps are told; those of the engine alone are a part of what the run counts
    std::vector<double> learnt(300);
    whole.population.costs(learnt.data());
    for (std::size_t i = 0; i < costs.size(); ++i) CHECK(learnt[i] < costs[i]);
  }
}

TEST_CASE("the y of another forecast is refused, and nothing changes") {
  const Stream stream = random_stream(4, 20, 3, 1);
  const PopulationSettings settings = settings_of(8, stream);
  Engines<double> e(settings, 1);
  const double initial[] = {0.5};
  observe(e.population, e.mixture, initial);
  step(e, stream, 0, 12);
  double out = 0.0;
  const double* x = stream.inputs.data() + 12 * 3;
  predict(e.population, e.mixture, x, &out);
  const auto before = see(e.population);
  CHECK(contains(refusal([&] { predict(e.population, e.mixture, x, &out); }), "4 forecasts wait"));
  CHECK(contains(refusal([&] { learn_oldest(e.population, e.mixture, x, &out); }), "the oldest"));
  CHECK(contains(refusal([&] { e.population.predict(x); }), "together with the mixture"));
  CHECK(see(e.population) == before);
  CHECK(n_waiting(e.population) == kDelay + 1);

  ServerMixture plain(8, 1);
  CHECK(contains(refusal([&] { predict(e.population, plain, x, &out); }), "another delay"));
}

TEST_CASE("a memory takes what waits along") {
  const Stream stream = random_stream(5, 30, 3, 2);
  for (const Encoders& encoder : kEncoders) {
    const PopulationSettings settings = settings_of(20, stream, encoder);
    Engines<double> e(settings, 1), other(settings, 1);
    const double initial[] = {0.5, 1.0};
    observe(e.population, e.mixture, initial);
    step(e, stream, 0, 20);
    other.population.restore(e.population.memory());
    other.mixture.restore(e.mixture.memory());
    CHECK(step(other, stream, 20, 30) == step(e, stream, 20, 30));
  }
}

TEST_CASE_TEMPLATE("a warm step allocates nothing where y comes late", Real, double, float) {
  const Stream stream = random_stream(6, 60, 3, 2);
  for (const Encoders& encoder : kEncoders) {
    Engines<Real> e(settings_of(300, stream, encoder), 1);
    const double initial[] = {0.5, 1.0};
    observe(e.population, e.mixture, initial);
    step(e, stream, 0, 40);
    const double* x = stream.inputs.data();
    double out[2];
    const auto before = tests::allocations();
    for (Index t = 40; t < 60; ++t) {
      predict(e.population, e.mixture, x + t * 3, out);
      learn_oldest(e.population, e.mixture, x + (t - kDelay) * 3,
                   stream.targets.data() + (t - kDelay) * 2);
    }
    CHECK(tests::allocations() - before == 0);
  }
}
