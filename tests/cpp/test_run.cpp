#include "allocations.hpp"
#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::follow;
using tests::kEncoders;
using tests::mixture_of;
using tests::names;
using tests::refusal;
using tests::see;
using tests::settings_of;
using tests::started;

namespace {

constexpr PolicyKind kPolicies[] = {PolicyKind::memoa, PolicyKind::greedy};

/// All that a run writes, for the agents 0 and N - 1.
struct Written {
  std::vector<double> predictions, mean_field, worst_cost, recorded;
  bool operator==(const Written& o) const {
    return predictions == o.predictions && mean_field == o.mean_field &&
           worst_cost == o.worst_cost && recorded == o.recorded;
  }
};

template <class Real>
Written write(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
              const Stream& stream, const double* initial = nullptr, const Pace& pace = {}) {
  const Index T = stream.n_steps, d = stream.n_outputs;
  const Index record[] = {0, population.settings().n_agents - 1};
  Written w{std::vector<double>(T * d), std::vector<double>(T * d), std::vector<double>(T),
            std::vector<double>(T * 2 * d)};
  RunOutput output;
  output.predictions = w.predictions.data();
  output.mean_field = w.mean_field.data();
  output.worst_cost = w.worst_cost.data();
  output.recorded = w.recorded.data();
  output.record = record;
  output.n_record = 2;
  run(population, mixture, stream.inputs.data(), stream.targets.data(), T, output, initial, pace);
  return w;
}

}  // namespace

TEST_CASE_TEMPLATE("a run is its steps, bit for bit", Real, double, float) {
  const Index N = 21, d = 2;
  const Stream stream = random_stream(20, 40, 3, d);
  const double initial[] = {0.5, -1.0};
  for (const PolicyKind policy : kPolicies)
    for (const Encoders& encoder : kEncoders) {
      const double* start = policy == PolicyKind::memoa ? initial : nullptr;
      const PopulationSettings settings = settings_of(N, stream, encoder, policy);
      BasicPopulation<Real> whole(settings), stepped(settings);
      const Mixture mixture = mixture_of(settings);
      BasicServerMixture<Real> of_whole(N, d, mixture), of_stepped(N, d, mixture);
      const Written written = write(whole, of_whole, stream, start);
      if (start != nullptr) stepped.observe(start);
      std::vector<double> mixed(d);
      for (Index t = 0; t < stream.n_steps; ++t) {
        predict(stepped, of_stepped, stream.x(t), mixed.data());
        const tests::Seen seen = see(stepped);
        for (Index o = 0; o < d; ++o) {
          CHECK(written.predictions[t * d + o] == mixed[o]);
          CHECK(written.mean_field[t * d + o] == seen.mean_field[o]);
          CHECK(written.recorded[t * 2 * d + o] == seen.predictions[o]);
          CHECK(written.recorded[(t * 2 + 1) * d + o] == seen.predictions[(N - 1) * d + o]);
        }
        learn(stepped, of_stepped, stream.y(t));
        CHECK(written.worst_cost[t] == stepped.worst_cost());
      }
      CHECK(see(whole) == see(stepped));
      CHECK(of_whole.memory().gram == of_stepped.memory().gram);
      CHECK(of_whole.steps() == (start != nullptr ? 40 : 39));
    }
}

TEST_CASE_TEMPLATE("without an initial value a run begins with its second step", Real, double,
                   float) {
  const Index N = 21, d = 2;
  const Stream stream = random_stream(30, 40, 3, d);
  Stream rest = stream;
  rest.n_steps = 39;
  rest.inputs.erase(rest.inputs.begin(), rest.inputs.begin() + 3);
  rest.targets.erase(rest.targets.begin(), rest.targets.begin() + d);
  for (const Encoders& encoder : kEncoders) {
    const PopulationSettings settings = settings_of(N, stream, encoder);
    BasicPopulation<Real> all(settings), later(settings);
    const Mixture mixture = mixture_of(settings);
    BasicServerMixture<Real> of_all(N, d, mixture), of_later(N, d, mixture);
    const Written a = write(all, of_all, stream), b = write(later, of_later, rest, stream.y(0));
    CHECK(std::vector<double>(a.predictions.begin() + d, a.predictions.end()) == b.predictions);
    CHECK(std::vector<double>(a.worst_cost.begin() + 1, a.worst_cost.end()) == b.worst_cost);
    CHECK(a.predictions[0] == 0.0);
    CHECK(a.worst_cost[0] == 0.0);
    CHECK(a.mean_field[1] == 0.0);
    CHECK(a.recorded[3] == 0.0);
    CHECK(see(all) == see(later));
    CHECK(of_all.memory().errors == of_later.memory().errors);
    CHECK(of_all.memory().losses == of_later.memory().losses);
  }
}

