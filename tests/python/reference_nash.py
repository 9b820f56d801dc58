"""Slow NumPy twins of theory sections 4 and 5, one function per equation.

Nothing here imports memoa and nothing shares an algebraic shortcut with it: controls are solved in
their p unknowns, and affine parts ride along in a state augmented by the constant 1. The twins of
section 2 and the brute force through the stacked state are in reference_stack.py, the social
optimum and the baselines in reference_social.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reference import GameData, require_regular

# ---------------------------------------------------------------- policies and stages


@dataclass(frozen=True)
class SymmetricPolicy:
    """b = gain y + mean_gain m + offset; `values` holds what the solver carried, stage 0 first."""

    gain: np.ndarray  # (T, p, d)
    mean_gain: np.ndarray  # (T, p, d)
    offset: np.ndarray  # (T, p)
    rcond: float = 1.0
    values: tuple = ()


def noise_weight(cov: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """diag_k tr(P C[k]): the part of theory (1.4) that the features' covariance adds."""
    return np.diag([np.trace(weight @ cov_k) for cov_k in cov])


def stage(game: GameData, t: int) -> tuple:
    """M, C, A, Abar, f, w Q, w g I of stage t."""
    w, p = game.weights[t], game.feature_mean.shape[2]
    return (
        game.feature_mean[t],
        game.feature_cov[t],
        game.transition[t],
        game.mean_transition[t],
        game.drift[t],
        w * game.tracking,
        w * game.effort * np.eye(p),
    )


def collect(rows: list[tuple], rcond: float = 1.0, values: list | None = None) -> SymmetricPolicy:
    """A SymmetricPolicy from per-stage (gain, mean_gain, offset), last stage first."""
    gain, mean_gain, offset = (np.array([row[j] for row in rows[::-1]]) for j in range(3))
    return SymmetricPolicy(gain, mean_gain, offset, rcond, tuple((values or [])[::-1]))


def mean_path(game: GameData, policy: SymmetricPolicy, start: np.ndarray) -> np.ndarray:
    """(T+1, d): the expected mean from `start` when all play `policy`; theory (3.2), (1.1)."""
    path = [np.asarray(start, float)]
    for t in range(len(game.target)):
        mean, _, a, abar, f, _, _ = stage(game, t)
        m = path[-1]
        control = (policy.gain[t] + policy.mean_gain[t]) @ m + policy.offset[t]
        path.append((a + abar) @ m + f + mean @ control)
    return np.array(path)


# ---------------------------------------------------------------- sections 4 and 5: N alike agents
#
# Agent i's value in z = (y, S, 1) is z' form z + sum_j y_j' spread y_j, where spread = P3 - P4:
# it obeys a recursion of its own, so that nothing large is ever subtracted.


@dataclass(frozen=True)
class SymmetricValue:
    form: np.ndarray  # (2d+1, 2d+1)
    spread: np.ndarray  # (d, d)

    def blocks(self) -> dict[str, np.ndarray]:
        """P1, P2, P3, P4, s1, s2, r of theory section 4."""
        d = len(self.spread)
        y, s = slice(0, d), slice(d, 2 * d)
        p4 = self.form[s, s]
        return {
            "P1": self.form[y, y],
            "P2": self.form[y, s],
            "P3": self.spread + p4,
            "P4": p4,
            "s1": self.form[y, -1],
            "s2": self.form[s, -1],
            "r": self.form[-1, -1],
        }


def zero_value(d: int) -> SymmetricValue:
    """The value after the last stage."""
    return SymmetricValue(np.zeros((2 * d + 1, 2 * d + 1)), np.zeros((d, d)))


def with_stage_cost(game: GameData, n_agents: int, t: int, value: SymmetricValue) -> SymmetricValue:
    """K* = P* + w Q*, k* = s* + w q*: the cost of y+ joins the value that follows it."""
    d = game.target.shape[1]
    share = game.coupling / n_agents
    error = np.hstack([np.eye(d) - share, -share, -game.target[t][:, None]])  # E1 y + E2 S - e
    return replace(value, form=value.form + game.weights[t] * error.T @ game.tracking @ error)


