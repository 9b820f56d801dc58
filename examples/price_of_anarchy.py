"""What does selfishness cost, and could one agent do better alone? For any number of agents."""

from __future__ import annotations

import memoa

game = memoa.Game([[1.0, 0.5]], [0.2, 0.1], [0.5], coupling=0.5, effort=0.3, horizon=12)


def cost_of(policy: memoa.Policy, n: int) -> memoa.Certificate:
    """Exact, for n agents that begin independently with mean 0 and variance 1."""
    return memoa.certify(game, policy, n, mean=[0.0], cov=[[1.0]])


limit = memoa.solve_mean_field(game)
print("agents   exact Nash   mean field   optimum   one could gain")
for n in (2, 10, 100, 10_000):
    nash = cost_of(memoa.solve_nash(game, n), n).cost
    ours = cost_of(limit, n)
    best = cost_of(memoa.solve_social_optimum(game, n), n).cost
    print(f"{n:6d} {nash:12.5f} {ours.cost:12.5f} {best:9.5f} {ours.exploitability:16.1e}")

rolled = memoa.simulate(game, limit, 10_000, mean=[0.0], cov=[[1.0]])
print(
    f"simulated once: mean cost {rolled.mean_cost:.5f}, the worst agent's {rolled.worst_cost:.2f}"
)