TEST_CASE("a run in slices is the whole, and ends where its pace throws") {
  const Stream stream = random_stream(31, 40, 3, 2);
  const PopulationSettings settings = settings_of(9, stream);
  Population whole(settings), sliced(settings), stopped(settings);
  ServerMixture of_whole(9, 2), of_sliced(9, 2), of_stopped(9, 2);
  const Written written = write(whole, of_whole, stream);
  std::vector<Index> calls;
  const Pace slow = [&](Index done) {
    calls.push_back(done);
    CHECK(sliced.steps() == std::max<Index>(done - 1, 0));  // it may look, and all is learnt
    return done == 5 ? Index{0} : Index{5};                 // at least one step in any case
  };
  CHECK(write(sliced, of_sliced, stream, nullptr, slow) == written);
  CHECK(calls == std::vector<Index>{0, 5, 6, 11, 16, 21, 26, 31, 36, 40});
  const Pace stop = [](Index done) {
    if (done == 7) throw std::runtime_error("enough");
    return Index{7};
  };
  CHECK_THROWS_AS(write(stopped, of_stopped, stream, nullptr, stop), std::runtime_error);
  CHECK(stopped.steps() == 6);
  CHECK(of_stopped.steps() == 6);
}

TEST_CASE_TEMPLATE("predicting rows leaves no trace, whatever is pending", Real, double, float) {
  const Index N = 300, d = 2;
  const Stream stream = random_stream(32, 24, 3, d);
  const Stream given = random_stream(33, 24, N * 4, d);
  std::vector<Encoders> encoders(std::begin(kEncoders), std::end(kEncoders));
  encoders.emplace_back(Precomputed{4});
  for (const Encoders& encoder : encoders) {
    const Stream& s = std::holds_alternative<Precomputed>(encoder.front()) ? given : stream;
    const PopulationSettings settings = settings_of(N, s, encoder);
    BasicPopulation<Real> looked(settings), alone(settings);
    BasicServerMixture<Real> of_looked(N, d, {4}), of_alone(N, d, {4});
    std::vector<double> mixed(d), same(d), rows(5 * d), again(5 * d);
    predict_rows(looked, of_looked, s.x(0), 5, rows.data());
    CHECK(rows == std::vector<double>(5 * d, 0.0));  // nothing is known yet
    for (Index t = 0; t < 18; ++t) {
      predict_rows(looked, of_looked, s.x(t), 5, rows.data());
      predict(looked, of_looked, s.x(t), mixed.data());
      predict(alone, of_alone, s.x(t), same.data());
      CHECK(mixed == same);
      CHECK(mixed == std::vector<double>(rows.begin(), rows.begin() + d));
      predict_rows(looked, of_looked, s.x(t), 5, again.data());
      CHECK(again == rows);
      CHECK(see(looked) == see(alone));
      CHECK(looked.is_pending());
      learn(looked, of_looked, s.y(t));
      learn(alone, of_alone, s.y(t));
    }
    CHECK(see(looked) == see(alone));
    CHECK(looked.memory().gram == alone.memory().gram);
    CHECK(looked.memory().reservoir == alone.memory().reservoir);
    CHECK(of_looked.memory().gram == of_alone.memory().gram);
    CHECK(of_looked.memory().losses == of_alone.memory().losses);
    std::vector<double> bad(s.x(0), s.x(5));
    bad.back() = INFINITY;
    CHECK(contains(refusal([&] { predict_rows(looked, of_looked, bad.data(), 5, rows.data()); }),
                   "X holds inf at [4, "));
  }
}

TEST_CASE_TEMPLATE("one thread or several, on any processor: the same bits", Real, double, float) {
  const Index N = 3000;  // several chunks, and a block that is not full
  const Stream stream = random_stream(21, 20, 2, 2);
  const std::vector<std::string> sets = tests::instruction_sets();
  CHECK(sets.front() == "baseline");
  for (const PolicyKind policy : kPolicies)
    for (const Encoders& encoder :
         {Encoders(RandomFeatures{6}), Encoders(RandomFeatures{8, Activation::wave, 1.0, 2, 2}),
          Encoders(EchoState{4}), Encoders{Linear{}, RandomFeatures{6}, EchoState{4}}}) {
      PopulationSettings settings = settings_of(N + 3, stream, encoder, policy);
      const auto with = [&](int threads) {
        settings.n_threads = threads;
        BasicPopulation<Real> population(settings);
        BasicServerMixture<Real> mixture(N + 3, 2, mixture_of(settings), threads);
        const Written written = write(population, mixture, stream);
        return std::make_pair(written, see(population));
      };
      const auto one = with(1);
      for (const int threads : {2, 3}) {
        const auto several = with(threads);
        CHECK(several.first == one.first);
        CHECK(several.second == one.second);
      }
      for (const std::string& set : sets) {
        setenv("MEMOA_INSTRUCTION_SET", set.c_str(), 1);
        const auto other = with(1);
        CHECK(other.first == one.first);
        CHECK(other.second == one.second);
      }
      unsetenv("MEMOA_INSTRUCTION_SET");
    }
}

