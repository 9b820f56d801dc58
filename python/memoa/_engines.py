"""The agents and their server in the core, and the settings they were drawn with."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa import _core
from memoa._parts import Part, joined, read_parts, rows_of, save_parts, waiting_rows
from memoa._saved import checksum, engine_params, naming_header, require_doubles
from memoa._shards import Reducer, agree, of_all, shard, share, threads
from memoa._shards import check as check_communicator
from memoa._validate import Flags, Float64, as_choice, as_int, as_number, as_numbers, season_of
from memoa.encoder import Encoders, Linear, encoders_of, precomputed
from memoa.interval import Intervals
from memoa.mixture import Mixture
from memoa.run import AgentErrors, Run

Progress = Callable[[int, int], object]

# Fields of the memories with one row per agent, and the axis.
_OF_AGENTS = dict.fromkeys(
    ("costs", "recent_loss", "gram", "cross", "reservoir", "increments", "sleep"), 0
)
_OF_WINDOW = {"errors": 2, "agent_losses": 1}
_LEARNT = ("memory", "note", "intervals", "waiting", "awake")  # methods of the core that tell it


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a population and its server, from an ensemble's parameters."""
    encoders = encoders_of(params["encoder"])
    if not isinstance(params["mixture"], Mixture):
        raise TypeError(f"mixture is {params['mixture']!r}; expected a memoa.Mixture")
    if params["random_state"] is not None and not _is_generator(params["random_state"]):
        as_int("random_state", params["random_state"], 0, below=2**64)
    check_communicator(params.get("communicator"))
    levels_of(params)
    delay = as_int("delay", params.get("delay", 0), 0, below=10**6)
    if delay > 0 and params.get("communicator") is not None:
        raise ValueError(f"delay is {delay}; expected 0 where processes share the agents")
    n_threads = threads(params["n_threads"], params.get("communicator"))
    settings: dict[str, Any] = {
        "n_agents": as_int("n_agents", params["n_agents"], 1),
        "greedy": as_choice("policy", params["policy"], ("memoa", "greedy")) == "greedy",
        **{name: as_number(name, params[name]) for name in ("consensus", "effort", "discount")},
        "horizon": as_int("horizon", params["horizon"], 1),
        "forgetting": as_numbers("forgetting", params["forgetting"]),
        "ridge": as_numbers("ridge", params["ridge"]),
        "aggregate": as_choice("aggregate", params["aggregate"], ("mean", "trimmed", "clip")),
        "lags": as_int("lags", params.get("lags", 0), 0, below=10**6),
        "season": season_of(params.get("season")),
        "bounded": bool(params.get("bounded", False)),
        "follows_mean": as_choice("follow", params.get("follow", "mean"), ("server", "mean"))
        == "mean",
        "delay": delay,
        "n_threads": 0 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31),
    }
    _core.PopulationSettings(encoder=[one._to_core() for one in encoders], **settings)
    dtype = as_choice("dtype", str(params["dtype"]), ("float64", "float32"))
    return {**settings, "dtype": dtype}


def levels_of(params: dict[str, Any]) -> tuple[float, ...]:
    """Return the levels of intervals around the server's forecasts."""
    given = params.get("intervals", ())
    if isinstance(given, (list, tuple, np.ndarray)) and len(given) == 0:
        return ()
    try:
        return Intervals(given).levels
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("levels", "intervals", 1)) from None


def _is_generator(value: Any) -> bool:
    """Return whether it is a generator; avoids the slow import of numpy.random for integers."""
    return not isinstance(value, int) and isinstance(
        value, (np.random.Generator, np.random.RandomState)
    )


