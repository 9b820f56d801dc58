"""Old public names still work, and warn with the new one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import ensemble, series
from memoa.federated import Client, Server
from memoa.verify import random_game, verify, verify_panel

GAME = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
START = {"mean": [0.0], "cov": [[1.0]]}
VERIFY = {"sizes": (2, 100, 1000), "simulate_up_to": 10, "centralized_seconds": 0.0}


def rolled(**options: Any) -> np.ndarray:
    return memoa.simulate(GAME, memoa.solve_mean_field(GAME), 20, **START, **options).cost


def checked(**options: Any) -> np.ndarray:
    return verify(GAME, **VERIFY, monte_carlo_runs=2, **options).table["worst_nash"]


SEEDED: dict[str, Callable[..., np.ndarray]] = {
    "simulate": rolled,
    "verify": checked,
    "random_game": lambda **options: random_game(**options).target,
    "verify_panel": lambda **options: np.array([c.measured for c in verify_panel(**options)]),
    **{
        make.__name__: lambda make=make, **options: make(6, 60, **options).Y
        for make in memoa.datasets.PANELS.values()
    },
}


@pytest.mark.parametrize("name", SEEDED)
def test_seed_is_random_state(name: str) -> None:
    draw = SEEDED[name]
    words = f"the argument seed of {name}() is deprecated and will be removed in memoa 1.0; use "
    with pytest.warns(DeprecationWarning, match=re.escape(words + "random_state")) as caught:
        old = draw(seed=3)
    assert caught[0].filename == __file__  # the line that used the old name
    new, other = draw(random_state=3), draw(random_state=4)
    np.testing.assert_array_equal(old, new)
    assert not np.array_equal(new, other)
    with pytest.raises(TypeError, match="random_state and also seed, its old name"):
        draw(seed=3, random_state=3)


def test_signatures_have_the_new_name_only() -> None:
    for function in (memoa.simulate, verify, random_game, verify_panel):
        names = inspect.signature(function).parameters
        assert "random_state" in names and "seed" not in names


def test_greedy_columns_are_myopic() -> None:
    table = verify(GAME, **VERIFY, monte_carlo_runs=2).table
    assert not [name for name in table if "greedy" in name]
    for old in ("greedy_exploitability", "cost_greedy", "worst_greedy"):
        new = old.replace("greedy", "myopic")
        with pytest.warns(DeprecationWarning, match=f"the column '{old}' is .* use '{new}'"):
            np.testing.assert_array_equal(table[old], table[new])
    with pytest.raises(KeyError, match="unknown"):
        table["unknown"]
    expected = memoa.certify(GAME, memoa.solve_myopic(GAME), 100, **START)
    assert table["cost_myopic"][1] == expected.cost


def test_mixture_weight_is_a_share() -> None:
    x, y, initial = series(30, 2, 1)
    words = r"mixture_weight is deprecated .* use shares: this is 1 - shares\[3\]"
    for rivals in (True, False):
        model = ensemble(mixture=memoa.Mixture(rivals=rivals))
        model.run(x, y, initial=initial)
        server = memoa.ServerMixture(5, rivals=rivals)
        for t in range(20):
            server.update(y[t] + np.arange(5)[:, None], y[t])
        for one in (model, server):
            with pytest.warns(DeprecationWarning, match=words) as caught:
                weight = one.mixture_weight
            assert caught[0].filename == __file__
            np.testing.assert_allclose(weight, 1.0 - one.shares[3], rtol=0.0, atol=1e-12)


def test_the_servers_of_federations_too() -> None:
    x, y, initial = series(8, 2, 1)
    clients = {0: Client(20, random_state=0)}
    server = Server([20]).observe(initial)
    server.hear({k: c.answer(server.ask(x, y)[k]) for k, c in clients.items()})
    with pytest.warns(DeprecationWarning, match="use shares"):
        weight = server.mixture_weight
    np.testing.assert_allclose(weight, 1.0 - server.shares[3], rtol=0.0, atol=1e-12)
    assert server.shares.shape == (4, 1)
