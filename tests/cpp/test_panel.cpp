#include "memoa/panel.hpp"

#include <cstdlib>
#include <random>

#include "allocations.hpp"
#include "checks.hpp"
#include "populations.hpp"

using namespace memoa;
using tests::names;
using tests::refusal;

namespace {

/// Inputs and targets of clients, some of which begin late or have gaps.
struct Clients {
  Index N, dx, d, T;
  std::vector<double> x, y, initial;
  std::vector<unsigned char> awake;
};

Clients random_clients(unsigned seed, Index N, Index dx, Index d, Index T) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Clients c{N, dx, d, T, {}, {}, {}, {}};
  std::vector<double> level(static_cast<std::size_t>(N * d));
  for (double& value : level) value = 10.0 * normal(engine);
  for (Index k = 0; k < N * d; ++k) c.initial.push_back(k % 5 == 0 ? NAN : level[k]);
  for (Index t = 0; t < T; ++t)
    for (Index i = 0; i < N; ++i) {
      double sum = 0.0;
      for (Index j = 0; j < dx; ++j) sum += c.x.emplace_back(normal(engine));
      for (Index o = 0; o < d; ++o) {
        level[i * d + o] += (1.0 + 0.1 * static_cast<double>(i % 3)) * sum + 0.3 * normal(engine);
        c.y.push_back(uniform(engine) < 0.1 ? NAN : level[i * d + o]);
      }
      c.awake.push_back(uniform(engine) < 0.7);
    }
  return c;
}

PanelSettings settings_of(const Clients& c, const Encoder& encoder = Linear{}) {
  PanelSettings s;
  s.n_clients = c.N, s.n_inputs = c.dx, s.n_outputs = c.d;
  s.encoder = encoder;
  s.seed = 5;
  return s;
}

template <class Real>
std::vector<Real> inputs_of(const Clients& c) {
  return {c.x.begin(), c.x.end()};
}

/// All that can be seen, NaN as a number that compares equal.
template <class Real>
std::vector<double> see(const BasicPanel<Real>& panel) {
  const PanelSettings& s = panel.settings();
  const Index N = s.n_clients, d = s.n_outputs, p = n_features(s.encoder, s.n_inputs);
  std::vector<double> all(static_cast<std::size_t>(N * p * d + p * d + 4 * N * d + 2 * N));
  double* out = all.data();
  panel.readouts(out), out += N * p * d;
  panel.mean_readout(out), out += p * d;
  panel.consensus_weights(out), out += N * d;
  panel.scales(out), out += N * d;
  panel.base(out), out += N * d;
  panel.costs(out), out += N;
  panel.scored(out);
  for (double& value : all) value = std::isnan(value) ? -12345.0 : value;
  return all;
}

std::vector<double> plain(std::vector<double> values) {
  for (double& value : values) value = std::isnan(value) ? -12345.0 : value;
  return values;
}

/// Forecasts of steps [first, last), one at a time.
template <class Real>
std::vector<double> follow(BasicPanel<Real>& panel, const Clients& c, Index first, Index last,
                           bool with_awake = true) {
  const std::vector<Real> x = inputs_of<Real>(c);
  std::vector<double> forecasts(static_cast<std::size_t>((last - first) * c.N * c.d));
  for (Index t = first; t < last; ++t) {
    panel.predict(x.data() + t * c.N * c.dx, forecasts.data() + (t - first) * c.N * c.d);
    panel.learn(c.y.data() + t * c.N * c.d, with_awake ? c.awake.data() + t * c.N : nullptr);
  }
  return plain(forecasts);
}

template <class Real>
std::vector<double> run_all(BasicPanel<Real>& panel, const Clients& c) {
  std::vector<double> forecasts(static_cast<std::size_t>(c.T * c.N * c.d));
  panel.run(inputs_of<Real>(c).data(), c.y.data(), c.awake.data(), c.T, forecasts.data(), {},
            c.initial.data());
  return plain(forecasts);
}

