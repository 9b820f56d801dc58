#include "detail/team.hpp"

#include "checks.hpp"

using namespace memoa;

TEST_CASE("what a thread throws leaves the region as an exception, wherever the others are") {
  for (const int threads : {1, 2, 4})
    for (int culprit = 0; culprit < threads; ++culprit) {
      const std::string message = tests::refusal([&] {
        detail::in_parallel(threads, [&](const detail::Worker& worker) {
          worker.meet();
          if (worker.thread == culprit % worker.threads) throw std::invalid_argument("here");
          worker.meet();
          worker.meet();
        });
      });
      CHECK(message == "here");
    }
}

TEST_CASE("more threads than the system can be of use for are not started") {
  int most = 0;
  detail::in_parallel(detail::resolve_threads(100'000), [&](const detail::Worker& worker) {
    if (worker.thread == 0) most = worker.threads;
  });
  CHECK(most >= 1);
  CHECK(most <= detail::resolve_threads(2'000'000'000));
  CHECK(detail::resolve_threads(100'000) < 10'000);
}
