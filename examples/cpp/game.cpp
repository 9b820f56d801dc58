// A game of ten stages solved, and its policy certified for any number of agents: what an agent
// could still gain by leaving it alone.
#include <cstdio>
#include <memoa/memoa.hpp>

int main() {
  memoa::GameData data;
  data.horizon = 10, data.n_outputs = 1, data.n_features = 2;
  data.feature_mean = {1.0, 0.5}, data.feature_cov = {0.2, 0.2}, data.target = {1.0};
  data.coupling = {0.5};
  const memoa::Game game(data);
  const memoa::Policy policy = memoa::solve_mean_field(game);
  std::printf("gain of the first stage: %.17g %.17g\n", policy.gain[0], policy.gain[1]);
  for (const memoa::Index n_agents : {2, 100, 1'000'000}) {
    const memoa::Certificate found = memoa::certify(game, policy, n_agents, {0.0}, {1.0});
    std::printf("%td agents: cost %.17g, exploitability %.17g\n", n_agents, found.cost,
                found.exploitability);
  }
}
