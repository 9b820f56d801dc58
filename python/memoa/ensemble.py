"""The online ensemble: a population of small forecasters and the server that mixes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa import _core
from memoa._estimator import Estimator, not_fitted
from memoa._validate import (
    Float64,
    as_choice,
    as_float64,
    as_int,
    as_number,
    as_numbers,
    require_shape,
)
from memoa.encoder import Encoder, Precomputed, RandomFeatures
from memoa.mixture import Mixture
from memoa.run import Run

Progress = Callable[[int, int], object]
_Engines = tuple[_core.Population, _core.ServerMixture]
_Built = dict[str, Any]


class OnlineEnsemble(Estimator):
    """A population of online forecasters that play the mean-field Nash policy.

    Time: an input x arrives, every agent predicts the y that belongs to it, the server mixes the
    predictions, then y is revealed. Each agent keeps its own encoder and an exponentially weighted
    ridge regression of ``y - base`` on its features, where the base is the last y seen; it then
    corrects its local forecast by the policy of the game. An engine: it owns what was learnt.

    Parameters
    ----------
    n_agents : int
        N.
    encoder : RandomFeatures, EchoState or Precomputed
    policy : {"memoa", "greedy"}
        "greedy": every agent plays its local forecast, the baseline.
    consensus : float
        Weight >= 0 of staying near the mean field, relative to that of tracking.
    effort : float
        Price > 0 of moving away from the base.
    horizon : int
        Stages that the game looks ahead.
    discount : float
        Rate >= 0; the recent stages weigh most.
    forgetting : float or sequence of float
        In (0, 1]: weight of a step relative to the next later one in an agent's regression. One
        value for all agents, or one per type: of K types, agent i is of type i mod K.
    ridge : float or sequence of float
        Penalty > 0 of an agent's regression, for all agents or per type. Where forgetting is a
        sequence as well, the two are of the same length.
    mixture : Mixture
        How the server weighs the agents.
    dtype : {"float64", "float32"}
        Type of the agents' state and of the mixture's window. "float32" takes half the memory and
        about half the time; what goes in and comes out is float64 all the same. The server's error
        is within 0.1 % of float64's on the eight series of the experiments and over 10^6 steps with
        a forgetting of up to 0.999. With a forgetting of 1 sums of more than some 10^5 steps no
        longer grow: 24 bits cannot hold them.
    n_threads : int, optional
        Default: all that the process may use (its affinity and OMP_NUM_THREADS). The results are
        the same bits for any number.
    random_state : int, None, numpy.random.Generator or numpy.random.RandomState
        Seed of the agents' encoders; None draws one.

    Attributes
    ----------
    n_features_in_ : int
        Width of an input, once one was seen.
    n_outputs_ : int
        Width of y, once one was seen.

    Notes
    -----
    Theory section 6, docs/theory.md; arXiv:2605.05492. Shifting or scaling y shifts or scales every
    prediction but the very first (with ``mixture.total=1``), and an increasing affine
    change of an input coordinate changes nothing. Numbers beyond 1e150 (for y, 1e15 in float32) are
    refused, for their squares would not be finite; features given to Precomputed may be of any
    size.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map()
    >>> ensemble = memoa.OnlineEnsemble(n_agents=20)
    >>> run = ensemble.run(series.X, series.Y, initial=series.initial)
    >>> run.server_rmse < 0.1 < run.repeat_last_rmse
    True
    """

    n_features_in_: int
    n_outputs_: int
    _engines: _Engines | None
    _base: Float64 | None
    _pending: Float64 | None

    def __init__(
        self,
        n_agents: int = 64,
        encoder: Encoder = RandomFeatures(),  # noqa: B008 - an immutable value
        *,
        policy: Literal["memoa", "greedy"] = "memoa",
        consensus: float = 1.0,
        effort: float = 0.01,
        horizon: int = 8,
        discount: float = 0.0,
        forgetting: float | Sequence[float] = (0.97, 0.99, 0.998),
        ridge: float | Sequence[float] = 0.1,
        mixture: Mixture = Mixture(),  # noqa: B008 - an immutable value
        dtype: Literal["float64", "float32"] = "float64",
        n_threads: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.n_agents = n_agents
        self.encoder = encoder
        self.policy = policy
        self.consensus = consensus
        self.effort = effort
        self.horizon = horizon
        self.discount = discount
        self.forgetting = forgetting
        self.ridge = ridge
        self.mixture = mixture
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self._settings()
        self._forget()

    # ------------------------------------------------------------------ one step at a time

    def predict_one(self, x: ArrayLike) -> Float64:
        """Forecast the y that belongs to `x`; leaves no trace until `learn_one`.

        Parameters
        ----------
        x : array_like, shape (dx,), or (N, p) with Precomputed, float64

        Returns
        -------
        ndarray, shape (d,)
            Before any y was seen its width is not known, and the forecast is a single 0.
        """
        inputs = self._check_input(x)
        width = 1 if self._base is None else self._base.size
        engines, built = self._ready(inputs.shape, width)
        population, server = engines
        if not population.has_seen and self._base is not None:
            population.observe(self._base)
        mixed = population.predict(server, inputs)
        self._adopt(engines, built)
        self._pending = inputs.copy()
        self._warn_of_overflow(population)
        return mixed

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> OnlineEnsemble:
        """Learn the `y` that belongs to the `x` last given to `predict_one`.

        The first y ever seen is observed, not learnt: nothing was known of its level.

        Parameters
        ----------
        x : array_like, shape (dx,), or (N, p) with Precomputed, float64
        y : array_like, shape (d,), or a number where d = 1, float64

        Raises
        ------
        ValueError
            Where `x` was not the last one predicted. Nothing is learnt then.
        """
        inputs = self._check_input(x)
        if self._pending is None:
            raise ValueError(
                f"x = {_short(inputs)} was not predicted; expected predict_one(x) before "
                "learn_one(x, y)"
            )
        if not np.array_equal(inputs, self._pending):
            raise ValueError(
                f"x = {_short(inputs)} is not the x last given to predict_one; expected that one"
            )
        target = self._check_target("y", y)
        engines, built = self._ready(inputs.shape, target.size)
        population, server = engines
        if not population.is_pending:  # only now is the width of y known
            population.predict(server, inputs)
        population.learn(server, target)
        self._adopt(engines, built)
        self._pending = None
        return self

    def observe(self, y: ArrayLike) -> OnlineEnsemble:
        """Take `y` as the last value seen, without learning."""
        target = self._check_target("y", y)
        if self._engines is not None and self._engines[0].has_seen:
            self._engines[0].observe(target)
        else:
            _core.require_moderate("y", target, str(self.dtype) == "float32")
            self._engines = None
            self._base = target.copy()
            self.n_outputs_ = target.size
        self._pending = None
        return self

    # ------------------------------------------------------------------ many steps

    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        initial: ArrayLike | None = None,
        record: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Predict and learn a whole series inside the core; the same bits as step by step.

        Parameters
        ----------
        X : array_like, shape (T, dx), or (T, N, p) with Precomputed, float64
        Y : array_like, shape (T, d), or (T,) where d = 1, float64
            Y[t] belongs to X[t].
        initial : array_like, shape (d,), optional
            Observed first: the value just before Y[0]. Where no y was ever seen, and none is given
            here, Y[0] is observed, not learnt, and no error of the run counts it.
        record : sequence of int, optional
            Agents whose every prediction is kept, in ``Run.recorded``.
        progress : callable(done, total), optional
            Called some ten times a second, or after every step where one takes longer. Ctrl-C is
            heard as often and leaves a usable ensemble that has learnt the steps done.

        Warns
        -----
        RuntimeWarning
            Where the numbers of an agent overflow. It repeats the last value then, and leaves no
            mark on the others.

        Returns
        -------
        Run
        """
        targets = as_float64("Y", Y)
        targets = targets[:, None] if targets.ndim == 1 else targets
        require_shape("Y", targets, "(n_steps, n_outputs)", (None, self._known_width()))
        inputs = as_float64("X", X)
        self._check_rows(inputs)
        if len(inputs) != len(targets):
            raise ValueError(
                f"Y has shape {targets.shape}; expected (n_steps, n_outputs) with as many steps as "
                f"X, {len(inputs)}"
            )
        agents = _agents(record)
        start = None
        if initial is not None:
            start = as_float64("initial", initial)
            start = start.reshape(1) if start.ndim == 0 else start
            require_shape("initial", start, "(n_outputs,)", (targets.shape[1],))
        engines, built = self._ready(inputs.shape[1:], targets.shape[1])
        population, server = engines
        if start is None and not population.has_seen:
            start = self._base
        try:
            result = population.run(
                server, inputs, targets, initial=start, record=agents, progress=progress
            )
        finally:  # what was interrupted has learnt the steps done, what was refused nothing
            if population.has_seen:
                self._adopt(engines, built)
                if not population.is_pending:
                    self._pending = None
        self._warn_of_overflow(population)
        scored = (len(targets) - result["unscored"]) * targets.shape[1]
        return Run(
            predictions=result["predictions"],
            targets=targets.copy(),
            initial=result["base"],
            mean_field=result["mean_field"],
            agent_rmse=np.sqrt(result["costs"] / scored if scored else np.nan * result["costs"]),
            worst_cost=result["worst_cost"],
            recorded=result["recorded"],
            record=agents,
            policy=self.policy,
            unscored=result["unscored"],
        )

    def fit(self, X: ArrayLike, y: ArrayLike) -> OnlineEnsemble:
        """Forget everything, then learn the series (X, y) in its order."""
        self._settings()
        before = self.__dict__.copy()
        self._forget()
        try:
            return self.partial_fit(X, y)
        except (TypeError, ValueError):
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> OnlineEnsemble:
        """Learn the series (X, y) in its order, on top of what was learnt."""
        if y is None:
            raise ValueError("OnlineEnsemble requires y to be passed, but the target y is None")
        targets = as_float64("Y", y)
        self.run(X, targets)
        self._flat = targets.ndim == 1
        return self

    def predict(self, X: ArrayLike) -> Float64:
        """Forecast for every row of `X` as if it were the next input; none of them is learnt.

        Returns
        -------
        ndarray, shape (T, d), or (T,) where `fit` was given a y of shape (T,)
        """
        if self._engines is None:
            raise not_fitted("predict was called before anything was learnt; expected fit first")
        inputs = as_float64("X", X)
        self._check_rows(inputs)
        population, server = self._engines
        mixed = population.predict_rows(server, inputs)
        return mixed[:, 0] if self._flat else mixed

    # ------------------------------------------------------------------ what was learnt

    @property
    def agent_predictions(self) -> Float64:
        """The agents' last predictions, shape (N, d), a new array."""
        return self._learnt("agent_predictions").predictions()

    @property
    def mean_field(self) -> Float64:
        """Mean of the agents' last predictions, shape (d,)."""
        return self._learnt("mean_field").mean_field()

    @property
    def weights(self) -> Float64:
        """The server's present weights, shape (N,), a new array."""
        if self._engines is None:
            return np.full(self.n_agents, self.mixture.total / self.n_agents)
        return self._engines[1].weights()

    @property
    def mixture_weight(self) -> Float64:
        """Weight of the mixture against the last value, shape (d,): see `Mixture.fallback`."""
        if self._engines is None:
            return np.ones(1 if self._base is None else self._base.size)
        return self._engines[1].mixture_weight()

    @property
    def agent_rmse(self) -> Float64:
        """Root-mean-square error of every agent over all that was learnt, shape (N,)."""
        population = self._learnt("agent_rmse")
        return np.sqrt(population.costs() / (max(population.steps, 1) * self.n_outputs_))

    @property
    def under_performer(self) -> tuple[int, float]:
        """The agent with the largest sum of squared errors, and that sum: the regret."""
        costs = self._learnt("under_performer").costs()
        worst = int(np.argmax(costs))
        return worst, float(costs[worst])

    def __sklearn_is_fitted__(self) -> bool:
        """Whether any y was seen."""
        return self._engines is not None and self._engines[0].has_seen

    # ------------------------------------------------------------------ saving

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and all that was learnt; a forecast not yet learnt is predicted again."""
        state = {k: v for k, v in self.__dict__.items() if k != "_engines"}
        if self._engines is not None:
            state["_memory"] = tuple(engine.memory() for engine in self._engines)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits."""
        memory = state.pop("_memory", None)
        self.__dict__.update(state)
        self._engines = None
        if memory is None:
            return
        population, server = self._engines = _build(self._built)
        population.restore(memory[0])
        server.restore(memory[1])
        if self._pending is not None:
            population.predict(server, self._pending)

    # ------------------------------------------------------------------ inside

    def _settings(self, **sizes: int) -> dict[str, Any]:
        """The settings of the engines, checked."""
        if not isinstance(self.encoder, Encoder):
            raise TypeError(
                f"encoder is {self.encoder!r}; expected RandomFeatures, EchoState or Precomputed"
            )
        if not isinstance(self.mixture, Mixture):
            raise TypeError(f"mixture is {self.mixture!r}; expected a memoa.Mixture")
        numbers = ("consensus", "effort", "discount")
        settings: dict[str, Any] = {k: as_number(k, getattr(self, k)) for k in numbers}
        settings |= {
            "forgetting": as_numbers("forgetting", self.forgetting),
            "ridge": as_numbers("ridge", self.ridge),
            "n_agents": as_int("n_agents", self.n_agents, 1),
            "horizon": as_int("horizon", self.horizon, 1),
            "greedy": as_choice("policy", self.policy, ("memoa", "greedy")) == "greedy",
            "n_threads": 0 if self.n_threads is None else as_int("n_threads", self.n_threads, 1),
        }
        single = as_choice("dtype", str(self.dtype), ("float64", "float32")) == "float32"
        settings |= {"encoder": self.encoder, **sizes}
        _core_settings(settings)
        return {"population": settings, "mixture": self.mixture, "single": single}

    def _forget(self) -> None:
        self._engines = self._base = self._pending = None
        self._flat = False
        self._overflow_told = -1
        self._built: _Built = {}
        self._drawn_seed: int | None = None
        self.__dict__.pop("n_outputs_", None)
        self.__dict__.pop("n_features_in_", None)

    def _ready(self, input_shape: tuple[int, ...], n_outputs: int) -> tuple[_Engines, _Built]:
        """The engines for such x and y, and what they were built from.

        Before any y was seen its width may turn out to be another: then they are new ones, with the
        same agents. `_adopt` keeps them, once they have accepted their input.
        """
        if self._engines is not None and (
            self._engines[0].has_seen or self._built["population"]["n_outputs"] == n_outputs
        ):
            return self._engines, self._built
        if self._drawn_seed is None:
            self._drawn_seed = _seed(self.random_state)
        n_inputs = 1 if isinstance(self.encoder, Precomputed) else input_shape[-1]
        built = self._settings(n_inputs=n_inputs, n_outputs=n_outputs, seed=self._drawn_seed)
        return _build(built), built

    def _adopt(self, engines: _Engines, built: _Built) -> None:
        if engines is self._engines:
            return
        self._engines, self._built = engines, built
        settings = built["population"]
        given = isinstance(settings["encoder"], Precomputed)
        self.n_features_in_ = settings["encoder"].n_features if given else settings["n_inputs"]
        self.n_outputs_ = settings["n_outputs"]

    def _known_width(self) -> int | None:
        """Width of y, once one was seen."""
        if self._engines is not None and not self._engines[0].has_seen:
            return None
        return getattr(self, "n_outputs_", None)

    def _expected_input(self) -> tuple[str, tuple[int | None, ...]]:
        built = self._built.get("population", {})
        encoder = built.get("encoder", self.encoder)
        if isinstance(encoder, Precomputed):
            shape = (built.get("n_agents", self.n_agents), encoder.n_features)
            return "n_agents, n_features", shape
        return "n_inputs", (built.get("n_inputs"),)

    def _check_input(self, x: ArrayLike) -> Float64:
        inputs = as_float64("x", x)
        labels, shape = self._expected_input()
        require_shape("x", inputs, f"({labels}{',' if len(shape) == 1 else ''})", shape)
        return inputs

    def _check_target(self, name: str, y: ArrayLike) -> Float64:
        target = as_float64(name, y)
        target = target.reshape(1) if target.ndim == 0 else target
        require_shape(name, target, "(n_outputs,)", (self._known_width(),))
        return target

    def _check_rows(self, inputs: Float64) -> None:
        labels, shape = self._expected_input()
        if inputs.ndim == 1 and len(shape) == 1:
            raise ValueError(
                f"X has shape {inputs.shape}. Reshape your data: expected (n_steps, n_inputs), "
                "X.reshape(-1, 1) for a single input"
            )
        if inputs.ndim == 2 and inputs.shape[1] == 0:
            raise ValueError(
                f"X has 0 feature(s) (shape={inputs.shape}) while a minimum of 1 is required."
            )
        if inputs.ndim == 2 and len(shape) == 1 and shape[0] not in (None, inputs.shape[1]):
            raise ValueError(
                f"X has {inputs.shape[1]} features, but OnlineEnsemble is expecting {shape[0]} "
                "features as input: its shape is (n_steps, n_inputs)"
            )
        require_shape("X", inputs, f"(n_steps, {labels})", (None, *shape))

    def _warn_of_overflow(self, population: _core.Population) -> None:
        step, agent = population.overflow()
        if step > self._overflow_told:
            self._overflow_told = step
            warnings.warn(
                f"the numbers of agent {agent} overflowed at step {step}; it repeats the last "
                "value there, and no sum over agents counts it",
                RuntimeWarning,
                stacklevel=3,
            )

    def _learnt(self, name: str) -> _core.Population:
        if self._engines is None:
            raise not_fitted(f"{name} was asked for before the first prediction")
        return self._engines[0]


def _seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return as_int("random_state", random_state, 0, below=2**64)


def _core_settings(settings: dict[str, Any]) -> _core.PopulationSettings:
    return _core.PopulationSettings(**settings | {"encoder": settings["encoder"]._to_core()})


def _build(built: _Built) -> _Engines:
    settings, single = _core_settings(built["population"]), built["single"]
    sizes = settings.n_agents, built["population"]["n_outputs"]
    mixture = built["mixture"]._to_core()
    return (
        _core.Population(settings, single),
        _core.ServerMixture(*sizes, mixture, settings.n_threads, single),
    )


def _agents(record: Any) -> NDArray[np.intp]:
    agents = np.asarray([] if record is None else record)
    if agents.size == 0:
        return np.zeros(0, dtype=np.intp)
    if agents.ndim != 1 or agents.dtype.kind not in "iu":
        raise TypeError(
            f"record has dtype {agents.dtype} and shape {agents.shape}; expected a sequence of "
            "agents' numbers"
        )
    return np.array(agents, dtype=np.intp)  # a copy: a Run makes its arrays read-only


def _short(values: Float64) -> str:
    return np.array2string(values, threshold=6, edgeitems=2, precision=6)