const Aggregate kAggregates[] = {Aggregate::mean, Aggregate::trimmed, Aggregate::clip};

}  // namespace

TEST_CASE_TEMPLATE("a run and single steps give the same bits, on any thread and processor", Real,
                   double, float) {
  const Clients c = random_clients(1, 1500, 3, 2, 14);
  const std::vector<std::string> sets = tests::instruction_sets();
  for (const Aggregate aggregate : kAggregates) {
    PanelSettings settings = settings_of(c);
    settings.aggregate = aggregate;
    settings.n_threads = 1;
    BasicPanel<Real> stepped(settings);
    stepped.observe(c.initial.data());
    const auto forecasts = follow(stepped, c, 0, c.T);
    const auto seen = see(stepped);
    const auto same = [&] {
      BasicPanel<Real> other(settings);
      CHECK(run_all(other, c) == forecasts);
      CHECK(see(other) == seen);
    };
    for (const int threads : {1, 2, 3}) {
      settings.n_threads = threads;
      same();
    }
    for (const std::string& set : sets) {
      setenv("MEMOA_INSTRUCTION_SET", set.c_str(), 1);
      same();
    }
    unsetenv("MEMOA_INSTRUCTION_SET");
  }
}

TEST_CASE_TEMPLATE("a forecast that is not learnt leaves no trace", Real, double, float) {
  const Clients c = random_clients(2, 37, 2, 2, 20);
  for (const Aggregate aggregate : kAggregates)
    for (const Encoder& encoder : {Encoder(Linear{}), Encoder(RandomFeatures{5, Activation::tanh}),
                                   Encoder(Precomputed{2})}) {
      PanelSettings settings = settings_of(c, encoder);
      settings.aggregate = aggregate;
      BasicPanel<Real> quiet(settings), curious(settings);
      std::vector<double> ignored(static_cast<std::size_t>(c.N * c.d));
      const std::vector<Real> x = inputs_of<Real>(c);
      for (Index t = 0; t < c.T; ++t) {
        curious.predict(x.data() + (t + 3) % c.T * c.N * c.dx, ignored.data());
        CHECK(follow(curious, c, t, t + 1) == follow(quiet, c, t, t + 1));
      }
      CHECK(see(curious) == see(quiet));
    }
}

TEST_CASE_TEMPLATE("a restored panel goes on with the same bits", Real, double, float) {
  const Clients c = random_clients(3, 41, 2, 2, 24);
  for (const Aggregate aggregate : kAggregates)
    for (const Encoder& encoder :
         {Encoder(Linear{}), Encoder(RandomFeatures{4}), Encoder(Precomputed{2})})
      for (const bool predicted : {false, true}) {
        PanelSettings settings = settings_of(c, encoder);
        settings.aggregate = aggregate;
        BasicPanel<Real> panel(settings), restored(settings);
        panel.observe(c.initial.data());
        follow(panel, c, 0, 12);
        std::vector<double> ignored(static_cast<std::size_t>(c.N * c.d));
        const std::vector<Real> x = inputs_of<Real>(c);
        if (predicted) panel.predict(x.data() + 12 * c.N * c.dx, ignored.data());
        restored.restore(panel.memory());
        CHECK(see(restored) == see(panel));
        CHECK(follow(restored, c, 12, c.T) == follow(panel, c, 12, c.T));
        CHECK(see(restored) == see(panel));
        CHECK(restored.steps() == c.T);
      }
}

