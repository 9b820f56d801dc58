"""The agents and their server in the core, with the settings that they were drawn with."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa import _core
from memoa._saved import checksum, engine_params, require_doubles
from memoa._validate import Float64, as_choice, as_int, as_number, as_numbers, season_of
from memoa.encoder import Encoder, Linear, Precomputed
from memoa.mixture import Mixture
from memoa.run import Run

Progress = Callable[[int, int], object]
_OLD_GENERATOR = np.random.RandomState


def check(params: dict[str, Any]) -> dict[str, Any]:
    """The settings of a population and its server, from the parameters of an ensemble."""
    if not isinstance(params["encoder"], Encoder):
        raise TypeError(
            f"encoder is {params['encoder']!r}; expected RandomFeatures, EchoState, Linear or "
            "Precomputed"
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
        "aggregate": as_choice("aggregate", params["aggregate"], ("mean", "trimmed", "clip")),
        "lags": as_int("lags", params["lags"], 0, below=10**6),
        "season": season_of(params["season"]),
        "bounded": bool(params["bounded"]),
        "n_threads": 0 if threads is None else as_int("n_threads", threads, 1, below=2**31),
    }
    _core.PopulationSettings(encoder=params["encoder"]._to_core(), **settings)
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
        sizes: dict[str, Any] = {"n_outputs": self.n_outputs, "seed": self.seed}
        if not isinstance(self.encoder, Precomputed):
            sizes["n_inputs"] = self.input_shape[0]
        settings = _core.PopulationSettings(
            encoder=self.encoder._to_core(), **self._settings, **sizes
        )
        single = self.dtype == "float32"
        mixture = self.mixture._to_core(self._settings["season"])
        self.population = _core.Population(settings, single)
        self.server = _core.ServerMixture(
            self.n_agents, self.n_outputs, mixture, settings.n_threads, single
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
        self,
        X: Float64,
        Y: Float64,
        initial: Float64 | None,
        record: NDArray[np.intp],
        progress: Progress | None,
    ) -> Run:
        """Predict and learn a series."""
        targets = Y.copy()  # the caller may change it at any time
        # of a run that scores all steps, or all but the first: after it, nothing asks for memory
        scored = [np.array(float((len(Y) - u) * self.n_outputs) or np.nan) for u in (0, 1)]
        found = self.population.run(
            self.server, X, targets, initial=initial, record=record, progress=progress
        )
        self._warn_of_overflow()
        costs, unscored = found["costs"], found["unscored"]
        costs /= scored[unscored]
        return Run(
            predictions=found["predictions"],
            targets=targets,
            initial=found["base"],
            mean_field=found["mean_field"],
            agent_rmse=np.sqrt(costs, out=costs),
            worst_cost=found["worst_cost"],
            recorded=found["recorded"],
            record=record,
            policy=self.policy,
            unscored=unscored,
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

    def save(self, path: str, pending: Float64 | None, note: str) -> None:
        """Write all that was learnt, whole or not at all."""
        waiting = np.zeros(0) if pending is None else pending.reshape(-1)
        self.population.save(self.server, path, pending=waiting, note=note)

    @classmethod
    def load(
        cls, path: str, n_threads: int | None
    ) -> tuple[Engines, Float64 | None, dict[str, Any]]:
        """What `save` wrote: engines, the x that waits for its y, and the file's header."""
        threads = -1 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
        population, server, pending, text = _core.load(path, n_threads=threads)
        header = json.loads(text)
        params = engine_params(header)
        made = cls.__new__(cls)
        made.encoder, made.mixture = params["encoder"], params["mixture"]
        made.policy, made.dtype = params["policy"], params["dtype"]
        made.n_agents = params["n_agents"]
        made.n_outputs = header["settings"]["n_outputs"]
        if isinstance(made.encoder, Precomputed):
            made.input_shape = (made.n_agents, made.encoder.n_features)
        else:
            made.input_shape = (header["settings"]["n_inputs"],)
        made.seed = params["random_state"]
        made._settings = check(params)
        made._settings.pop("dtype")
        made._overflow_told = -1
        made.population, made.server = population, server
        waiting = pending.reshape(made.input_shape) if pending.size else None
        return made, waiting, header

    def __getstate__(self) -> dict[str, Any]:
        """Settings and all that was learnt."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("population", "server")}
        memory = (self.population.memory(), self.server.memory())
        return {**state, "memory": memory, "checksum": checksum(memory)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits.

        Raises
        ------
        ValueError
            Where the state is not one that `__getstate__` made.
        """
        try:
            memory, expected = state["memory"], state["checksum"]
            self.__dict__.update(
                (k, v) for k, v in state.items() if k not in ("memory", "checksum")
            )
            if expected != checksum(memory):
                raise ValueError("the checksum of what was learnt is wrong")
            self._require_sizes(*memory)
            self._build()
            of_population, of_server = memory
            self.population.restore(of_population)
            self.server.restore(of_server)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ValueError(f"this is not the state of an ensemble: {error}") from error

    def _require_sizes(self, population: dict[str, Any], server: dict[str, Any]) -> None:
        """The arrays are those of the settings, before anything of that size is made."""
        agents, d = self.n_agents, self.n_outputs
        encoder: Any = self.encoder
        past = self._settings["lags"] + (self._settings["season"] != 0)
        encoded = self.input_shape[0] + past * d
        p = encoded + 1 if isinstance(encoder, Linear) else encoder.n_features
        if self._settings["n_agents"] != agents:
            raise ValueError("n_agents is not that of the settings")
        inputs = 0 if isinstance(self.encoder, Precomputed) else self.input_shape[0]
        expected = {
            "costs": (agents,),
            "gram": (agents, p * (p + 1) // 2),
            "increments": (agents, d),
            "standardiser": (inputs, 11),  # a coordinate's numbers
        }
        for name, shape in expected.items():
            if population[name].shape != shape:
                raise ValueError(f"{name} has shape {population[name].shape}; expected {shape}")
        if server["errors"].shape != (self.mixture.window, d, agents):
            raise ValueError(f"errors has shape {server['errors'].shape}")
        require_doubles(population, server)


class Frozen:
    """What engines had learnt at one moment; a pickle or a deep copy of it is engines again."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Engines], tuple[dict[str, Any]]]:
        return thaw, (self.state,)


def thaw(state: dict[str, Any]) -> Engines:
    """Engines from their state."""
    made = Engines.__new__(Engines)
    made.__setstate__(state)
    return made
