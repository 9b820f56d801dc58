"""Random calls with odd arguments: a result of finite numbers, or a clear error and no change.

``python tests/python/odd_calls.py [COUNT [SEED]]`` makes so many calls.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import memoa
from helpers import everything, series

X, Y, INITIAL = series(12, 3, 1)
AWAKE = np.arange(48).reshape(12, 4) % 3 > 0
CLEAR = (ValueError, TypeError, MemoryError, memoa.NumericalError)
NUMBERS = (
    0,
    1,
    -1,
    2,
    0.5,
    1.5,
    -0.0,
    1e-320,
    1e300,
    2**31,
    2**58,
    2**63,
    2**64,
    np.nan,
    np.inf,
    None,
    True,
    "x",
    "1",
    [],
    {},
    1j,
    np.float32(0.5),
    np.array(2.0),
    (0.9, 0.99),
)


def odd_array(rng: random.Random, like: Any) -> Any:
    """An array near `like`, or something else."""
    kinds: list[Callable[[], Any]] = [
        lambda: like,
        lambda: like[:-1],
        lambda: like.T,
        lambda: like.astype(rng.choice(["f4", "i8", "c16", "O", "U8", "?"])),
        lambda: np.asfortranarray(like)[::-1],
        lambda: like[None],
        lambda: like.reshape(-1),
        lambda: like.tolist(),
        lambda: with_number(rng, like),
        lambda: np.zeros((0, *like.shape[1:])),
        lambda: rng.choice(NUMBERS),
    ]
    return rng.choice(kinds)()


def with_number(rng: random.Random, like: Any) -> Any:
    changed = np.array(like)
    if changed.size:
        changed.flat[rng.randrange(changed.size)] = rng.choice(
            [np.nan, np.inf, -1e200, 1e151, 1e16]
        )
    return changed


def ensemble(rng: random.Random) -> memoa.OnlineEnsemble:
    model = memoa.OnlineEnsemble(4, memoa.RandomFeatures(3), n_threads=1)
    if rng.random() < 0.7:
        model.run(X[:5], Y[:5])
    if rng.random() < 0.5:
        model.predict_one(X[5])
    return model


def late(rng: random.Random) -> memoa.OnlineEnsemble:
    """Forecasts wait for their y, some with intervals."""
    levels = rng.choice([(), (0.8,)])
    model = memoa.OnlineEnsemble(
        4, memoa.Linear(), n_threads=1, delay=rng.choice([1, 2]), intervals=levels
    )
    if rng.random() < 0.7:
        model.run(X[:5], Y[:5])
    for x in X[5 : 5 + rng.randrange(4)]:
        if model._engines is None or model._engines.core.n_waiting <= model.delay:
            model.predict_one(x)
    return model


def panel(rng: random.Random) -> memoa.Panel:
    model = memoa.Panel(3, n_threads=1)
    if rng.random() < 0.7:
        model.run(X[:9].reshape(3, 3, 3), Y[:9].reshape(3, 3))
    return model


def late_panel(rng: random.Random) -> memoa.Panel:
    model = memoa.Panel(3, n_threads=1, delay=2)
    if rng.random() < 0.7:
        model.run(X[:9].reshape(3, 3, 3), Y[:9].reshape(3, 3))
    for step in range(rng.randrange(3)):
        if model._engine is None or model._engine.n_waiting <= 2:
            model.predict_one(X[3 * step : 3 * step + 3])
    return model


def call_ensemble(rng: random.Random, model: memoa.OnlineEnsemble) -> Any:
    some = [
        rng.choice(
            [
                "n_agents",
                "consensus",
                "effort",
                "horizon",
                "discount",
                "forgetting",
                "ridge",
                "n_threads",
                "dtype",
                "policy",
                "aggregate",
                "random_state",
            ]
        )
        for _ in range(2)
    ]
    return rng.choice(
        [
            lambda: model.predict_one(odd_array(rng, X[6])),
            lambda: model.predict_one(X[6], awake=odd_array(rng, AWAKE[6])),
            lambda: model.learn_one(odd_array(rng, X[6]), odd_array(rng, Y[6])),
            lambda: model.step_one(odd_array(rng, X[6]), odd_array(rng, Y[6])),
            lambda: model.step_one(X[6], Y[6], awake=odd_array(rng, AWAKE[6])),
            lambda: model.run(X, Y, awake=odd_array(rng, AWAKE)),
            lambda: model.observe(odd_array(rng, Y[6])),
            lambda: model.run(
                odd_array(rng, X),
                odd_array(rng, Y),
                initial=odd_array(rng, INITIAL),
                record=rng.choice([None, [0], [9], "x", [-1], 3]),
            ),
            lambda: model.fit(odd_array(rng, X), odd_array(rng, Y)),
            lambda: model.predict(odd_array(rng, X)),
            lambda: model.set_params(**{name: rng.choice(NUMBERS) for name in some}),
            lambda: memoa.OnlineEnsemble(**{name: rng.choice(NUMBERS) for name in some}),
        ]
    )()


def call_late(rng: random.Random, model: memoa.OnlineEnsemble) -> Any:
    return rng.choice(
        [
            lambda: model.predict_one(odd_array(rng, X[6])),
            lambda: model.learn_one(rng.choice(list(X[:9])), odd_array(rng, Y[6])),
            lambda: model.observe(odd_array(rng, Y[6])),
            lambda: model.run(
                odd_array(rng, X),
                odd_array(rng, Y),
                initial=odd_array(rng, np.stack([INITIAL] * (model.delay + 1))),
                warmup=rng.choice([0, 3, -1, 99]),
            ),
            lambda: model.partial_fit(odd_array(rng, X), odd_array(rng, Y)),
            lambda: model.predict(odd_array(rng, X)),
            lambda: model.set_params(delay=rng.choice(NUMBERS), intervals=rng.choice(NUMBERS)),
        ]
    )()


def call_panel(rng: random.Random, model: memoa.Panel) -> Any:
    inputs, targets = X[:9].reshape(3, 3, 3), Y[:9].reshape(3, 3)
    return rng.choice(
        [
            lambda: model.predict_one(odd_array(rng, inputs[0])),
            lambda: model.learn_one(odd_array(rng, inputs[0]), odd_array(rng, targets[0])),
            lambda: model.run(
                odd_array(rng, inputs),
                odd_array(rng, targets),
                initial=rng.choice([None, odd_array(rng, targets[0])]),
            ),
            lambda: model.observe(odd_array(rng, targets[0])),
            lambda: model.add_clients(rng.choice([1, 0, -1, 2.5, "x", None, 2**62])),
        ]
    )()


def call_game(rng: random.Random, model: None) -> Any:
    names = ("tracking", "coupling", "effort", "discount", "transition", "drift")
    game = memoa.Game(
        odd_array(rng, np.full((4, 1, 2), 0.5)),
        odd_array(rng, np.ones((4, 2))),
        odd_array(rng, np.ones((4, 1))),
        **{rng.choice(names): rng.choice(NUMBERS)},
    )
    solve = rng.choice([memoa.solve_mean_field, memoa.solve_social_optimum, memoa.solve_myopic])
    return solve(game).gain


KINDS: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = (
    (ensemble, call_ensemble),
    (late, call_late),
    (panel, call_panel),
    (late_panel, call_panel),
    (lambda rng: None, call_game),
)


def one_call(rng: random.Random) -> str:
    """What a random call comes to; AssertionError where it broke a promise."""
    make, call = rng.choice(KINDS)
    model = make(rng)
    before = None if model is None else everything(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = call(rng, model)
        except CLEAR as error:
            assert str(error)
            assert before is None or everything(model) == before, f"{error!r} changed something"
            return type(error).__name__
    if isinstance(found, np.ndarray) and not isinstance(model, memoa.Panel):  # NaN: no value yet
        assert np.isfinite(found).all()
    return "a result"


def main(count: int, seed: int) -> None:
    found: Counter[str] = Counter()
    for number in range(seed, seed + count):
        try:
            found[one_call(random.Random(number))] += 1
        except Exception as error:
            print(f"seed {number}: {type(error).__name__}: {error}", flush=True)
            found["broken"] += 1
    print(", ".join(f"{n} {what}" for what, n in found.most_common()))


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["20000", "0"][len(sys.argv) - 1 :])))