def draw_seed(random_state: Any) -> int:
    """Return the seed of the agents' encoders; drawn if the random state is not a number."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if not _is_generator(random_state):
        return as_int("random_state", random_state, 0, below=2**64)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return int(random_state.randint(2**31 - 1))


class Engines:
    """N agents and their server: an engine, drawn once from checked parameters.

    Parameters
    ----------
    params : dict
        The parameters of `memoa.OnlineEnsemble`.
    input_shape : tuple of int
        (dx,), or (N, p) with Precomputed.
    n_outputs : int
        Number d of outputs.
    seed : int
        Seed of the encoders.
    """

    def __init__(
        self, params: dict[str, Any], input_shape: tuple[int, ...], n_outputs: int, seed: int
    ) -> None:
        settings = check(params)
        self.encoder: Encoders = encoders_of(params["encoder"])  # a copy: a list may change
        self.mixture: Mixture = params["mixture"]
        self.policy = str(params["policy"])
        self.dtype = str(settings.pop("dtype"))
        self.communicator: Reducer | None = params.get("communicator")
        self.total = int(settings["n_agents"])
        self.agents = share("n_agents", self.total, self.communicator)
        self.n_agents = settings["n_agents"] = len(self.agents)
        self.n_outputs = n_outputs
        self.input_shape = input_shape
        self.seed = seed
        self._settings = settings
        self._overflow_told = -1
        self.levels = levels_of(params)
        apart = ("communicator", "n_threads", "random_state")  # these may differ
        same = {name: value for name, value in params.items() if name not in apart}
        inputs = input_shape[-1] if precomputed(self.encoder) else input_shape
        agree(self.communicator, {**same, "seed": seed, "y": n_outputs, "X": inputs})
        self._build()

    def _build(self) -> None:
        sizes: dict[str, Any] = {"n_outputs": self.n_outputs, "seed": self.seed}
        if precomputed(self.encoder) is None:
            sizes["n_inputs"] = self.input_shape[0]
        part = shard(self.agents, self.total, self.communicator)
        settings = _core.PopulationSettings(
            encoder=[one._to_core() for one in encoders_of(self.encoder)],
            **self._settings,
            **sizes,
            shard=part,
        )
        single = self.dtype == "float32"
        mixture = self.mixture._to_core(self._settings["season"], self.delay)
        self.core = _core.OnlineEnsemble(settings, mixture, self.levels, single)

    def with_outputs(self, n_outputs: int) -> Engines:
        """Return the same agents for a y of another width, without anything learnt."""
        twin = Engines.__new__(Engines)
        twin.__dict__.update(self.__dict__)
        twin.n_outputs = n_outputs
        twin._build()
        for x in self.core.waiting_inputs() if self.delay > 0 else ():
            twin.predict(x)  # before anything was known
        return twin

    @property
    def delay(self) -> int:
        """Number of forecasts made before a y is known."""
        return int(self._settings["delay"])

    def require_sleep(self, awake: Flags | None) -> None:
        """Refuse absent agents if processes share them, or if y arrives late."""
        if awake is None:
            return
        if self.delay > 0:
            raise ValueError(
                f"awake was given, but delay is {self.delay}; expected None where y comes late"
            )
        if self.communicator is not None:
            raise ValueError(
                "awake was given, but processes share the agents; expected None, or all agents "
                "in one process"
            )

    def predict(self, x: Float64, awake: Flags | None = None) -> Float64:
        """Return the server's forecast, shape (d,)."""
        self.require_sleep(awake)
        mixed = self.core.predict(x, awake)
        self._warn_of_overflow()
        return mixed

    def arrive(self, y: Float64) -> None:
        """Learn the y that became known after the last forecast, of the oldest one or of none."""
        if self.core.n_waiting > self.delay:
            self.core.learn_oldest(self.core.waiting_inputs()[0], y)
        else:
            self.core.observe(y)

    def agent_rmse(self) -> Float64:
        """Error of every agent over the steps learnt while it was awake; NaN if there was none."""
        counted = max(self.core.scored, 1) - self.core.missed()
        counted[counted <= 0.0] = np.nan
        return np.sqrt(self.core.costs() / counted)

    @property
    def bytes(self) -> int:
        """Bytes of the agents' state and the mixture's window."""
        row = self.n_agents * self.n_outputs * np.dtype(self.dtype).itemsize
        return self.core.bytes + self.mixture.window * row

    def run(
        self,
        X: Float64,
        Y: Float64,
        initial: Float64 | None,
        record: NDArray[np.intp],
        progress: Progress | None,
        warmup: int = 0,
        arriving: bool = False,
        awake: Flags | None = None,
    ) -> Run:
        """Predict and learn a series; `arriving`: Y[t] becomes known after row t."""
        self.require_sleep(awake)
        targets = shown = Y.copy()  # the caller may change it at any time
        if arriving and self.delay > 0:  # values that arrived after the rows belong to earlier rows
            none = np.full((min(self.delay, len(Y)), self.n_outputs), np.nan)
            shown = np.concatenate([targets[self.delay :], none])
        found = self.core.run(
            X,
            targets,
            initial=initial,
            record=record,
            progress=progress,
            skip=warmup,
            arriving=arriving,
            awake=awake,
        )
        return self._told(found, shown, record)

    def _told(self, found: dict[str, Any], targets: Float64, record: NDArray[np.intp]) -> Run:
        """Return the result of a run; nothing allocates memory after its steps."""
        self._warn_of_overflow()
        return Run(
            **found,
            targets=targets,
            record=record,
            policy=self.policy,
            agents=self.agents,
            errors=self._errors_of_all(found["agent_rmse"]),
            levels=self.levels,
            delay=self.delay,
        )

    def _errors_of_all(self, agent_rmse: Float64) -> AgentErrors | None:
        """Return the errors of all processes' agents; None if this process has all."""
        if self.communicator is None:
            return None
        best, worst, first = int(agent_rmse.argmin()), int(agent_rmse.argmax()), self.agents.start
        rows = of_all(
            self.communicator,
            math.fsum(agent_rmse),
            agent_rmse[best],
            first + best,
            agent_rmse[worst],
            first + worst,
        )
        low, high = rows[rows[:, 1].argmin()], rows[rows[:, 3].argmax()]
        return AgentErrors(
            self.total,
            math.fsum(rows[:, 0]) / self.total,
            float(low[1]),
            int(low[2]),
            float(high[3]),
            int(high[4]),
        )

    def _warn_of_overflow(self) -> None:
        step, agent = self.core.overflow()
        if step > self._overflow_told:
            self._overflow_told = step
            warnings.warn(
                f"the numbers of agent {agent} overflowed at step {step}; it repeats the last "
                "value there, and no sum over agents counts it",
                RuntimeWarning,
                stacklevel=5,  # the caller of predict_one, learn_one or run
            )

    def save(self, path: str, note: str) -> None:
        """Write all that was learnt, completely or not at all."""

        def write(name: str) -> None:
            self.core.save(name, note=note)

        if self.communicator is None:
            write(path)
        else:
            save_parts(path, self.communicator, self.agents, write)

    @classmethod
    def load(
        cls, path: str, n_threads: int | None, communicator: Reducer | None
    ) -> tuple[Engines, dict[str, Any]]:
        """Read what `save` wrote: engines, and the file's header."""
        parts = read_parts(path)
        if parts is not None or communicator is not None:
            return cls._load_parts(path, parts, n_threads, communicator)
        made, _, header = cls._load_whole(path, n_threads)
        if "total" in header["settings"]:
            raise ValueError(f"{path}: this is a part of what was saved; expected its manifest")
        return made, header

    @classmethod
    def _load_parts(
        cls,
        path: str,
        parts: list[Part] | None,
        n_threads: int | None,
        communicator: Reducer | None,
    ) -> tuple[Engines, dict[str, Any]]:
        """Return engines of this process's share, from all files with some of its agents."""
        check_communicator(communicator)
        found: list[tuple[Part, Engines, Float64 | None, dict[str, Any]]] = []
        if parts is None:  # saved by one process
            loaded = cls._load_whole(path, n_threads)
            parts = [Part(Path(path), 0, loaded[0].n_agents)]
            found = [(parts[0], *loaded)]
        total = parts[-1].first + parts[-1].size
        here = share("n_agents", total, communicator)
        if not found:
            for part in parts:
                if part.first < here.stop and part.first + part.size > here.start:
                    found.append((part, *cls._load_whole(str(part.path), n_threads)))
                    sizes = found[-1][3]["settings"]
                    told = (sizes.get("first"), sizes["n_agents"], sizes.get("total"))
                    if told != (part.first, part.size, total):
                        raise ValueError(f"{part.path}: this is not the part that {path} names")
        _, old, waiting, header = found[0]
        memories = [(part, engines.core.memory()) for part, engines, _, _ in found]
        of_population, of_server = (
            joined(path, [rows_of(memory[k], axes, part, here) for part, memory in memories], axes)
            for k, axes in enumerate((_OF_AGENTS, _OF_WINDOW))
        )
        known = engine_params(header) | {"n_agents": total, "communicator": communicator}
        if n_threads is not None:
            known["n_threads"] = n_threads
        shape = old.input_shape
        if precomputed(old.encoder):
            shape = (len(here), shape[1])
            waits = [(p, np.zeros(0) if w is None else w) for p, _, w, _ in found]
            waiting = waiting_rows(waits, shape[1], here)
        made = cls(known, shape, old.n_outputs, old.seed)
        made.core.restore((of_population, of_server), old.core.note())
        if waiting is not None:
            if old.core.awake() is not None:
                raise ValueError(
                    f"{path}: some agents are away in the forecast that waits for its y; expected "
                    "one process to load it"
                )
            made.predict(waiting)
        return made, header

    @classmethod
    def _load_whole(
        cls, path: str, n_threads: int | None
    ) -> tuple[Engines, Float64 | None, dict[str, Any]]:
        """Read the file of one process."""
        number = -1 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
        core, pending, text = _core.load(path, n_threads=number)
        header = json.loads(text)
        with naming_header(path):
            made = cls._made(core, header)
            return made, pending.reshape(made.input_shape) if pending.size else None, header

    @classmethod
    def _made(cls, core: _core.OnlineEnsemble, header: dict[str, Any]) -> Engines:
        """Return engines of what the core has read."""
        params = engine_params(header)
        made = cls.__new__(cls)
        made.encoder, made.mixture = encoders_of(params["encoder"]), params["mixture"]
        made.policy, made.dtype = params["policy"], params["dtype"]
        made.n_agents = made.total = params["n_agents"]
        made.agents, made.communicator = range(made.n_agents), None
        made.n_outputs = header["settings"]["n_outputs"]
        if (given := precomputed(made.encoder)) is not None:
            made.input_shape = (made.n_agents, given.n_features)
        else:
            made.input_shape = (header["settings"]["n_inputs"],)
        made.seed = params["random_state"]
        made._settings = check(params)
        made._settings.pop("dtype")
        made._overflow_told = -1
        made.levels = levels_of(params)
        made.core = core
        return made

    def spare(self) -> Engines:
        """Return a copy with the same state, which shares nothing that learns."""
        return thaw(self.__getstate__())

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings and all that was learnt."""
        state = {k: v for k, v in self.__dict__.items() if k != "core"}
        learnt = {name: getattr(self.core, name)() for name in _LEARNT}
        return {**state, **learnt, "checksum": checksum(learnt["memory"])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with the same bits.

        Raises
        ------
        ValueError
            If `__getstate__` did not make the state.
        """
        try:
            memory, expected = state["memory"], state["checksum"]
            self.__dict__.update(
                (k, v) for k, v in state.items() if k not in _LEARNT and k != "checksum"
            )
            if expected != checksum(memory):
                raise ValueError("the checksum of what was learnt is wrong")
            self._require_sizes(*memory)
            self._build()
            self.core.restore(memory, state["note"], state["intervals"])
            if state["waiting"] is not None:
                self.core.predict(state["waiting"], state["awake"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ValueError(f"this is not the state of an ensemble: {error}") from error

    def _require_sizes(self, population: dict[str, Any], server: dict[str, Any]) -> None:
        """Check that the arrays fit the settings, before anything of that size is allocated."""
        agents, d = self.n_agents, self.n_outputs
        past = self._settings["lags"] + (self._settings["season"] != 0)
        encoded = self.input_shape[0] + past * d
        p = max(
            encoded + 1 if isinstance(one, Linear) else one.n_features  # type: ignore[attr-defined]
            for one in encoders_of(self.encoder)
        )
        if self._settings["n_agents"] != agents:
            raise ValueError("n_agents is not that of the settings")
        inputs = 0 if precomputed(self.encoder) else self.input_shape[0]
        expected = {
            "costs": (agents,),
            "gram": (agents, p * (p + 1) // 2),
            "increments": (agents, d),
            "standardiser": (inputs, 11),  # numbers per coordinate
        }
        for name, shape in expected.items():
            if population[name].shape != shape:
                raise ValueError(f"{name} has shape {population[name].shape}; expected {shape}")
        if server["errors"].shape != (self.mixture.window, d, agents):
            raise ValueError(f"errors has shape {server['errors'].shape}")
        require_doubles(population, server)


class Frozen:
    """The state of engines at one step; a pickle or a deep copy of it becomes engines again."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Engines], tuple[dict[str, Any]]]:
        return thaw, (self.state,)


def thaw(state: dict[str, Any]) -> Engines:
    """Return engines from their state."""
    made = Engines.__new__(Engines)
    made.__setstate__(state)
    return made