TEST_CASE("an instruction set that is not there is named") {
  setenv("MEMOA_INSTRUCTION_SET", "avx", 1);
  CHECK(names(refusal([] { Population{PopulationSettings{}}; }), "MEMOA_INSTRUCTION_SET is 'avx'"));
  unsetenv("MEMOA_INSTRUCTION_SET");
}

TEST_CASE_TEMPLATE("looking at what was learnt changes nothing", Real, double, float) {
  // the engine takes a learnt step in when it next encodes, or when somebody looks
  const Stream stream = random_stream(26, 12, 2, 2);
  for (const Encoders& encoder : kEncoders) {
    const PopulationSettings settings = settings_of(37, stream, encoder);
    BasicPopulation<Real> watched(settings), left_alone(settings);
    for (Index t = 0; t < stream.n_steps; ++t) {
      for (auto* population : {&watched, &left_alone}) {
        population->predict(stream.x(t));
        population->learn(stream.y(t));
      }
      watched.worst_cost();
      const PopulationMemory memory = watched.memory();
      CHECK(memory.gram == watched.memory().gram);
    }
    CHECK(see(watched) == see(left_alone));
    CHECK(watched.memory().gram == left_alone.memory().gram);
    CHECK(watched.memory().cross == left_alone.memory().cross);
  }
}

TEST_CASE("float32 follows float64") {
  const Stream stream = random_stream(27, 60, 3, 2);
  for (const PolicyKind policy : kPolicies)
    for (const Encoders& encoder : kEncoders) {
      const PopulationSettings settings = settings_of(40, stream, encoder, policy);
      Population wide(settings);
      PopulationF32 narrow(settings);
      follow(wide, stream, 0, 60);
      follow(narrow, stream, 0, 60);
      CHECK(tests::distance(see(narrow).predictions, see(wide).predictions) < 1e-3);
      CHECK(tests::distance(see(narrow).costs, see(wide).costs) < 1e-3);
    }
}

TEST_CASE_TEMPLATE("an agent that overflows is named and spoils no other", Real, double, float) {
  const Index N = 40, p = 3;
  Stream stream = random_stream(28, 12, N * p, 1);
  BasicPopulation<Real> population = started<Real>(settings_of(N, stream, Precomputed{p}));
  CHECK(population.overflow().step == -1);
  for (Index t = 0; t < 12; ++t) {
    double* x = stream.inputs.data() + t * N * p;
    if (t == 5) x[17 * p + 1] = x[33 * p] = 1e200;
    population.predict(x);
    for (const double y : see(population).predictions) CHECK(std::isfinite(y));
    if (t == 5) CHECK(see(population).predictions[17] == *population.base());
    CHECK(population.overflow().step == (t < 5 ? -1 : 5));
    CHECK(population.overflow().agent == (t < 5 ? -1 : 17));
    population.learn(stream.y(t));
  }
}

TEST_CASE_TEMPLATE("a restored population goes on with the same bits", Real, double, float) {
  const Stream stream = random_stream(22, 30, 2, 2);
  for (const PolicyKind policy : kPolicies)
    for (const Encoders& encoder : kEncoders)
      for (const Index learnt : {0, 1, 15}) {  // also before, and just after, the first y
        const PopulationSettings settings = settings_of(19, stream, encoder, policy);
        BasicPopulation<Real> population(settings), restored(settings);
        follow(population, stream, 0, learnt);
        restored.restore(population.memory());
        population.mark_costs();  // as restoring does
        CHECK(see(restored) == see(population));
        CHECK(restored.has_seen() == (learnt > 0));
        CHECK(restored.steps() == std::max<Index>(learnt - 1, 0));
        follow(population, stream, learnt, 30);
        follow(restored, stream, learnt, 30);
        CHECK(see(restored) == see(population));
      }
}