TEST_CASE("memory of another size is named and changes nothing") {
  const Clients c = random_clients(4, 9, 2, 1, 12);
  Panel panel(settings_of(c));
  follow(panel, c, 0, 12);
  const auto seen = see(panel);
  PanelMemory memory = panel.memory();
  memory.squares.push_back(1.0);
  CHECK(names(refusal([&] { panel.restore(memory); }), "memory.squares has 10 numbers"));
  memory = panel.memory();
  memory.cross[3] = NAN;
  CHECK(names(refusal([&] { panel.restore(memory); }), "memory.cross holds nan at [1, 0, 0]"));
  memory = panel.memory();
  memory.steps = -1;
  CHECK(names(refusal([&] { panel.restore(memory); }), "memory.steps is -1"));
  PanelSettings others = settings_of(c);
  others.seed += 1;
  CHECK(names(refusal([&] { panel.restore(Panel(others).memory()); }), "memory.seed is"));
  memory = panel.memory();
  memory.cost = Panel(settings_of(c)).memory().cost;  // of another moment
  CHECK(names(refusal([&] { panel.restore(memory); }), "memory.checksum is not"));
  CHECK(see(panel) == seen);
}

TEST_CASE("clients that are added change nothing before they have a value") {
  const Clients c = random_clients(5, 30, 2, 1, 20);
  Clients more = random_clients(6, 34, 2, 1, 20);
  for (Index t = 0; t < 20; ++t)
    for (Index i = 0; i < 34; ++i) {
      for (Index j = 0; j < 2; ++j)
        more.x[(t * 34 + i) * 2 + j] = i < 30 ? c.x[(t * 30 + i) * 2 + j] : NAN;
      more.y[t * 34 + i] = i < 30 ? c.y[t * 30 + i] : NAN;
    }
  Panel panel(settings_of(c)), grown(settings_of(c));
  follow(panel, c, 0, 10, false);
  follow(grown, c, 0, 10, false);
  grown.add_clients(4);
  CHECK(grown.settings().n_clients == 34);
  const auto alone = follow(panel, c, 10, 20, false), together = follow(grown, more, 10, 20, false);
  for (Index t = 0; t < 10; ++t)
    for (Index i = 0; i < 34; ++i)
      CHECK(together[t * 34 + i] == (i < 30 ? alone[t * 30 + i] : -12345.0));
}

TEST_CASE("bad input is named and changes nothing") {
  const Clients c = random_clients(7, 9, 2, 1, 12);
  Panel panel(settings_of(c));
  const auto start = see(panel);
  std::vector<double> out(static_cast<std::size_t>(c.T * c.N));
  Clients bad = c;
  bad.x[(7 * 9 + 4) * 2 + 1] = INFINITY;
  CHECK(names(refusal([&] { run_all(panel, bad); }), "X holds inf at [7, 4, 1]"));
  bad = c;
  bad.y[8 * 9 + 2] = -INFINITY;
  CHECK(names(refusal([&] { run_all(panel, bad); }), "Y holds -inf at [8, 2, 0]"));
  bad = c;
  bad.initial[3] = 1e200;
  CHECK(names(refusal([&] { run_all(panel, bad); }), "initial holds 1e+200 at [3, 0]"));
  CHECK(see(panel) == start);
  CHECK(names(refusal([&] { panel.learn(c.y.data()); }), "X was not predicted"));
  follow(panel, c, 0, 12);
  const auto seen = see(panel);
  std::vector<double> x(c.x.begin(), c.x.begin() + 18), y(9, 1e200);
  x[5] = NAN;
  CHECK(names(refusal([&] { panel.predict(x.data(), out.data()); }), "X holds nan at [2, 1]"));
  CHECK(names(refusal([&] { panel.observe(y.data()); }), "Y holds 1e+200 at [0, 0]"));
  CHECK(see(panel) == seen);

  PanelSettings s = settings_of(c);
  const auto refused = [&](auto PanelSettings::*field, auto value, const char* name) {
    PanelSettings wrong = s;
    wrong.*field = value;
    CHECK(names(refusal([&] { Panel{wrong}; }), name));
  };
  refused(&PanelSettings::n_clients, 0, "n_clients is 0");
  refused(&PanelSettings::n_inputs, 0, "n_inputs is 0");
  refused(&PanelSettings::n_outputs, 0, "n_outputs is 0");
  refused(&PanelSettings::pooling, -1.0, "pooling is -1");
  refused(&PanelSettings::ridge, 0.0, "ridge is 0");
  refused(&PanelSettings::consensus, NAN, "consensus is nan");
  refused(&PanelSettings::forgetting, 1.5, "forgetting is 1.5");
  refused(&PanelSettings::encoder, Encoder(Precomputed{0}), "n_features is 0");
  refused(&PanelSettings::encoder, Encoder(EchoState{}), "encoder is an EchoState");
}

