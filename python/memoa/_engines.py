"""The agents and their server in the core, and the settings they were drawn with."""

from __future__ import annotations

import copy
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
from memoa.interval import Intervals, LateIntervals
from memoa.mixture import Mixture
from memoa.run import AgentErrors, Run

Progress = Callable[[int, int], object]

# Fields of the memories with one row per agent, and the axis.
_OF_AGENTS = dict.fromkeys(
    ("costs", "recent_loss", "gram", "cross", "reservoir", "increments", "sleep"), 0
)
_OF_WINDOW = {"errors": 2, "agent_losses": 1}


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a population and its server, from an ensemble's parameters."""
    encoders = encoders_of(params["encoder"])
    if not isinstance(params["mixture"], Mixture):
        raise TypeError(f"mixture is {params['mixture']!r}; expected a memoa.Mixture")
    if params["random_state"] is not None and not _is_generator(params["random_state"]):
        as_int("random_state", params["random_state"], 0, below=2**64)
    check_communicator(params.get("communicator"))
    bands_of(params, 1)
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
        "delay": delay,
        "n_threads": 0 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31),
    }
    _core.PopulationSettings(encoder=[one._to_core() for one in encoders], **settings)
    dtype = as_choice("dtype", str(params["dtype"]), ("float64", "float32"))
    return {**settings, "dtype": dtype}


def _told_bands(note: Any) -> list[float]:
    """Return the state of the intervals from a file."""
    told = note.get("bands") if isinstance(note, dict) else None
    if not isinstance(told, list) or not all(type(number) in (int, float) for number in told):
        raise ValueError("bands is not a list of numbers; expected the state of the intervals")
    return told


def _scored(note: Any, all_of_it: int) -> int:
    """Return the number of values of y in the costs; a file has it if some were missing."""
    told = note.get("values_scored", all_of_it) if isinstance(note, dict) else all_of_it
    if type(told) is not int or not 0 <= told <= all_of_it:
        raise ValueError(f"values_scored is {told!r}; expected an integer from 0 to {all_of_it}")
    return told


def bands_of(params: dict[str, Any], n_outputs: int) -> Intervals | None:
    """Return intervals around the server's forecasts; None without levels."""
    given = params.get("intervals", ())
    if isinstance(given, (list, tuple, np.ndarray)) and len(given) == 0:
        return None
    try:
        return Intervals(given, n_outputs)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("levels", "intervals", 1)) from None


def _is_generator(value: Any) -> bool:
    """Return whether it is a generator; avoids the slow import of numpy.random for integers."""
    return not isinstance(value, int) and isinstance(
        value, (np.random.Generator, np.random.RandomState)
    )


