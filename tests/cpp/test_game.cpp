#include <limits>

#include "checks.hpp"
#include "problems.hpp"

using namespace memoa;
using tests::contains;
using tests::names;
using tests::refusal;

namespace {

std::string refused(const GameData& data) {
  return refusal([&] { Game{data}; });
}

/// The smallest valid game: one stage, one output, two features.
GameData smallest() {
  GameData data;
  data.horizon = 1;
  data.n_outputs = 1;
  data.n_features = 2;
  data.feature_mean = {1.0, 0.5};
  data.feature_cov = {0.1, 0.2};
  data.target = {1.0};
  return data;
}

}  // namespace

TEST_CASE("what is left out takes its default") {
  GameData data = smallest();
  data.horizon = 3;
  const Game game(data);
  for (Index t = 0; t < 3; ++t) {
    CHECK(game.transition(t)(0, 0) == 1.0);
    CHECK(game.mean_transition(t)(0, 0) == 0.0);
    CHECK(game.drift(t)[0] == 0.0);
    CHECK(game.discount(t) == 1.0);
  }
  CHECK(game.tracking()(0, 0) == 1.0);
  CHECK(game.coupling()(0, 0) == 0.0);
}

TEST_CASE("one stage repeats over the horizon") {
  const Index T = 4;
  GameData once = problems::random_game(1, 1, 2, 3);
  GameData repeated = once;
  once.horizon = repeated.horizon = T;
  for (auto field :
       {&GameData::feature_mean, &GameData::feature_cov, &GameData::target, &GameData::discount,
        &GameData::transition, &GameData::mean_transition, &GameData::drift}) {
    const std::vector<double> stage = repeated.*field;
    for (Index t = 1; t < T; ++t)
      (repeated.*field).insert((repeated.*field).end(), stage.begin(), stage.end());
  }
  const Game a(once), b(repeated);
  for (auto field :
       {&GameData::feature_mean, &GameData::feature_cov, &GameData::target, &GameData::discount,
        &GameData::transition, &GameData::mean_transition, &GameData::drift})
    CHECK(a.data().*field == b.data().*field);
}

TEST_CASE("accessors read the row-major arrays") {
  const GameData data = problems::random_game(2, 3, 2, 4);
  const Game game(data);
  CHECK(game.feature_mean(2)(1, 3) == data.feature_mean[(2 * 2 + 1) * 4 + 3]);
  CHECK(game.feature_cov(1, 2)(1, 0) == data.feature_cov[((1 * 4 + 2) * 2 + 1) * 2]);
  CHECK(game.transition(2)(0, 1) == data.transition[2 * 4 + 1]);
  CHECK(game.target(1)[1] == data.target[3]);
}

TEST_CASE("discount weights: theory (1.2)") {
  const std::vector<double> weights = discount_weights(0.5, 4);
  CHECK(weights.back() == 1.0);
  for (std::size_t t = 1; t < weights.size(); ++t)
    CHECK(weights[t] == doctest::Approx(std::exp(0.5) * weights[t - 1]));
  CHECK(discount_weights(0.0, 3) == std::vector<double>(3, 1.0));
  CHECK(contains(refusal([] { discount_weights(-0.1, 3); }), "discount"));
}

TEST_CASE("a size out of place is named") {
  struct Case {
    const char* name;
    std::vector<double> GameData::*field;
  };
  for (const Case& c :
       {Case{"feature_mean", &GameData::feature_mean}, Case{"feature_cov", &GameData::feature_cov},
        Case{"target", &GameData::target}, Case{"tracking", &GameData::tracking},
        Case{"coupling", &GameData::coupling}, Case{"discount", &GameData::discount},
        Case{"transition", &GameData::transition},
        Case{"mean_transition", &GameData::mean_transition}, Case{"drift", &GameData::drift}}) {
    CAPTURE(c.name);
    GameData longer = problems::random_game(3, 2, 2, 3);
    (longer.*c.field).push_back(0.0);
    CHECK(names(refused(longer), c.name));

    GameData bad = problems::random_game(3, 2, 2, 3);
    (bad.*c.field).back() = std::numeric_limits<double>::quiet_NaN();
    CHECK(names(refused(bad), c.name));
  }
}

TEST_CASE("a value out of range is named") {
  const auto with = [](auto change) {
    GameData data = smallest();
    change(data);
    return refused(data);
  };
  CHECK(refused(smallest()).empty());
  CHECK(names(with([](GameData& g) { g.horizon = 0; }), "horizon"));
  CHECK(names(with([](GameData& g) { g.n_outputs = 0; }), "n_outputs"));
  CHECK(names(with([](GameData& g) { g.n_features = -1; }), "n_features"));
  CHECK(names(with([](GameData& g) { g.effort = 0.0; }), "effort"));
  CHECK(names(with([](GameData& g) { g.discount = {0.0}; }), "discount[0]"));
  CHECK(names(with([](GameData& g) { g.tracking = {-1.0}; }), "tracking"));
  CHECK(names(with([](GameData& g) { g.feature_cov = {0.1, -0.2}; }), "feature_cov[0, 1]"));
  CHECK(contains(with([](GameData& g) { g.feature_mean[1] = INFINITY; }), "[0, 0, 1]"));
}

TEST_CASE("covariances are symmetric and positive semi-definite") {
  GameData data = problems::random_game(4, 1, 2, 1);
  data.feature_cov = {1.0, 0.5, 0.5 + 1e-6, 1.0};
  CHECK(contains(refused(data), "not symmetric"));
  data.feature_cov = {1.0, 2.0, 2.0, 1.0};
  CHECK(contains(refused(data), "negative eigenvalue"));
  data.feature_cov = {1.0, 1.0, 1.0, 1.0};  // singular, and allowed
  CHECK(refused(data).empty());
  data.feature_cov = {0.0, 0.0, 0.0, 0.0};
  CHECK(refused(data).empty());
}