TEST_CASE_TEMPLATE("a warm step allocates nothing", Real, double, float) {
  const Clients c = random_clients(8, 2000, 3, 1, 12);
  const std::vector<Real> x = inputs_of<Real>(c);
  for (const Aggregate aggregate : kAggregates) {
    PanelSettings settings = settings_of(c);
    settings.aggregate = aggregate;
    settings.n_threads = 1;
    BasicPanel<Real> panel(settings);
    std::vector<double> forecasts(static_cast<std::size_t>(c.N));
    std::size_t before = 0;
    for (Index t = 0; t < c.T; ++t) {
      if (t == 8) before = tests::allocations();
      panel.predict(x.data() + t * c.N * c.dx, forecasts.data());
      panel.learn(c.y.data() + t * c.N, c.awake.data() + t * c.N);
    }
    CHECK(before > 0);  // the counter counts
    CHECK(tests::allocations() - before == 0);
  }
}

TEST_CASE("the trimmed mean of a large crowd is that of sorted values") {
  // through the mean readout of clients whose readouts are known
  for (const Index N : {7, 600, 5000})
    for (const bool ties : {false, true}) {
      Clients c = random_clients(static_cast<unsigned>(N), N, 2, 1, 6);
      if (ties)
        for (Index k = 0; k < static_cast<Index>(c.y.size()); ++k) {
          c.y[k] = static_cast<double>(k / N % 3);
          c.x[2 * k] = c.x[2 * k + 1] = static_cast<double>(k / N % 2);
        }
      Panel panel(settings_of(c));
      follow(panel, c, 0, 5);
      std::vector<double> readouts(static_cast<std::size_t>(3 * N)), mean(3), ignored(N);
      panel.readouts(readouts.data());
      const PanelMemory memory = panel.memory();
      panel.predict(c.x.data() + 5 * N * 2, ignored.data());
      panel.mean_readout(mean.data());
      for (Index k = 0; k < 3; ++k) {
        std::vector<double> values;
        for (Index i = 0; i < N; ++i)
          if (memory.present[i] > 0) values.push_back(readouts[3 * i + k]);
        std::sort(values.begin(), values.end());
        const Index cut = static_cast<Index>(values.size()) / 5;
        double sum = 0.0;
        for (Index i = cut; i < static_cast<Index>(values.size()) - cut; ++i) sum += values[i];
        const double wanted =
            sum / static_cast<double>(static_cast<Index>(values.size()) - 2 * cut);
        CHECK(mean[k] == doctest::Approx(wanted).epsilon(1e-12));
      }
    }
}

namespace {

/// Forecasts of steps one at a time, every y learnt as soon as it is known.
template <class Real>
std::vector<double> follow_late(BasicPanel<Real>& panel, const Clients& c) {
  const std::vector<Real> x = inputs_of<Real>(c);
  const Index delay = panel.settings().delay;
  std::vector<double> forecasts(static_cast<std::size_t>(c.T * c.N * c.d));
  for (Index t = 0; t < c.T; ++t) {
    panel.predict(x.data() + t * c.N * c.dx, forecasts.data() + t * c.N * c.d);
    if (t >= delay)
      panel.learn_late(x.data() + (t - delay) * c.N * c.dx, c.y.data() + (t - delay) * c.N * c.d,
                       c.awake.data() + t * c.N);
  }
  return plain(forecasts);
}

}  // namespace