def _steps_unseen(Y: Float64, initial: Float64 | None) -> int:
    """Return the number of steps until every output has had a y; they are not learnt.

    It needs only what was seen before the run, `initial`.
    """
    known = np.zeros(Y.shape[1], dtype=bool) if initial is None else ~np.isnan(initial)
    if known.all():
        return 0
    unseen = 0
    for output in np.flatnonzero(~known):
        seen = ~np.isnan(Y[:, output])
        unseen = max(unseen, int(np.argmax(seen)) + 1 if seen.any() else len(Y))
    return unseen


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
        self._counted = 0  # number of values of y in the costs, unless y arrives late
        self.bands = bands_of(params, n_outputs)
        self.shown: Float64 | None = None  # the forecast that can be learnt
        self.bounds: Float64 | None = None  # around it
        self.late = self._late_bands()
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
        self.population = _core.Population(settings, single)
        self.server = _core.ServerMixture(
            self.n_agents, self.n_outputs, mixture, settings.n_threads, single, part
        )

    def with_outputs(self, n_outputs: int) -> Engines:
        """Return the same agents for a y of another width, without anything learnt."""
        twin = Engines.__new__(Engines)
        twin.__dict__.update(self.__dict__)
        twin.n_outputs = n_outputs
        twin.bands = None if self.bands is None else Intervals(self.bands.levels, n_outputs)
        twin.shown = twin.bounds = None
        twin._counted = 0
        twin.late = twin._late_bands()
        twin._build()
        for x in self.population.waiting_inputs() if self.delay > 0 else ():
            twin.predict(x)  # before anything was known
        return twin

    @property
    def delay(self) -> int:
        """Number of forecasts made before a y is known."""
        return int(self._settings["delay"])

    def _late_bands(self) -> LateIntervals | None:
        return LateIntervals(self.bands, self.delay) if self.bands and self.delay > 0 else None

    @property
    def scored(self) -> int:
        """Number of values of y in the costs."""
        return int(self.population.scored) if self.delay > 0 else self._counted

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the intervals."""
        return () if self.bands is None else self.bands.levels

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
        # intervals learn separately: after the core's part, nothing allocates memory
        late, bands = self._with_room()
        shown = np.empty(self.n_outputs)
        bounds = None if bands is None else np.empty((len(bands.levels), 2, self.n_outputs))
        mixed = self.population.predict(
            self.server,
            x,
            intervals=None if bands is None else bands._core,
            bounds=bounds,
            awake=awake,
        )
        np.copyto(shown, mixed)
        known = shown if bounds is not None and self.population.has_seen else None
        if late is not None and bounds is not None:
            late.add(known, bounds)
        self.late, self.bands, self.shown, self.bounds = late, bands, known, bounds
        self._warn_of_overflow()
        return mixed

    def _with_room(self) -> tuple[LateIntervals | None, Intervals | None]:
        """Return the intervals, with room for the next forecast; the core learns a run's y."""
        if self.late is None:
            return None, self.bands
        late = copy.copy(self.late)
        if self.population.n_waiting > self.delay:
            late.learn()
        return late, late.bands

    def predict_rows(self, X: Float64) -> Float64:
        """Return forecasts (T, d) of every row as if it were the next input."""
        late, bands = self._with_room()
        mixed = self.population.predict_rows(self.server, X)
        self.late, self.bands = late, bands
        return mixed

    def learn(self, y: Float64) -> None:
        """Learn the y of the last predicted x."""
        bands = copy.copy(self.bands)
        if bands is not None and self.shown is not None:
            bands.learn(self.shown, y)
        counted = int(np.count_nonzero(~np.isnan(y))) if self.population.has_seen else 0
        self.population.learn(self.server, y)
        self.bands, self.shown = bands, None
        self._counted += counted

    def learn_late(self, x: Float64, y: Float64) -> None:
        """Learn the y of the oldest waiting forecast, whose input was x."""
        late = copy.copy(self.late)
        if late is not None:
            told = self.population.n_told(x)
            for outcome in (*[None] * told, y) if told < len(late.waiting) else ():
                late.learn(outcome)
        self.population.learn_oldest(self.server, x, y)
        self.late, self.bands = late, self.bands if late is None else late.bands

    def arrive(self, y: Float64) -> None:
        """Learn the y that became known after the last forecast, of the oldest one or of none."""
        if self.population.n_waiting > self.delay:
            self.learn_late(self.population.waiting_inputs()[0], y)
        else:
            self.observe(y)

    def observe(self, y: Float64) -> None:
        """Use y as the last value seen."""
        if self.delay > 0:
            self.population.observe_late(self.server, y)
        else:
            self.population.observe(y)

    def agent_rmse(self) -> Float64:
        """Error of every agent over the steps learnt while it was awake; NaN if there was none."""
        counted = max(self.scored, 1) - self.population.missed()
        counted[counted <= 0.0] = np.nan
        return np.sqrt(self.population.costs() / counted)

    @property
    def bytes(self) -> int:
        """Bytes of the agents' state and the mixture's window."""
        row = self.n_agents * self.n_outputs * np.dtype(self.dtype).itemsize
        return self.population.bytes + self.mixture.window * row

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
        targets = Y.copy()  # the caller may change it at any time
        # after the run, nothing allocates memory
        unseen = 0 if self.population.has_seen else _steps_unseen(targets, initial)
        unscored = max(warmup, unseen)
        seen = ~np.isnan(targets)
        divisor = np.array(float(np.count_nonzero(seen[unscored:])) or np.nan)
        of_steps = seen[unseen:].sum(axis=1)
        counts = np.cumsum(np.insert(of_steps[of_steps > 0], 0, 0))  # after each learnt step
        before = self.population.steps
        n_steps = len(Y)
        if self.delay > 0:
            return self._run_late(X, targets, initial, record, progress, warmup, arriving)
        bounds, next_bounds = self._room(n_steps)
        try:
            found = self.population.run(
                self.server,
                X,
                targets,
                initial=initial,
                record=record,
                progress=progress,
                skip=warmup,
                intervals=None if self.bands is None else self.bands._core,
                bounds=bounds,
                next_bounds=next_bounds,
                unseen=unseen,
                awake=awake,
            )
        finally:  # what was interrupted has learnt the steps done
            self._counted += int(counts[self.population.steps - before])
        return self._told(found, targets, record, unscored, divisor, bounds, next_bounds)

    def _room(self, n_steps: int) -> tuple[Float64 | None, Float64 | None]:
        """Allocate the bounds of all steps, and of the next one."""
        if self.bands is None:
            return None, None
        shape = (len(self.bands.levels), 2, self.n_outputs)
        return np.full((n_steps, *shape), np.nan), np.full(shape, np.nan)

    def _run_late(
        self,
        X: Float64,
        targets: Float64,
        initial: Float64 | None,
        record: NDArray[np.intp],
        progress: Progress | None,
        warmup: int,
        arriving: bool,
    ) -> Run:
        """Do the same if y arrives late."""
        n_steps = len(targets)
        before = self.population.steps, self.population.n_waiting
        failed = True
        try:
            found = self.population.run(
                self.server,
                X,
                targets,
                initial=initial,
                record=record,
                progress=progress,
                skip=warmup,
                arriving=arriving,
            )
            failed = False
        finally:  # what was interrupted has learnt the steps done
            now = self.population.steps, self.population.n_waiting
            if failed and now != before and self.late is not None:
                self.late.forget(now[1])  # their forecasts are not known
        bases, known = found["bases"], targets
        if arriving:  # values that arrived after the rows belong to earlier rows
            none = np.full((min(self.delay, n_steps), self.n_outputs), np.nan)
            targets = np.concatenate([targets[self.delay :], none])
        knew = ~np.isnan(bases).any(axis=1)
        unscored = max(warmup, n_steps - int(np.count_nonzero(knew)))
        counted = np.count_nonzero(~np.isnan(targets[unscored:]))
        bounds = None
        if self.late is not None:
            bounds = self.late.run(found["predictions"], known, knew, arriving)
        divisor = np.array(float(counted) or np.nan)
        following = found.get("next")
        next_bounds = None
        if self.bands is not None and following is not None:
            next_bounds = self.bands.bounds(following)
        return self._told(found, targets, record, unscored, divisor, bounds, next_bounds, bases)

    def _told(
        self,
        found: dict[str, Any],
        targets: Float64,
        record: NDArray[np.intp],
        unscored: int,
        divisor: NDArray[np.float64],
        bounds: Float64 | None,
        next_bounds: Float64 | None,
        bases: Float64 | None = None,
    ) -> Run:
        """Return the result of a run."""
        following = found.get("next")
        self._warn_of_overflow()
        costs, missed = found["costs"], found.get("missed")
        if missed is not None:  # an agent that was never awake has no error: NaN
            np.subtract(divisor, missed, out=missed)
        with np.errstate(invalid="ignore"):
            np.divide(costs, divisor if missed is None else missed, out=costs)
        agent_rmse = np.sqrt(costs, out=costs)
        return Run(
            predictions=found["predictions"],
            targets=targets,
            initial=found["base"],
            mean_field=found["mean_field"],
            shares=found["shares"],
            agent_rmse=agent_rmse,
            worst_cost=found["worst_cost"],
            recorded=found["recorded"],
            record=record,
            policy=self.policy,
            unscored=unscored,
            agents=self.agents,
            errors=self._errors_of_all(agent_rmse),
            next=following,
            levels=self.levels,
            prediction_intervals=bounds,
            next_intervals=None if following is None else next_bounds,
            bases=bases,
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
        """Write all that was learnt, completely or not at all."""
        waiting = np.zeros(0) if pending is None else pending.reshape(-1)

        def write(name: str) -> None:
            self.population.save(self.server, name, pending=waiting, note=note)

        if self.communicator is None:
            write(path)
        else:
            save_parts(path, self.communicator, self.agents, write)

    @classmethod
    def load(
        cls, path: str, n_threads: int | None, communicator: Reducer | None
    ) -> tuple[Engines, Float64 | None, dict[str, Any]]:
        """Read what `save` wrote: engines, the x that waits for its y, and the file's header."""
        parts = read_parts(path)
        if parts is not None or communicator is not None:
            return cls._load_parts(path, parts, n_threads, communicator)
        made, waiting, header = cls._load_whole(path, n_threads)
        if "total" in header["settings"]:
            raise ValueError(f"{path}: this is a part of what was saved; expected its manifest")
        return made, waiting, header

    @classmethod
    def _load_parts(
        cls,
        path: str,
        parts: list[Part] | None,
        n_threads: int | None,
        communicator: Reducer | None,
    ) -> tuple[Engines, Float64 | None, dict[str, Any]]:
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
        memories = (
            joined(
                path,
                [rows_of(e.population.memory(), _OF_AGENTS, p, here) for p, e, _, _ in found],
                _OF_AGENTS,
            ),
            joined(
                path,
                [rows_of(e.server.memory(), _OF_WINDOW, p, here) for p, e, _, _ in found],
                _OF_WINDOW,
            ),
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
        made.bands, made._counted = old.bands, old._counted
        made.population.restore(memories[0])
        made.server.restore(memories[1])
        if waiting is not None:
            if old.population.awake() is not None:
                raise ValueError(
                    f"{path}: some agents are away in the forecast that waits for its y; expected "
                    "one process to load it"
                )
            made.predict(waiting)
        return made, waiting, header

    @classmethod
    def _load_whole(
        cls, path: str, n_threads: int | None
    ) -> tuple[Engines, Float64 | None, dict[str, Any]]:
        """Read the file of one process."""
        number = -1 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
        population, server, pending, text = _core.load(path, n_threads=number)
        header = json.loads(text)
        with naming_header(path):
            return *cls._made(population, server, pending, header), header

    @classmethod
    def _made(
        cls, population: Any, server: Any, pending: Float64, header: dict[str, Any]
    ) -> tuple[Engines, Float64 | None]:
        """Return engines of what the core has read, and the x that waits for its y."""
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
        made.bands, made.shown, made.bounds = bands_of(params, made.n_outputs), None, None
        if made.bands is not None:
            made.bands.restore(_told_bands(header["note"]))
        made.late = made._late_bands()
        if made.late is not None:
            made.late.restore(header["note"].get("waits"), population.n_waiting)
        all_of_it = population.steps * made.n_outputs
        made._counted = _scored(header["note"], all_of_it)
        made.population, made.server = population, server
        waiting = pending.reshape(made.input_shape) if pending.size else None
        if waiting is not None and made.bands is not None and "total" not in header["settings"]:
            # the core did so: what it showed is to be judged
            made.predict(waiting, population.awake())
        return made, waiting

    def spare(self) -> Engines:
        """Return a copy with the same state, which shares nothing that learns."""
        own = {name: self.__dict__[name] for name in ("bands", "late", "shown", "bounds")}
        return thaw(self.__getstate__() | copy.deepcopy(own))

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings and all that was learnt."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("population", "server")}
        memory = (self.population.memory(), self.server.memory())
        return {**state, "memory": memory, "checksum": checksum(memory)}

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
