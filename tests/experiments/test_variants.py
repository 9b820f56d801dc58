"""The experiments' own mean fields: against the core, and against the game of several types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from experiments import mixed, variants
from experiments.variants import Locals, Play, Summary
from helpers import assert_close, seeds

SERIES = memoa.datasets.concept_drift(60)
ENCODERS = (
    memoa.RandomFeatures(),
    memoa.RandomFeatures(7, "tanh"),
    memoa.RandomFeatures(5, "cos", 2.0),
)


def plain(**settings: Any) -> memoa.OnlineEnsemble:
    return memoa.OnlineEnsemble(**{**variants.PLAIN.get_params(deep=False), **settings})


def one_type(n_agents: int) -> np.ndarray:
    return np.zeros(n_agents, dtype=np.intp)


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda one: one.activation)
def test_one_type_that_hears_the_present_mean_field_is_the_core(
    encoder: memoa.RandomFeatures,
) -> None:
    features = variants.encode(SERIES.X, [encoder], one_type(9), 3, np.ones(1))
    known = variants.learn(features, SERIES)
    increments, told = variants.act(known, one_type(9), Play())
    run = plain(n_agents=9, encoder=encoder, random_state=3).run(
        SERIES.X, SERIES.Y, initial=SERIES.initial, record=range(9)
    )
    assert_close(known.base[:, None] + increments, run.recorded, rtol=1e-12)
    assert_close(known.base + told.moved[:, 0], run.mean_field, rtol=1e-12)
    errors = variants.errors(known, increments)
    for measure in ("server_rmse", "mean_agent_rmse", "worst_agent_rmse"):
        assert errors[measure] == pytest.approx(getattr(run, measure), rel=1e-12)


def test_greedy_errors_are_the_cores() -> None:
    known = variants.learn(
        variants.encode(SERIES.X, [ENCODERS[0]], one_type(6), 1, np.ones(1)), SERIES
    )
    run = plain(n_agents=6, policy="greedy", random_state=1).run(
        SERIES.X, SERIES.Y, initial=SERIES.initial
    )
    assert variants.errors(known, known.forecasts)["server_rmse"] == pytest.approx(
        run.server_rmse, rel=1e-12
    )


def random_locals(seed: int, n_agents: int = 8, d: int = 2) -> Locals:
    rng = np.random.default_rng(seed)
    base, targets = rng.normal(size=(2, 5, d))
    return Locals(
        rng.normal(size=(5, n_agents, d)), rng.uniform(0.1, 2.0, (5, n_agents)), base, targets
    )


@given(seeds, st.integers(1, 4), st.sampled_from([0.0, 1.0, 5.0]))
def test_several_types_move_as_the_core_says_they_do(
    seed: int, n_types: int, consensus: float
) -> None:
    """Features that are a number without variance are both hidden and observed: (3.2) is theirs."""
    rng = np.random.default_rng(seed)
    types = np.sort(np.append(np.arange(n_types), rng.integers(n_types, size=6)))
    energy, aim = rng.uniform(0.1, 3.0, n_types), rng.normal(size=n_types)
    known = Locals(
        aim[types][None, :, None], energy[types][None], np.zeros((1, 1)), np.zeros((1, 1))
    )
    play = Play(consensus=consensus, effort=0.3, horizon=5, discount=0.2)
    _, told = variants.act(known, types, play)
    games = [
        memoa.Game(
            [[np.sqrt(e)]],
            [0.0],
            [a / (1.0 + consensus)],
            tracking=1.0 + consensus,
            coupling=consensus / (1.0 + consensus),
            effort=0.3,
            discount=0.2,
            horizon=5,
        )
        for e, a in zip(energy, aim)
    ]
    policies = memoa.solve_mean_field(games, shares=np.bincount(types) / len(types))
    assert_close(told.moved[0, :, 0], policies[0].mean_shift[0], rtol=1e-9)


@given(seeds)
def test_the_mean_field_is_the_mean_of_the_predictions(seed: int) -> None:
    known, types = random_locals(seed), np.array([0, 0, 0, 1, 1, 2, 2, 2])
    increments, told = variants.act(known, types, Play())
    for kind in range(3):
        assert_close(told.moved[:, kind], increments[:, types == kind].mean(axis=1))


@given(seeds)
def test_types_that_do_not_differ_are_one(seed: int) -> None:
    known = random_locals(seed)
    twice = Locals(
        np.repeat(known.forecasts, 2, axis=1),
        np.repeat(known.energies, 2, axis=1),
        known.base,
        known.targets,
    )
    one, _ = variants.act(twice, one_type(16), Play())
    two, _ = variants.act(twice, np.tile([0, 1], 8), Play())
    assert_close(one, two)


def test_what_is_heard_of_now_is_the_truth_and_may_differ_by_agent() -> None:
    known, types = random_locals(0), one_type(8)
    truth, told = variants.act(known, types, Play())
    assert_close(variants.act(known, types, Play(), told.stale(1))[0], truth)
    each = Summary(told.nu, *(np.repeat(x[:, None], 8, axis=1) for x in (told.cbar, told.moved)))
    assert_close(variants.act(known, types, Play(), each)[0], truth)
    stale = variants.act(known, types, Play(), told.stale(3))[0]
    changed = np.abs(stale - truth).max(axis=(1, 2)) > 1e-6
    assert changed.tolist() == [False, True, True, False, True]


@given(seeds)
def test_an_agent_alone_is_a_population_of_one(seed: int) -> None:
    known = random_locals(seed)
    alone = variants.alone(known, Play())
    for agent in range(8):
        its = slice(agent, agent + 1)
        own = Locals(known.forecasts[:, its], known.energies[:, its], known.base, known.targets)
        assert_close(alone[:, its], variants.act(own, one_type(1), Play())[0])


def test_encoders_of_several_types_are_padded_and_scaled() -> None:
    types, gains = np.array([0, 1, 2, 1]), np.array([1.0, 3.0, 0.5])
    features = variants.encode(SERIES.X, ENCODERS, types, 4, gains)
    assert features.shape == (60, 4, 12)
    for agent, kind in enumerate(types):
        one = ENCODERS[kind]
        alone = variants.encode(SERIES.X, [one], one_type(agent + 1), 4, np.ones(1))
        assert_close(features[:, agent, : one.n_features], gains[kind] * alone[:, agent])
        assert not features[:, agent, one.n_features :].any()


class TestPlayedTypes:
    """The half of the heterogeneity experiment that is the game of the theory."""

    def test_without_differences_all_policies_but_greedy_are_one(self) -> None:
        found = mixed.play(mixed.FAMILIES[0].sorts(1), seed=0, n_agents=3_000)
        for policy in ("one", "alike"):
            assert found[policy]["worst_type"] == pytest.approx(
                found["types"]["worst_type"], rel=1e-9
            )
        assert found["greedy"]["worst_type"] != pytest.approx(found["types"]["worst_type"])

    @pytest.mark.parametrize("family", mixed.FAMILIES, ids=lambda one: one.name)
    def test_the_right_types_are_an_equilibrium(self, family: mixed.Family) -> None:
        """Whoever plays another of the policies against their flow does no better."""
        all_moments = [mixed._moments(*one) for one in family.sorts(2)]
        games, shares = [mixed._game(moments) for moments in all_moments], np.full(3, 1.0 / 3.0)
        policies = memoa.solve_mean_field(games)
        start = {
            "mean": [0.0],
            "cov": [[0.25]],
            "random_state": 1,
            "shares": [0.333, 0.333, 0.333, 0.001],
        }
        for kind, game in enumerate(games):
            rest = (
                policies[kind],
                *(
                    mixed._of_mean(p, shares)
                    for p in (
                        memoa.solve_mean_field(game),
                        memoa.solve_myopic(mixed._game(all_moments[kind], consensus=0.0)),
                    )
                ),
            )
            costs = []
            for other in rest:
                crowd = [*games, game], [*map(_with_a_few_more, (*policies, other))]
                seen = memoa.simulate(*crowd, 100_000, **start)
                costs.append(seen.cost[-seen.type_sizes[-1] :].mean())
            assert costs[0] <= min(costs[1:]) * 1.02

    def test_moments_are_those_of_samples(self) -> None:
        rng = np.random.default_rng(0)
        draws = rng.normal(size=400_000)
        for kind, act, shift in (
            ("relu", lambda a: np.maximum(a, 0.0), 0.0),
            ("cos", np.cos, 0.0),
            ("tanh", np.tanh, 0.5),
        ):
            moments = mixed._moments(kind, 4, 3.0)
            sample = 3.0 * np.sqrt(0.5) * act(draws + shift)
            assert moments.mean[0, :4] == pytest.approx(sample.mean(), abs=0.01)
            assert moments.cov[:4, 0, 0] == pytest.approx(sample.var(), rel=0.02)
            assert not moments.mean[0, 4:].any()
            assert not moments.cov[4:].any()


def _with_a_few_more(policy: memoa.Policy) -> memoa.Policy:
    """The same of three types' means, where a fourth type is too small to be seen."""
    horizon = policy.horizon
    return memoa.Policy(
        policy.gain,
        np.pad(policy.mean_gain, ((0, 0), (0, 0), (0, 1))),
        policy.offset,
        mean_map=np.tile(np.eye(4), (horizon, 1, 1)),
        mean_shift=np.zeros((horizon, 4)),
    )