def unit_row(d: int) -> np.ndarray:
    """The constant 1 of z stays 1."""
    return np.eye(2 * d + 1)[-1:]


def free_motion(game: GameData, n_agents: int, t: int) -> np.ndarray:
    """x = A y + Abar m + f as a matrix on z = (y, S, 1)."""
    _, _, a, abar, f, _, _ = stage(game, t)
    return np.hstack([a + abar / n_agents, abar / n_agents, f[:, None]])


def others_policy(policy: tuple, n_agents: int) -> tuple[np.ndarray, np.ndarray]:
    """b_j = private y_j + shared z of another agent j under (gain, mean_gain, offset)."""
    gain, mean_gain, offset = policy
    return gain, np.hstack([mean_gain / n_agents, mean_gain / n_agents, offset[:, None]])


def motion_of_sum(game: GameData, n_agents: int, t: int, policy: tuple) -> np.ndarray:
    """E S+ as a matrix on z, when the others play `policy`: (Si, So, S0) of theory section 5."""
    mean, _, a, abar, f, _, _ = stage(game, t)
    d, n = len(a), n_agents - 1
    private, shared = others_policy(policy, n_agents)
    pick_sum = np.hstack([np.zeros((d, d)), np.eye(d), np.zeros((d, 1))])
    common = np.hstack([abar / n_agents, abar / n_agents, f[:, None]]) + mean @ shared
    return (a + mean @ private) @ pick_sum + n * common


def response_control(game, n_agents, t, after: SymmetricValue, policy: tuple) -> np.ndarray:
    """Best response to `policy` as a (p, 2d+1) matrix on z, theory section 5."""
    mean, cov, _, _, _, _, effort = stage(game, t)
    d = len(mean)
    k1 = after.form[:d, :d]
    r = mean.T @ k1 @ mean + noise_weight(cov, k1) + effort
    moved = np.vstack(
        [free_motion(game, n_agents, t), motion_of_sum(game, n_agents, t, policy), unit_row(d)]
    )
    return -np.linalg.solve(r, mean.T @ after.form[:d] @ moved)


def value_before(game, n_agents, t, after, own: np.ndarray, policy: tuple) -> SymmetricValue:
    """One step of the value when agent i plays own @ z and the others play `policy`."""
    mean, cov, a, abar, f, _, effort = stage(game, t)
    d, n = len(a), n_agents - 1
    private, shared = others_policy(policy, n_agents)
    pick_sum = np.hstack([np.zeros((d, d)), np.eye(d), np.zeros((d, 1))])
    alone = a + mean @ private  # y_j+ = alone y_j + common z + noise
    common = np.hstack([abar / n_agents, abar / n_agents, f[:, None]]) + mean @ shared
    moved = np.vstack(
        [
            free_motion(game, n_agents, t) + mean @ own,
            motion_of_sum(game, n_agents, t, policy),
            unit_row(d),
        ]
    )
    noise_own = noise_weight(cov, after.blocks()["P1"])
    noise_other = noise_weight(cov, after.blocks()["P3"])

    def sum_over_others(on_own, on_z, weight):
        """sum_j |on_own y_j + on_z z|^2 without its y_j-y_j part, as a form in z."""
        cross = pick_sum.T @ on_own.T @ weight @ on_z
        return cross + cross.T + n * on_z.T @ weight @ on_z

    form = moved.T @ after.form @ moved + own.T @ (noise_own + effort) @ own
    form += sum_over_others(alone, common, after.spread)
    form += sum_over_others(private, shared, noise_other)
    spread = alone.T @ after.spread @ alone + private.T @ noise_other @ private
    return SymmetricValue((form + form.T) / 2, (spread + spread.T) / 2)