TEST_CASE_TEMPLATE("late: a run and steps give the same bits, on any thread and processor", Real,
                   double, float) {
  const Clients c = random_clients(12, 1100, 3, 2, 14);
  for (const Aggregate aggregate : kAggregates) {
    PanelSettings settings = settings_of(c);
    settings.aggregate = aggregate, settings.n_threads = 1, settings.delay = 3;
    BasicPanel<Real> stepped(settings);
    stepped.observe(c.initial.data());
    const auto forecasts = follow_late(stepped, c);
    const auto seen = see(stepped);
    const auto same = [&] {
      BasicPanel<Real> other(settings);
      CHECK(run_all(other, c) == forecasts);
      CHECK(see(other) == seen);
      CHECK(other.n_waiting() == 3);
      CHECK(other.n_told() == 3);
    };
    for (const int threads : {1, 2, 3}) {
      settings.n_threads = threads;
      same();
    }
    for (const std::string& set : tests::instruction_sets()) {
      setenv("MEMOA_INSTRUCTION_SET", set.c_str(), 1);
      same();
    }
    unsetenv("MEMOA_INSTRUCTION_SET");
  }
}

TEST_CASE_TEMPLATE("late: a restored panel goes on with the same bits", Real, double, float) {
  const Clients c = random_clients(13, 41, 2, 2, 24);
  const std::vector<Real> x = inputs_of<Real>(c);
  for (const Encoder& encoder :
       {Encoder(Linear{}), Encoder(RandomFeatures{4}), Encoder(Precomputed{2})})
    for (const Index learnt : {0, 1, 3}) {  // 1 waits to be taken in
      PanelSettings settings = settings_of(c, encoder);
      settings.delay = 4;
      BasicPanel<Real> panel(settings), restored(settings);
      panel.observe(c.initial.data());
      std::vector<double> shown(static_cast<std::size_t>(c.N * c.d)), again(shown);
      for (Index t = 0; t < 5; ++t) panel.predict(x.data() + t * c.N * c.dx, shown.data());
      const auto learn = [&](BasicPanel<Real>& one, Index t) {
        one.learn(c.y.data() + t * c.N * c.d, c.awake.data() + t * c.N);
      };
      for (Index t = 0; t < learnt; ++t) learn(panel, t);
      restored.restore(panel.memory());
      CHECK(see(restored) == see(panel));
      for (Index t = 5; t < c.T; ++t) {
        for (auto* one : {&panel, &restored}) {
          if (one->n_waiting() == 5) learn(*one, t - 5);
          one->predict(x.data() + t * c.N * c.dx, one == &panel ? shown.data() : again.data());
          if (t == 8 && learnt == 3) learn(*one, 4);
        }
        CHECK(plain(again) == plain(shown));
      }
      CHECK(see(restored) == see(panel));
    }
}

TEST_CASE_TEMPLATE("late: a warm step allocates nothing", Real, double, float) {
  const Clients c = random_clients(14, 700, 3, 1, 14);
  const std::vector<Real> x = inputs_of<Real>(c);
  PanelSettings settings = settings_of(c);
  settings.n_threads = 1, settings.delay = 3;
  BasicPanel<Real> panel(settings);
  std::vector<double> forecasts(static_cast<std::size_t>(c.N));
  std::size_t before = 0;
  for (Index t = 0; t < c.T; ++t) {
    if (t == 8) before = tests::allocations();
    panel.predict(x.data() + t * c.N * c.dx, forecasts.data());
    if (t % 2 == 0 || t < 3) continue;
    for (const Index ago : {3, 2})  // two at once: the first has to be taken in before the second
      panel.learn(c.y.data() + (t - ago) * c.N, c.awake.data() + t * c.N);
  }
  CHECK(before > 0);
  CHECK(tests::allocations() - before == 0);
}

