#include <algorithm>

#include "checks.hpp"
#include "detail/normals.hpp"
#include "detail/planes.hpp"
#include "detail/threefry.hpp"
#include "problems.hpp"

using namespace memoa;

TEST_CASE("Threefry gives the published words") {
  // Random123's known answers for threefry4x64-20
  const std::uint64_t ones = ~std::uint64_t{0};
  using Words = std::array<std::uint64_t, 4>;
  CHECK(detail::threefry({0, 0, 0, 0}, {0, 0, 0, 0}) ==
        Words{0x09218ebde6c85537u, 0x55941f5266d86105u, 0x4bd25e16282434dcu, 0xee29ec846bd2e40bu});
  CHECK(detail::threefry({ones, ones, ones, ones}, {ones, ones, ones, ones}) ==
        Words{0x29c24097942bba1bu, 0x0371bbfb0f6f4e11u, 0x3c231ffa33f83a1cu, 0xcd29113fde32d168u});
}

TEST_CASE("an agent's normals are the same in any range") {
  const detail::Normals normals(11);
  constexpr Index kAll = 1000, kEdges = 2 * detail::Normals::kShare - 2;
  std::vector<double> whole(kAll + kEdges), part(kAll + kEdges);
  const double* all = normals.fill(0, kAll, 1, 2, 3, whole.data());
  for (const Index first : {0, 1, 7, 8, 301, 999})
    for (const Index n : {1, 6, 256, 700}) {
      if (first + n > kAll) continue;
      const double* found = normals.fill(first, n, 1, 2, 3, part.data());
      CHECK(std::equal(found, found + n, all + first));
    }
  const double* other = normals.fill(0, kAll, 1, 3, 3, part.data());
  for (Index agent = 0; agent < kAll; ++agent) REQUIRE(other[agent] != all[agent]);
}

TEST_CASE("factors of covariances, singular ones too, give the covariances back") {
  problems::Random random(4);
  constexpr Index kAgents = 37;
  for (Index d = 1; d <= 5; ++d) {
    std::vector<double> planes(detail::n_entries(d) * detail::kPlane);
    std::vector<RowMatrix> wanted;
    for (Index i = 0; i < kAgents; ++i) {
      const RowMatrix root = random.matrix(d, 1 + i % d);  // of any rank
      wanted.push_back(root * root.transpose());
      for (Index a = 0; a < d; ++a)
        for (Index b = 0; b <= a; ++b)
          planes[detail::plane_of(a, b) * detail::kPlane + i] = wanted.back()(a, b);
    }
    detail::factorise_planes(planes.data(), d, kAgents);
    for (Index i = 0; i < kAgents; ++i) {
      RowMatrix lower = RowMatrix::Zero(d, d);
      for (Index a = 0; a < d; ++a)
        for (Index b = 0; b <= a; ++b)
          lower(a, b) = planes[detail::plane_of(a, b) * detail::kPlane + i];
      const RowMatrix& cov = wanted[static_cast<std::size_t>(i)];
      CHECK((lower * lower.transpose() - cov).cwiseAbs().maxCoeff() < 1e-7);
    }
  }
}
