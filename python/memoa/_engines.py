"""The agents and their server in the core, with the settings that they were drawn with."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa import _core
from memoa._validate import Float64, as_choice, as_int, as_number, as_numbers
from memoa.encoder import Encoder, Precomputed
from memoa.mixture import Mixture
from memoa.run import Run

Progress = Callable[[int, int], object]
TILE = 16  # steps; the core's kTile


def check(params: dict[str, Any]) -> dict[str, Any]:
    """The settings of a population and its server, from the parameters of an ensemble."""
    if not isinstance(params["encoder"], Encoder):
        raise TypeError(
            f"encoder is {params['encoder']!r}; expected RandomFeatures, EchoState or Precomputed"
        )
    if not isinstance(params["mixture"], Mixture):
        raise TypeError(f"mixture is {params['mixture']!r}; expected a memoa.Mixture")
    if not isinstance(params["random_state"], (type(None), np.random.Generator, _OLD_GENERATOR)):
        as_int("random_state", params["random_state"], 0, below=2**64)
    threads = params["n_threads"]
    settings: dict[str, Any] = {
        "n_agents": as_int("n_agents", params["n_agents"], 1),
        "greedy": as_choice("policy", params["policy"], ("memoa", "greedy")) == "greedy",
        **{name: as_number(name, params[name]) for name in ("consensus", "effort", "discount")},
        "horizon": as_int("horizon", params["horizon"], 1),
        "forgetting": as_numbers("forgetting", params["forgetting"]),
        "ridge": as_numbers("ridge", params["ridge"]),
        "n_threads": 0 if threads is None else as_int("n_threads", threads, 1),
    }
    _core.check_settings(**settings)
    dtype = as_choice("dtype", str(params["dtype"]), ("float64", "float32"))
    return {**settings, "dtype": dtype}


def draw_seed(random_state: Any) -> int:
    """The seed of the agents' encoders; drawn where the random state is not a number."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, _OLD_GENERATOR):
        return int(random_state.randint(2**31 - 1))
    return as_int("random_state", random_state, 0, below=2**64)


class Engines:
    """N agents and their server: an engine, drawn once and for all from checked parameters.

    Parameters
    ----------
    params : dict
        Those of `memoa.OnlineEnsemble`.
    input_shape : tuple of int
        (dx,), or (N, p) with Precomputed.
    n_outputs : int
    seed : int
    """

    def __init__(
        self, params: dict[str, Any], input_shape: tuple[int, ...], n_outputs: int, seed: int
    ) -> None:
        settings = check(params)
        self.encoder: Encoder = params["encoder"]
        self.mixture: Mixture = params["mixture"]
        self.policy = str(params["policy"])
        self.dtype = str(settings.pop("dtype"))
        self.n_agents = int(settings["n_agents"])
        self.n_outputs = n_outputs
        self.input_shape = input_shape
        self.seed = seed
        self._settings = settings
        self._overflow_told = -1
        self._build()

    def _build(self) -> None:
        given, single = isinstance(self.encoder, Precomputed), self.dtype == "float32"
        self.population = _core.Population(
            encoder=self.encoder._to_core(),
            n_inputs=0 if given else self.input_shape[0],
            n_outputs=self.n_outputs,
            seed=self.seed,
            single=single,
            **self._settings,
        )
        self.server = _core.ServerMixture(
            self.n_agents,
            self.n_outputs,
            self.mixture._to_core(),
            self._settings["n_threads"],
            single,
        )

    def with_outputs(self, n_outputs: int) -> Engines:
        """The same agents for a y of another width, with nothing learnt."""
        twin = Engines.__new__(Engines)
        twin.__dict__.update(self.__dict__)
        twin.n_outputs = n_outputs
        twin._build()
        return twin

    def predict(self, x: Float64) -> Float64:
        """The server's forecast, shape (d,)."""
        mixed = self.population.predict(self.server, x)
        self._warn_of_overflow()
        return mixed

    def predict_rows(self, X: Float64) -> Float64:
        """Every row as the next input, shape (T, d)."""
        return self.population.predict_rows(self.server, X)

    def learn(self, y: Float64) -> None:
        """Learn the y of the x last predicted."""
        self.population.learn(self.server, y)

    @property
    def bytes(self) -> int:
        """Of the agents' state and the mixture's window."""
        row = self.n_agents * self.n_outputs * np.dtype(self.dtype).itemsize
        return self.population.bytes + self.mixture.window * row

    def run(
        self, X: Float64, Y: Float64, record: NDArray[np.intp], progress: Progress | None
    ) -> Run:
        """Predict and learn a series that was checked."""
        start, before = self.population.base(), self.population.costs()
        self.population.mark_costs()
        parts = []
        for first, last in _slices(len(Y)):
            parts.append(self.population.run(self.server, X[first:last], Y[first:last], record))
            if progress is not None:
                progress(last, len(Y))
        self._warn_of_overflow()
        predictions, mean_field, worst_cost, recorded = map(np.concatenate, zip(*parts))
        return Run(
            predictions=predictions,
            targets=Y.copy(),
            initial=start,
            mean_field=mean_field,
            agent_rmse=np.sqrt((self.population.costs() - before) / Y.size),
            worst_cost=worst_cost,
            recorded=recorded,
            record=record,
            policy=self.policy,
        )

    def _warn_of_overflow(self) -> None:
        step, agent = self.population.overflow()
        if step > self._overflow_told:
            self._overflow_told = step
            warnings.warn(
                f"the numbers of agent {agent} overflowed at step {step}; it repeats the last "
                "value there, and no sum over agents counts it",
                RuntimeWarning,
                stacklevel=5,  # the caller of predict_one, learn_one or run
            )

    def __getstate__(self) -> dict[str, Any]:
        """Settings and all that was learnt."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("population", "server")}
        return {**state, "memory": (self.population.memory(), self.server.memory())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits."""
        population, server = state.pop("memory")
        self.__dict__.update(state)
        self._build()
        self.population.restore(population)
        self.server.restore(server)


_OLD_GENERATOR = np.random.RandomState


def _slices(n_steps: int) -> Iterator[tuple[int, int]]:
    """Slices of a tenth of a second's work each, so that progress and Ctrl-C come through.

    Agents take a tile of steps at once while they are in the cache, so that a slice is at least
    that long, unless it would then last more than half a second.
    """
    first, size = 0, 1
    while first < n_steps:
        began = time.perf_counter()
        last = min(first + size, n_steps)
        yield first, last
        per_step = max((time.perf_counter() - began) / (last - first), 1e-9)
        size = min(8 * max(size, TILE), int(0.1 / per_step))
        if size < TILE:
            size = TILE if TILE * per_step < 0.5 else max(1, size)
        first = last
