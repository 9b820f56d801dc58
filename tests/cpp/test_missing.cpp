#include <cmath>
#include <limits>

#include "populations.hpp"

// A NaN stands for a value that is missing, theory section 10.

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::kEncoders;
using tests::refusal;
using tests::see;
using tests::settings_of;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Gaps of single values, of whole steps, and some in a row.
Stream with_gaps(Stream stream) {
  const Index d = stream.n_outputs;
  for (Index t = 0; t < stream.n_steps; ++t) {
    if (t % 5 == 3) stream.inputs[t * stream.n_inputs] = kNaN;
    for (Index o = 0; o < d; ++o)
      if ((t + 2 * o) % 7 == 2 || (t > 20 && t < 26)) stream.targets[t * d + o] = kNaN;
  }
  return stream;
}

}  // namespace

TEST_CASE_TEMPLATE("a run with gaps is its steps, bit for bit, on every level", Real, double,
                   float) {
  const Index N = 37;
  for (const Index d : {Index(1), Index(3)}) {
    const Stream stream = with_gaps(random_stream(7, 60, 2, d));
    for (const Encoders& encoder : kEncoders)
      for (const Aggregate aggregate : {Aggregate::mean, Aggregate::trimmed}) {
        PopulationSettings settings = settings_of(N, stream, encoder);
        settings.aggregate = aggregate;
        BasicPopulation<Real> whole(settings), stepped(settings);
        BasicServerMixture<Real> of_whole(N, d), of_stepped(N, d);
        std::vector<double> predictions(60 * d), worst(60), one(d);
        RunOutput output;
        output.predictions = predictions.data();
        output.worst_cost = worst.data();
        run(whole, of_whole, stream.inputs.data(), stream.targets.data(), 60, output);
        bool same = true;
        for (Index t = 0; t < 60; ++t) {
          predict(stepped, of_stepped, stream.x(t), one.data());
          for (Index o = 0; o < d; ++o) same = same && one[o] == predictions[t * d + o];
          learn(stepped, of_stepped, stream.y(t));
        }
        CHECK(same);
        for (const double prediction : predictions) CHECK(std::isfinite(prediction));
        std::vector<double> first(N), second(N);
        whole.costs(first.data()), stepped.costs(second.data());
        CHECK(first == second);
        CHECK(worst.back() == whole.worst_cost());
      }
  }
}

TEST_CASE("a step without y leaves no trace") {
  const Index N = 20, d = 2;
  const Stream stream = random_stream(8, 30, 2, d);
  const std::vector<double> nothing(d, kNaN);
  Population with(settings_of(N, stream)), without(settings_of(N, stream));
  ServerMixture of_with(N, d), of_without(N, d);
  std::vector<double> forecast(d), same(d);
  for (Index t = 0; t < 30; ++t) {
    predict(with, of_with, stream.x((t * 7) % 30), forecast.data());
    learn(with, of_with, nothing.data());
    predict(with, of_with, stream.x(t), forecast.data());
    predict(without, of_without, stream.x(t), same.data());
    CHECK(forecast == same);
    learn(with, of_with, stream.y(t));
    learn(without, of_without, stream.y(t));
  }
  CHECK(with.steps() == without.steps());
}

TEST_CASE("infinity is no gap") {
  const Stream stream = random_stream(9, 5, 2, 1);
  Population population(settings_of(4, stream));
  const double infinite = std::numeric_limits<double>::infinity(), x[] = {kNaN, infinite};
  CHECK(contains(refusal([&] { population.predict(x); }), "x holds inf at [1]"));
  population.predict(stream.x(0));
  CHECK(contains(refusal([&] { population.learn(&infinite); }), "NaN where one is missing"));
}