TEST_CASE("memory of another size is named and changes nothing") {
  const Stream stream = random_stream(23, 10, 2, 1);
  Population population = started(settings_of(6, stream));
  follow(population, stream, 0, 10);
  const tests::Seen seen = see(population);
  using Memory = Population::Memory;
  const std::pair<const char*, std::vector<double> Memory::*> fields[] = {
      {"base", &Memory::base},
      {"shown_base", &Memory::shown_base},
      {"mean_field", &Memory::mean_field},
      {"costs", &Memory::costs},
      {"gram", &Memory::gram},
      {"cross", &Memory::cross},
      {"reservoir", &Memory::reservoir},
      {"increments", &Memory::increments}};
  for (const auto& entry : fields) {
    const char* name = entry.first;
    const auto field = entry.second;
    CAPTURE(name);
    Memory memory = population.memory();
    memory.steps = 0;
    (memory.*field).push_back(0.0);
    CHECK(contains(refusal([&] { population.restore(memory); }), name));
    if (memory.*field == std::vector<double>{0.0}) continue;  // no reservoir here
    (memory.*field).pop_back();
    (memory.*field).back() = NAN;
    CHECK(contains(refusal([&] { population.restore(memory); }), name));
  }
  for (const Index k : {0, 2, 9, 10})  // a count, squares, the excess, the age
    for (const double value : {-1.0, double(NAN)}) {
      Memory memory = population.memory();
      memory.standardiser[static_cast<std::size_t>(k)] = value;
      CHECK(contains(refusal([&] { population.restore(memory); }), "memory.standardiser"));
    }
  Memory neither = population.memory();
  neither.has_seen = 2;
  CHECK(names(refusal([&] { population.restore(neither); }), "memory.has_seen is 2"));
  PopulationSettings others = settings_of(6, stream);
  others.seed = 6;
  CHECK(names(refusal([&] { population.restore(started(others).memory()); }),
              "memory.seed is 6; expected 5"));
  Memory elsewhere = population.memory();
  elsewhere.first = 6;
  CHECK(names(refusal([&] { population.restore(elsewhere); }), "memory.first is 6; expected 0"));
  Memory torn = population.memory();
  torn.costs = started(settings_of(6, stream)).memory().costs;  // of another moment
  CHECK(names(refusal([&] { population.restore(torn); }), "memory.checksum"));
  CHECK(see(population) == seen);
  CHECK(population.steps() == 10);
}

TEST_CASE("a run refuses bad input before it learns anything") {
  const Stream stream = random_stream(24, 8, 2, 1);
  Population population(settings_of(6, stream));
  ServerMixture mixture(6, 1), other(7, 1);
  const tests::Seen seen = see(population);
  std::vector<double> predictions(8);
  const auto refused = [&](const Stream& s, ServerMixture& with, RunOutput output) {
    output.predictions = predictions.data();
    return refusal(
        [&] { run(population, with, s.inputs.data(), s.targets.data(), s.n_steps, output); });
  };
  Stream bad = stream;
  bad.inputs.back() = INFINITY;
  CHECK(names(refused(bad, mixture, {}), "X holds inf at [7, 1]"));
  bad = stream;
  bad.targets[6] = INFINITY;
  CHECK(names(refused(bad, mixture, {}), "Y holds inf at [6, 0]"));
  bad.targets[6] = 1.5e150;
  CHECK(names(refused(bad, mixture, {}), "Y holds 1.5e+150 at [6, 0]; expected numbers of at"));
  const double nowhere = INFINITY;
  CHECK(names(refusal([&] {
                run(population, mixture, stream.inputs.data(), stream.targets.data(), 8,
                    {predictions.data()}, &nowhere);
              }),
              "initial holds inf at [0]"));
  CHECK(names(refused(stream, other, {}), "mixture"));
  const Index record[] = {2, 6};
  RunOutput output;
  output.record = record;
  output.n_record = 2;
  CHECK(names(refused(stream, mixture, output), "record holds agent 6"));
  CHECK(see(population) == seen);
  CHECK_FALSE(population.has_seen());
  CHECK(mixture.steps() == 0);
  population.predict(stream.x(0));  // without the mixture, which then cannot learn
  population.learn(stream.y(0));
  population.predict(stream.x(1));
  CHECK(names(refusal([&] { learn(population, mixture, stream.y(1)); }), "x was not predicted"));
  CHECK(population.is_pending());
}

TEST_CASE_TEMPLATE("a warm step allocates nothing", Real, double, float) {
  const Stream stream = random_stream(25, 60, 3, 2);
  for (const PolicyKind policy : kPolicies)
    for (const Encoders& encoder : kEncoders) {
      PopulationSettings settings = settings_of(50, stream, encoder, policy);
      settings.n_threads = 1;
      BasicPopulation<Real> population(settings);
      BasicServerMixture<Real> mixture(50, 2, mixture_of(settings), 1);
      std::vector<double> mixed(2);
      std::size_t before = 0;
      for (Index t = 0; t < stream.n_steps; ++t) {
        if (t == 40) before = tests::allocations();
        predict(population, mixture, stream.x(t), mixed.data());
        predict_rows(population, mixture, stream.x(t), 1, mixed.data());
        learn(population, mixture, stream.y(t));
      }
      CHECK(before > 0);  // the counter counts
      CHECK(tests::allocations() - before == 0);
    }
}