TEST_CASE("late: what does not fit is named and changes nothing") {
  const Clients c = random_clients(15, 9, 2, 1, 12);
  PanelSettings settings = settings_of(c);
  settings.delay = 2;
  Panel panel(settings);
  std::vector<double> out(static_cast<std::size_t>(c.T * c.N));
  const auto learn = [&](Index t) { panel.learn_late(c.x.data() + t * 18, c.y.data() + t * 9); };
  CHECK(names(refusal([&] { learn(0); }), "no forecast waits for its y"));
  CHECK(names(refusal([&] { panel.learn(c.y.data()); }), "no forecast waits for its y"));
  panel.observe(c.initial.data());
  for (Index t = 0; t < 3; ++t) panel.predict(c.x.data() + t * 18, out.data());
  CHECK(panel.is_pending());
  const PanelMemory before = panel.memory();
  CHECK(names(refusal([&] { panel.predict(c.x.data() + 54, out.data()); }),
              "3 forecasts wait for their y"));
  CHECK(names(refusal([&] { learn(1); }), "X is not that of the oldest"));
  CHECK(names(refusal([&] { run_all(panel, c); }), "a forecast made by predict waits for its y"));
  CHECK(panel.memory().checksum == before.checksum);

  PanelMemory torn = before;
  torn.waiting = 4;
  CHECK(names(refusal([&] { panel.restore(torn); }), "memory.waiting is 4"));
  torn = before;
  torn.told = 4;
  CHECK(names(refusal([&] { panel.restore(torn); }), "memory.told is 4"));
  torn = before;
  torn.waiting_x.pop_back();
  CHECK(names(refusal([&] { panel.restore(torn); }), "memory.waiting_x has 53 numbers"));
  CHECK(panel.memory().checksum == before.checksum);
  settings.delay = -1;
  CHECK(names(refusal([&] { Panel{settings}; }), "delay is -1"));
}

TEST_CASE("float32 follows float64") {
  const Clients c = random_clients(9, 40, 3, 2, 60);
  Panel wide(settings_of(c));
  PanelF32 narrow(settings_of(c));
  CHECK(tests::distance(follow(narrow, c, 0, 60), follow(wide, c, 0, 60)) < 2e-3);
}

TEST_CASE("the equilibrium is where every readout is best, and the mean is the mean") {
  std::mt19937 engine(11);
  std::normal_distribution<double> normal;
  const Index N = 6, p = 3, d = 2;
  std::vector<double> gram(N * p * p, 0.0), cross(N * p * d);
  for (Index i = 0; i < N; ++i)
    for (Index s = 0; s < 5; ++s) {
      double z[3];
      for (double& v : z) v = normal(engine);
      for (Index j = 0; j < p; ++j)
        for (Index k = 0; k < p; ++k) gram[(i * p + j) * p + k] += z[j] * z[k];
    }
  for (double& v : cross) v = normal(engine);
  for (const double pooling : {0.0, 3.0, 1e9}) {
    const PanelEquilibrium found =
        solve_panel_equilibrium(gram.data(), cross.data(), N, p, d, 0.5, pooling);
    std::vector<double> sum(p * d, 0.0);
    for (Index i = 0; i < N; ++i)
      for (Index k = 0; k < p; ++k)
        for (Index o = 0; o < d; ++o) {
          const auto readout = [&](Index j) { return found.readouts[(i * p + j) * d + o]; };
          double slope = 0.5 * readout(k) - cross[(i * p + k) * d + o] +
                         pooling * (readout(k) - found.mean_readout[k * d + o]);
          for (Index j = 0; j < p; ++j) slope += gram[(i * p + k) * p + j] * readout(j);
          CHECK(std::abs(slope) < 1e-12 * (100.0 + 10.0 * pooling));
          sum[k * d + o] += readout(k) / static_cast<double>(N);
        }
    CHECK(tests::distance(sum, found.mean_readout) < 1e-12);
  }
  std::vector<double> zeros(N * p * p, 0.0);
  const auto failure = tests::message_of<NumericalError>(
      [&] { solve_panel_equilibrium(zeros.data(), cross.data(), N, p, d, 0.0, 1.0); });
  CHECK(names(failure, "the clients' data do not determine the mean readout"));
  gram[1] += 1.0;
  CHECK(
      names(refusal([&] { solve_panel_equilibrium(gram.data(), cross.data(), N, p, d, 0.5, 1.0); }),
            "gram[0]"));
}