def nash_control(game, n_agents, t, after: SymmetricValue) -> tuple[np.ndarray, float]:
    """(4.1), (4.2): the symmetric equilibrium control as a matrix on z, and the smaller rcond."""
    mean, cov, a, abar, f, _, effort = stage(game, t)
    d, n = len(mean), n_agents - 1
    after_blocks = after.blocks()
    k1, k2 = after_blocks["P1"], after_blocks["P2"]
    k = np.hstack([np.zeros((d, 2 * d)), after_blocks["s1"][:, None]])
    r = mean.T @ k1 @ mean + noise_weight(cov, k1) + effort
    s_f = mean @ np.linalg.solve(r, mean.T)
    x = free_motion(game, n_agents, t)
    total = np.hstack([a + abar, a + abar, n_agents * f[:, None]])
    left_one, left_sum = np.eye(d) - k2 @ s_f, np.eye(d) + n * k2 @ s_f
    sum_a = np.linalg.solve(left_sum, (k1 + n * k2) @ total + n_agents * k)
    one_a = np.linalg.solve(left_one, (k1 - k2) @ x + k2 @ total - k2 @ s_f @ sum_a + k)
    rcond = min(require_regular(left_one, t), require_regular(left_sum, t))
    return -np.linalg.solve(r, mean.T @ one_a), rcond


def solve_nash_reference(game: GameData, n_agents: int) -> SymmetricPolicy:
    """Exact Nash of n_agents alike agents, (4.1)-(4.3); `values` holds the SymmetricValues."""
    d = game.target.shape[1]
    value, rows, values, rcond = zero_value(d), [], [], np.inf
    for t in reversed(range(len(game.target))):
        after = with_stage_cost(game, n_agents, t, value)
        own, stage_rcond = nash_control(game, n_agents, t, after)
        on_self, on_sum, offset = own[:, :d], own[:, d : 2 * d], own[:, -1]
        rows.append((on_self - on_sum, n_agents * on_sum, offset))  # (4.3)
        value = value_before(game, n_agents, t, after, own, rows[-1])
        values.append(value)
        rcond = min(rcond, stage_rcond)
    return collect(rows, rcond, values)


def expected_cost(value: SymmetricValue, n_agents: int, mean, cov) -> float:
    """(5.1) for y_0 independent with this mean and covariance."""
    b, n = value.blocks(), n_agents - 1
    cost = mean @ b["P1"] @ mean + np.trace(b["P1"] @ cov) + 2 * n * mean @ b["P2"] @ mean
    cost += n * (mean @ b["P3"] @ mean + np.trace(b["P3"] @ cov))
    cost += n * (n - 1) * mean @ b["P4"] @ mean + 2 * (b["s1"] + n * b["s2"]) @ mean + b["r"]
    return float(cost)


def limit_policy(game: GameData, policy: SymmetricPolicy, start: np.ndarray) -> SymmetricPolicy:
    """The same policy with the flow m_t from `start` in place of the empirical mean."""
    path = mean_path(game, policy, start)[:-1]
    frozen = np.array([g @ m for g, m in zip(policy.mean_gain, path, strict=True)])
    return replace(policy, mean_gain=np.zeros_like(policy.mean_gain), offset=policy.offset + frozen)


def certify_reference(
    game, policy: SymmetricPolicy, n_agents, mean, cov, mean_field="empirical"
) -> dict:
    """(5.1), (5.2): cost of playing `policy`, of answering it optimally, and the difference.

    The best response knows the policy and every agent's state, also if the others act on the limit.
    """
    if mean_field == "limit":
        policy = limit_policy(game, policy, mean)
    playing = answering = zero_value(game.target.shape[1])
    for t in reversed(range(len(game.target))):
        at = (policy.gain[t], policy.mean_gain[t], policy.offset[t])
        private, shared = others_policy(at, n_agents)
        own = shared.copy()
        own[:, : private.shape[1]] += private
        playing = value_before(
            game, n_agents, t, with_stage_cost(game, n_agents, t, playing), own, at
        )
        after = with_stage_cost(game, n_agents, t, answering)
        reply = response_control(game, n_agents, t, after, at)
        answering = value_before(game, n_agents, t, after, reply, at)
    cost = expected_cost(playing, n_agents, mean, cov)
    best = expected_cost(answering, n_agents, mean, cov)
    return {"cost": cost, "best_response_cost": best, "exploitability": cost - best}
