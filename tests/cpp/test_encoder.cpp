#include <Eigen/Eigenvalues>

#include "checks.hpp"
#include "detail/philox.hpp"
#include "problems.hpp"

using namespace memoa;
using tests::names;
using tests::refusal;

TEST_CASE("Philox gives the published words") {
  // Random123's known answers for philox4x64-10
  const std::uint64_t ones = ~std::uint64_t{0};
  using Words = std::array<std::uint64_t, 4>;
  CHECK(detail::philox({0, 0, 0, 0}, {0, 0}) ==
        Words{0x16554d9eca36314cu, 0xdb20fe9d672d0fdcu, 0xd7e772cee186176bu, 0x7e68b68aec7ba23bu});
  CHECK(detail::philox({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x87b092c3013fe90bu, 0x438c3c67be8d0224u, 0x9cc7d7c69cd777b6u, 0xa09caebf594f0ba0u});
}

TEST_CASE("an agent's weights follow from the seed and its number") {
  const Encoder encoder = EchoState{8};
  const EncoderWeights a = draw_weights(encoder, 3, 7, 2), again = draw_weights(encoder, 3, 7, 2);
  CHECK(a.input == again.input);
  CHECK(a.bias == again.bias);
  CHECK(a.reservoir == again.reservoir);
  CHECK(a.input != draw_weights(encoder, 3, 8, 2).input);
  CHECK(a.input != draw_weights(encoder, 4, 7, 2).input);
  CHECK(draw_weights(RandomFeatures{8}, 3, 7, 2).reservoir.empty());
  CHECK(draw_weights(Precomputed{8}, 3, 7, 2).input.empty());
}

TEST_CASE("weights have the distribution they are documented to have") {
  const Index p = 200, dx = 50;
  const EncoderWeights weights = draw_weights(RandomFeatures{p, Activation::cos}, 0, 0, dx);
  const VectorMap V(weights.input.data(), p * dx);
  // four standard errors of the mean and of the variance
  CHECK(std::abs(V.mean()) < 4.0 * std::sqrt(1.0 / (dx * V.size())));
  CHECK(dx * V.squaredNorm() / V.size() == doctest::Approx(1.0).epsilon(4 * std::sqrt(2.0 / 1e4)));
  const auto [low, high] = std::minmax_element(weights.bias.begin(), weights.bias.end());
  const double turn = 2.0 * std::acos(-1.0);
  CHECK((*low >= 0.0 && *low<0.1 * turn&& * high> 0.9 * turn && *high <= turn));
  const EncoderWeights relu = draw_weights(RandomFeatures{p}, 0, 0, dx);
  const auto [least, most] = std::minmax_element(relu.bias.begin(), relu.bias.end());
  CHECK((*least >= -1.0 && *least < -0.8 && *most > 0.8 && *most <= 1.0));
}

TEST_CASE("a reservoir has the spectral radius asked for") {
  for (const Index p : {1, 2, 7, 30})
    for (const double radius : {0.0, 0.9, 1.3}) {
      const EncoderWeights weights = draw_weights(EchoState{p, 0.5, radius}, 1, 4, 3);
      const Eigen::MatrixXd W = MatrixMap(weights.reservoir.data(), p, p);
      CHECK(Eigen::EigenSolver<Eigen::MatrixXd>(W).eigenvalues().cwiseAbs().maxCoeff() ==
            doctest::Approx(radius).epsilon(1e-10));
    }
}

TEST_CASE("the running mean and variance are those of two passes") {
  const Index n = 500, dx = 3;
  problems::Random random(5);
  RowMatrix x = random.matrix(n, dx);
  x.col(1).array() += 1e6;  // a level far above the variance
  x.col(2).setConstant(4.0);
  Standardiser standardiser(dx);
  for (Index t = 0; t < n; ++t) standardiser.count(x.row(t).data());
  const Eigen::RowVectorXd mean = x.colwise().mean();
  const Eigen::RowVectorXd deviation = (x.rowwise() - mean).colwise().norm() / std::sqrt(n);
  std::vector<double> z(dx);
  standardiser.apply(x.row(0).data(), z.data());
  for (Index k = 0; k < dx; ++k)
    CHECK(standardiser.coordinates[k].known().mean == doctest::Approx(mean[k]).epsilon(1e-12));
  for (const Index k : {0, 1}) {
    CHECK(standardiser.coordinates[k].known().deviation() ==
          doctest::Approx(deviation[k]).epsilon(1e-9));
    CHECK(z[k] == doctest::Approx((x(0, k) - mean[k]) / deviation[k]).epsilon(1e-7));
  }
  CHECK(z[2] == 0.0);  // no variance

  const std::vector<double> far{1e3, -1e9, 4.0};
  standardiser.apply(far.data(), z.data());
  CHECK(z == std::vector<double>{4.0, -4.0, 0.0});
}

TEST_CASE("a bad value leaves next to no mark on what is known of an input") {
  problems::Random random(7);
  const Eigen::VectorXd x = random.matrix(400, 1);
  for (const Index first : {0, 3, 12, 200})
    for (const Index length : {1, 20})
      for (const double bad : {1e3, -9999.0, 1e9}) {
        CAPTURE(first);
        CAPTURE(length);
        CAPTURE(bad);
        Coordinate clean, hurt;
        for (Index t = 0; t < x.size(); ++t) {
          clean.count(x[t]);
          hurt.count(t >= first && t < first + length ? bad : x[t]);
        }
        CHECK(hurt.known().deviation() < 3.0 * clean.known().deviation());
        CHECK(std::abs(hurt.known().mean - clean.known().mean) < clean.known().deviation());
      }
}

TEST_CASE("a level or a scale that stays is learnt anew") {
  problems::Random random(8);
  const Eigen::VectorXd x = random.matrix(600, 1);
  struct Change {
    double scale, level;
    Index steps;  // until it is followed
  };
  for (const Change change : {Change{1.0, 1000.0, 32}, {100.0, 0.0, 64}, {0.01, 0.0, 150}}) {
    Coordinate coordinate;
    for (Index t = 0; t < 300; ++t) coordinate.count(x[t]);
    for (Index t = 300; t < 300 + change.steps; ++t)
      coordinate.count(change.scale * x[t] + change.level);
    CHECK(coordinate.known().deviation() == doctest::Approx(change.scale).epsilon(0.5));
    CHECK(std::abs(coordinate.known().mean - change.level) < change.scale);
  }
}

TEST_CASE("an option out of range is named") {
  const auto refused = [](const Encoder& encoder) { return refusal([&] { validate(encoder); }); };
  CHECK(refused(RandomFeatures{}).empty());
  CHECK(names(refused(RandomFeatures{0}), "n_features"));
  CHECK(names(refused(RandomFeatures{4, Activation::relu, 0.0}), "scale"));
  CHECK(names(refused(RandomFeatures{4, Activation::relu, INFINITY}), "scale"));
  CHECK(names(refused(EchoState{0}), "n_features"));
  CHECK(names(refused(EchoState{4, 0.0}), "leak"));
  CHECK(names(refused(EchoState{4, 1.1}), "leak"));
  CHECK(names(refused(EchoState{4, 0.3, -1.0}), "radius"));
  CHECK(names(refused(EchoState{4, 0.3, NAN}), "radius"));
  CHECK(names(refused(Precomputed{0}), "n_features"));
  CHECK(n_features(EchoState{5}, 3) == 5);
  CHECK(n_features(Linear{}, 3) == 4);
}
