"""What bad values and lying agents cost, and what the defence costs where there are none.

    python bench/bad_data.py [--steps 700] [--seeds 3] [--draw 0]

prints the tables of docs/reliability-tables.md. Errors are root-mean-square ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import memoa
from memoa.datasets import Series

sys.path.insert(0, str(Path(__file__).parent))
from experiments import study_series

Array = NDArray[np.float64]
AGENTS, LIARS, FEATURES = 60, 18, 12


def chaos(n: int, seed: int = 0) -> Series:
    """y <- 3.9 y (1 - y), from its last value."""
    y = np.empty(n + 1)
    y[0] = np.random.default_rng(seed).uniform(0.2, 0.8)
    for k in range(n):
        y[k + 1] = 3.9 * y[k] * (1 - y[k])
    return Series("chaos", y[:-1, None], y[1:, None], y[:1], ("y lag 1",), ("y",))


def cut(series: Series, n: int) -> Series:
    """The first n steps and the first output."""
    return Series(
        series.name,
        series.X[:n],
        series.Y[:n, :1],
        series.initial[:1],
        series.columns,
        series.targets[:1],
    )


def rmse(errors: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(errors**2)))


# ---------------------------------------------------------------- bad values


def bad_values(n: int) -> Iterator[tuple[str, Array, Array]]:
    """Name, X and Y of a chaotic series with something wrong from a quarter of it on."""
    series, at = chaos(n), n // 4
    X, Y = np.array(series.X), np.array(series.Y)

    def with_x(where: slice | int, value: Array | float) -> tuple[Array, Array]:
        hurt = X.copy()
        hurt[where] = value
        return hurt, Y

    def with_y(where: int, value: float) -> tuple[Array, Array]:
        y = np.concatenate([[series.initial], Y])
        y[where + 1] = value
        return y[:-1], y[1:]

    def with_only_y(where: int, value: float) -> tuple[Array, Array]:
        hurt = Y.copy()
        hurt[where] = value
        return X, hurt

    yield "nothing wrong", X, Y
    yield ("one x of 1e3", *with_x(at, 1e3))
    yield ("one x of 1e6", *with_x(at, 1e6))
    yield ("the first x is 1e6", *with_x(0, 1e6))
    yield ("20 x of 1e6", *with_x(slice(at, at + 20), 1e6))
    yield ("x stuck at -9999 for 200 steps", *with_x(slice(at, at + 200), -9999.0))
    yield ("the level of x moves by 1000 deviations", *with_x(slice(at, None), X[at:] + 250.0))
    yield ("the variance of x grows by 1e4", *with_x(slice(at, None), 100.0 * X[at:]))
    yield ("the variance of x shrinks by 1e4", *with_x(slice(at, None), 0.01 * X[at:]))
    yield ("one y of 1e3", *with_only_y(at, 1e3))
    yield ("one y of 1e6", *with_only_y(at, 1e6))
    yield ("one y of 1e6, 100 steps before the last quarter", *with_only_y(3 * n // 4 - 100, 1e6))
    yield ("one y of 1e3, and its lag", *with_y(at, 1e3))
    yield ("the first y is 1e3, and its lag", *with_y(0, 1e3))


def bad_value_table(n: int) -> Iterator[str]:
    """The server's error over the last quarter."""
    yield "| what is wrong | server | last value |"
    yield "| --- | ---: | ---: |"
    for name, X, Y in bad_values(n):
        initial = chaos(n).initial
        run = memoa.OnlineEnsemble().run(X, Y, initial=initial)
        last = slice(3 * n // 4, None)
        base = np.concatenate([[initial], Y[:-1]])
        yield (
            f"| {name} | {rmse((run.predictions - Y)[last]):.4g} | {rmse((base - Y)[last]):.4g} |"
        )


# ---------------------------------------------------------------- liars

Attack = Callable[[int, int, Array, Array, np.random.Generator], Array]
"""What the liars say: step, steps in all, what they think, y so far, random numbers."""


def constant(t: int, n: int, c: Array, y: Array, rng: np.random.Generator) -> Array:
    """They predict the same value at every step, two deviations above the mean."""
    return np.full_like(c, y.mean() + 2 * y.std() - y[-1])


def flipped(t: int, n: int, c: Array, y: Array, rng: np.random.Generator) -> Array:
    """They say the opposite."""
    return -c


def noise(t: int, n: int, c: Array, y: Array, rng: np.random.Generator) -> Array:
    """They say anything."""
    return 3 * rmse(np.diff(y)) * rng.normal(size=c.shape) if len(y) > 1 else c


def huge(t: int, n: int, c: Array, y: Array, rng: np.random.Generator) -> Array:
    """They say 10^4 times too much, once in 50 steps."""
    return np.where(rng.uniform(size=c.shape) < 0.02, 1e4 * c, c)


def turning(t: int, n: int, c: Array, y: Array, rng: np.random.Generator) -> Array:
    """They become constant half-way."""
    return c if t < n // 2 else constant(t, n, c, y, rng)


ATTACKS: dict[str, Attack] = {
    "constant": constant,
    "sign flipped": flipped,
    "noise": noise,
    "huge now and then": huge,
    "bad half-way": turning,
}


class Readouts:
    """Liars choose their features so that their readouts say what they want."""

    def __init__(self, n: int, forgetting: Array) -> None:
        self.gram = np.zeros((n, FEATURES, FEATURES))
        self.cross = np.zeros((n, FEATURES))
        self.keep = forgetting[:, None]

    def of(self, ridge: float = 0.1) -> Array:
        """The readouts, shape (n, p)."""
        system = self.gram + ridge * np.eye(FEATURES)
        return np.asarray(np.linalg.solve(system, self.cross[..., None])[..., 0])

    def learn(self, z: Array, change: float) -> None:
        """As every agent does."""
        self.gram = self.keep[..., None] * self.gram + z[:, :, None] * z[:, None, :]
        self.cross = self.keep * self.cross + change * z


def features(series: Series, seed: int) -> Array:
    """Those of the default encoder, shape (T, N, p)."""
    rng = np.random.default_rng(seed)
    dx = series.X.shape[1]
    V = rng.normal(size=(AGENTS, FEATURES, dx)) / np.sqrt(dx)
    v = rng.uniform(-1.0, 1.0, size=(AGENTS, FEATURES))
    steps = np.arange(1, len(series.X) + 1)[:, None]
    mean = np.cumsum(series.X, axis=0) / steps
    variance = np.cumsum(series.X**2, axis=0) / steps - mean**2
    x = (series.X - mean) / np.sqrt(np.maximum(variance, 1e-12))
    hidden = np.einsum("npd,td->tnp", V, np.clip(x, -4.0, 4.0)) + v
    return np.sqrt(2.0 / FEATURES) * np.maximum(hidden, 0.0)


def attacked(
    series: Series, z: Array, liars: Array, attack: Attack | None, aggregate: str, seed: int
) -> tuple[float, Array]:
    """Server's error and those of all agents. Without an attack the liars are removed."""
    n = len(series.X)
    if attack is None:
        z = np.delete(z, liars, axis=1)
    keep = np.resize((0.97, 0.99, 0.998), AGENTS)
    there = np.arange(AGENTS) if attack else np.setdiff1d(np.arange(AGENTS), liars)
    ensemble = memoa.OnlineEnsemble(
        z.shape[1],
        memoa.Precomputed(FEATURES),
        aggregate=aggregate,  # type: ignore[arg-type]
        forgetting=tuple(keep[there]),
        ridge=0.1,
        n_threads=1,
    ).observe(series.initial)
    if attack is None:
        run = ensemble.run(z, series.Y)
        return run.server_rmse, run.agent_rmse
    readouts, rng = Readouts(len(liars), keep[liars]), np.random.default_rng(seed)
    y = np.concatenate([series.initial, series.Y[:, 0]])
    errors = np.empty(n)
    for t in range(n):
        shown, theta = z[t].copy(), readouts.of()
        honest = np.einsum("np,np->n", theta, shown[liars])
        size = np.einsum("np,np->n", theta, theta)
        wanted = attack(t, n, honest, y[: t + 1], rng)
        lies = theta * (wanted / np.maximum(size, 1e-12))[:, None]
        can = (size > 1e-12) & (wanted != honest)
        shown[liars] = np.where(can[:, None], np.clip(lies, -1e8, 1e8), shown[liars])
        errors[t] = ensemble.predict_one(shown)[0] - y[t + 1]
        ensemble.learn_one(shown, y[t + 1 : t + 2])
        readouts.learn(shown[liars], y[t + 1] - y[t])
    return rmse(errors), ensemble.agent_rmse


def liar_table(names: list[str], n: int, seed: int) -> Iterator[str]:
    """Errors over those with the liars removed: of the server, and of the honest agents' mean."""
    columns = ("clip", "trimmed", "mean")
    yield "| series | liars | " + " | ".join(f"server, {a} | honest, {a}" for a in columns) + " |"
    yield "| --- | --- |" + " ---: | ---: |" * len(columns)
    for name in names:
        series = chaos(n, seed) if name == "chaos" else cut(study_series.SERIES[name](seed), n)
        z = features(series, seed)
        liars = np.sort(np.random.default_rng(seed).choice(AGENTS, LIARS, replace=False))
        honest = np.setdiff1d(np.arange(AGENTS), liars)
        best, best_agents = attacked(series, z, liars, None, "mean", seed)
        for word, attack in ATTACKS.items():
            cells = []
            for aggregate in columns:
                server, agents = attacked(series, z, liars, attack, aggregate, seed)
                cells += [server / best, agents[honest].mean() / best_agents.mean()]
            yield f"| {name} | {word} | " + " | ".join(f"{c:.3g}" for c in cells) + " |"


def failing_table(n: int, seed: int) -> Iterator[str]:
    """One agent of 60 whose features are 10^4 times too large in one step of a hundred."""
    series = chaos(n, seed)
    z = features(series, seed)
    hurt = z.copy()
    bad = np.random.default_rng(seed).uniform(size=n) < 0.01
    hurt[bad, 7] *= 1e4
    yield "| aggregate | server, clean | server | honest agents, clean | honest agents |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for aggregate in ("clip", "trimmed", "mean"):
        cells = []
        runs = []
        for shown in (z, hurt):
            ensemble = memoa.OnlineEnsemble(
                AGENTS,
                memoa.Precomputed(FEATURES),
                aggregate=aggregate,
                n_threads=1,  # type: ignore[arg-type]
            )
            runs.append(ensemble.run(shown, series.Y, initial=series.initial))
        cells = [run.server_rmse for run in runs]
        cells += [np.delete(run.agent_rmse, 7).mean() for run in runs]
        yield f"| {aggregate} | " + " | ".join(f"{c:.4g}" for c in cells) + " |"


# ---------------------------------------------------------------- the price


def price_table(seeds: int) -> Iterator[str]:
    """Errors with the crowd's judgement over those without, where nobody lies."""
    yield "| series | server | mean agent | worst agent | trimmed: server | mean | worst |"
    yield "| --- |" + " ---: |" * 6
    logs = []
    for name in study_series.SERIES:
        ratios = []
        for seed in range(seeds):
            series = study_series.SERIES[name](seed)
            errors = {}
            for aggregate in ("mean", "clip", "trimmed"):
                ensemble = memoa.OnlineEnsemble(
                    aggregate=aggregate,
                    random_state=seed,
                    n_threads=1,  # type: ignore[arg-type]
                )
                run = ensemble.run(series.X, series.Y, initial=series.initial)
                errors[aggregate] = np.log(
                    [run.server_rmse, run.mean_agent_rmse, run.worst_agent_rmse]
                )
            ratios.append([errors[a] - errors["mean"] for a in ("clip", "trimmed")])
        logs.append(np.mean(ratios, axis=0).ravel())
        yield f"| {name} | " + " | ".join(f"{v:.3f}" for v in np.exp(logs[-1])) + " |"
    yield "| all | " + " | ".join(f"{v:.3f}" for v in np.exp(np.mean(logs, axis=0))) + " |"


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=700, help="of the series with liars")
    parser.add_argument("--seeds", type=int, default=3, help="of the study's series")
    parser.add_argument("--draw", type=int, default=0, help="seed of the liars and their series")
    options = parser.parse_args()
    names = ["chaos", "mackey-glass 2000", "lorenz 800", "ar2 1000", "sine 1000", "regimes 800"]
    for table in (
        bad_value_table(20_000),
        failing_table(2_000, 0),
        liar_table(names, options.steps, options.draw),
        price_table(options.seeds),
    ):
        for line in table:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
