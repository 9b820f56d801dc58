"""The online ensemble: a population of small forecasters and the server that mixes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa._deprecated import warn_renamed
from memoa._engines import Progress
from memoa._estimator import not_fitted
from memoa._frames import with_column
from memoa._inputs import awake_of, initial_of, one_target, recorded_agents, targets_of
from memoa._lock import serialised
from memoa._online import Online
from memoa._shards import largest
from memoa._validate import Flags, Float64, as_int
from memoa.encoder import Encoders, RandomFeatures
from memoa.mixture import Mixture
from memoa.run import Run


class OnlineEnsemble(Online):
    """A population of online forecasters that play the mean-field Nash policy.

    At every step an input x arrives, every agent predicts the corresponding y, the server combines
    the predictions, and then y is revealed. Each agent has its own encoder and an exponentially
    weighted ridge regression of ``y - base`` on its features, where the base is the last y seen. It
    then corrects this local forecast by the policy of the game.

    The ensemble is an engine: it owns what was learnt and changes with every step. It serves one
    caller at a time, and other threads wait. Another thread may come between `predict_one` and
    `learn_one`; `step_one` does both without an interruption.

    Parameters
    ----------
    n_agents : int
        Number N of agents.
    encoder : RandomFeatures, EchoState, Linear or Precomputed, or sequence of them
        How an agent turns inputs into features. One encoder for all agents, or one per type: of K
        encoders, agent i has number i mod K. They may differ in their numbers of features.
        Precomputed is for all agents or for none.
    policy : {"memoa", "greedy"}
        "memoa": agents play the mean-field Nash policy. "greedy": every agent shows its local
        forecast, and there is no game; a baseline.
    consensus : float
        Weight >= 0 of staying near the mean field, relative to the weight of meeting the target.
    effort : float
        Price > 0 of moving the prediction away from the base.
    horizon : int
        Number of stages that the game looks ahead.
    discount : float
        Rate >= 0 at which the weight of later stages of the game grows.
    forgetting : float or sequence of float
        Weight of a step relative to the next later one in an agent's regression, in (0, 1]. One
        value for all agents, or one per type: of K types, agent i is of type i mod K. Where there
        are as many encoders, each has its own value; of two encoders and three values each encoder
        has agents of all three.
    ridge : float or sequence of float
        Penalty > 0 of an agent's regression, for all agents or per type. Where forgetting is a
        sequence as well, the two are of the same length.
    aggregate : {"mean", "trimmed", "clip"}
        How the agents' mean field is computed, theory (6.9) and (6.10). "mean": over all agents.
        "clip": over the agents whose forecast is within five robust deviations of the crowd's
        median and whose recent squared errors are at most four times the usual ones. For the other
        agents, the server uses the mean field. So an agent that lies or fails harms neither the
        others nor the server. "trimmed", the default: the same, and the mean field also leaves out
        a fifth of the agents at either end. Fewer than 16 agents are no crowd: all of them count.
    lags : int
        Number of past increments of every output that agents see in addition to x: theory (6.12).
    season : {"auto"}, int or None
        Period of the season in steps. Agents also see the increment that seasonal repetition
        predicts. "auto": found online among lags of up to 60 steps. With Precomputed, agents see
        neither `lags` nor `season`.
    bounded : bool
        Whether increments of y far beyond the usual are cut before they are learnt, and no agent
        forecasts a larger increment than it has learnt, theory (6.13).
    follow : {"server", "mean"}
        What the policy takes for the mean field, theory (6.17). "server": the server's forecast, so
        that an agent's error is near the server's; with ``Mixture(rivals=False)``, which mixes what
        agents show after the policy, it is as "mean". "mean": the mean of the agents' forecasts.
    mixture : Mixture
        How the server weights the agents.
    intervals : sequence of float
        Shares of the outcomes, in (0, 1) and increasing, that intervals around the server's
        forecasts should contain: `prediction_intervals`, theory (10.1) to (10.3).
    dtype : {"float64", "float32"}
        Type of the agents' state and of the mixture's window. "float32" needs half the memory and
        about half the time; inputs and results stay float64. The server's error is within 0.1 % of
        float64's on the eight series of the experiments, and over 10^6 steps with a forgetting of
        up to 0.999. With a forgetting of 1, sums stop growing after some 10^5 steps, because of
        their 24 bits.
    delay : int
        Number of further forecasts after which y is known: theory (10.7). Up to ``delay + 1``
        forecasts then wait for their y, and `learn_one` takes the y of the oldest. They need memory
        for ``delay + 1`` times three numbers per agent and output, and twice the inputs; with
        EchoState and Precomputed also the features, which cannot be computed again. A run goes step
        by step, not 16 steps at once.
    n_threads : int, optional
        Default: all that the process may use (its affinity and OMP_NUM_THREADS). The results are
        the same bits for any number.
    random_state : int, None, numpy.random.Generator or numpy.random.RandomState
        Seed of the agents' encoders; None draws one.
    communicator : memoa.mpi.Communicator, optional
        Communicator of the processes that share the agents. `n_agents` is the number in all
        processes, and each process makes the same calls with the same data. Forecasts, mean field
        and under-performer are the same in all processes and have the bits of one process. Arrays
        with one row or entry per agent have only this process's agents, `agents`; the methods
        ``gather_...`` collect them in the process of rank 0. Each process has a whole number of
        groups of 512 agents.

    Attributes
    ----------
    n_features_in_ : int
        Width of an input, once one was seen.
    n_outputs_ : int
        Width of y, once one was seen.
    feature_names_in_ : ndarray of object, shape (dx,)
        Names of the inputs, if they came from a frame with string names or from a dict. From then
        on a frame must have these columns in this order, and a dict these keys in any order. An
        array is used by position.

    Notes
    -----
    This is for one series with many models of it. For many series with one model each, use `Panel`.

    NaN in x or y means a missing value. A missing x is replaced by its mean and does not count in
    the statistics. A missing y is neither learnt nor scored, and the last y seen remains the base.
    If all of y is missing, the step changes nothing. Theory (10.4) to (10.6).

    The agents are drawn at the first prediction or run. Parameters that are set later, including
    threads and policy, have no effect until the next `fit`.

    Theory section 6, docs/theory.md; arXiv:2605.05492. Shifting y, or scaling it by a positive
    number, shifts or scales every prediction but the very first (with ``mixture.total=1``), and an
    increasing affine change of an input coordinate changes nothing. Numbers beyond 1e150 (for y,
    1e15 in float32) are refused, because their squares would not be finite. Features for
    Precomputed may have any size.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map()
    >>> ensemble = memoa.OnlineEnsemble(n_agents=20)
    >>> run = ensemble.run(series.X, series.Y, initial=series.initial)
    >>> run.server_rmse < 0.1 < run.repeat_last_rmse
    True
    """

    def __init__(
        self,
        n_agents: int = 64,
        encoder: Encoders = RandomFeatures(16, "wave", n_raw=4, n_columns=2),  # noqa: B008 - immutable
        *,
        policy: Literal["memoa", "greedy"] = "memoa",
        consensus: float = 10.0,
        effort: float = 0.01,
        horizon: int = 8,
        discount: float = 0.0,
        forgetting: float | Sequence[float] = (0.95, 0.99, 0.998),
        ridge: float | Sequence[float] = (0.001, 0.01, 0.1),
        aggregate: Literal["mean", "trimmed", "clip"] = "trimmed",
        lags: int = 6,
        season: Literal["auto"] | int | None = "auto",
        bounded: bool = True,
        follow: Literal["server", "mean"] = "server",
        mixture: Mixture = Mixture(),  # noqa: B008 - an immutable value
        intervals: Sequence[float] = (),
        delay: int = 0,
        dtype: Literal["float64", "float32"] = "float64",
        n_threads: int | None = None,
        random_state: Any = 0,
        communicator: Any = None,
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
        self.aggregate = aggregate
        self.lags = lags
        self.season = season
        self.bounded = bounded
        self.follow = follow
        self.mixture = mixture
        self.intervals = intervals
        self.delay = delay
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.communicator = communicator
        self._begin()

    # ------------------------------------------------------------------ one step at a time

    @overload
    def predict_one(
        self, x: Mapping[Any, Any], awake: ArrayLike | None = None
    ) -> float | Float64: ...
    @overload
    def predict_one(self, x: ArrayLike, awake: ArrayLike | None = None) -> Float64: ...
    @serialised
    def predict_one(self, x: Any, awake: ArrayLike | None = None) -> float | Float64:
        """Forecast the y that belongs to `x`; leaves no trace until `learn_one`.

        With a `delay` the forecast waits for its y, and `x` counts from now on.

        Parameters
        ----------
        x : array_like, shape (dx,), or (N, p) with Precomputed, float64; or dict of name to number
            The first dict fixes the names; in those that follow their order does not matter.
        awake : array_like of bool, shape (N,), optional
            Which agents are there; None: all. The others count in no average, the server takes
            them to have said the mean field, and `learn_one` does not charge them. They learn the
            step all the same: theory (10.10). Not with a `delay` or a `communicator`.

        Returns
        -------
        ndarray, shape (d,)
            For a dict and d = 1 a float, as river has it. Before any y was seen its width is not
            known, and the forecast is a single 0.

        Raises
        ------
        ValueError
            Where numbers are infinite, or the shape or the names are not those seen before; or
            where ``delay + 1`` forecasts wait for their y already.
        TypeError
            Where something is not a number.
        """
        inputs, names = self._inputs().row(x)
        mixed = self._predict(inputs, names, awake=self._awake_one(awake))
        return float(mixed[0]) if isinstance(x, Mapping) and mixed.size == 1 else mixed

    @serialised
    def learn_one(self, x: ArrayLike | Mapping[Any, Any], y: ArrayLike) -> OnlineEnsemble:
        """Learn the `y` that belongs to `x`.

        Where `x` is not the one last given to `predict_one`, it is predicted first, by all agents:
        they learn from what they forecast. A forecast that is never learnt leaves no trace. The
        first y ever seen is observed, not learnt: nothing was known of its level.

        With a `delay`, `x` is that of the oldest forecast that waits, and any other is refused; a y
        that never comes is nan.

        Parameters
        ----------
        x : array_like, shape (dx,), or (N, p) with Precomputed, float64; or dict of name to number
            The inputs that the value belongs to.
        y : array_like, shape (d,), or a number where d = 1, float64
            The value, one number for each output; nan where it is missing.

        Raises
        ------
        ValueError, TypeError
            As in `predict_one`. Nothing is learnt then, and what was predicted can be learnt still.
        """
        inputs, names = self._inputs().row(x)
        self._learn(inputs, names, one_target("y", y, self._width()))
        return self

    @serialised
    def step_one(
        self, x: ArrayLike | Mapping[Any, Any], y: ArrayLike, awake: ArrayLike | None = None
    ) -> Float64:
        """Forecast the y that belongs to `x`, then learn it: one step that no other thread divides.

        Parameters
        ----------
        x : array_like, shape (dx,), or (N, p) with Precomputed, float64; or dict of name to number
            The inputs that the value belongs to.
        y : array_like, shape (d,), or a number where d = 1, float64
            The value, one number for each output; nan where it is missing.
        awake : array_like of bool, shape (N,), optional
            Which agents are there, as in `predict_one`.

        Returns
        -------
        ndarray, shape (d,)
            The forecast, made before `y` was looked at.

        Raises
        ------
        ValueError, TypeError
            As in `predict_one`, and where there is a `delay`. Nothing is learnt then.
        """
        if (self._engines or self).delay > 0:
            raise ValueError(
                f"delay is {self.delay}: y is not known yet; expected predict_one, and learn_one "
                "later"
            )
        inputs, names = self._inputs().row(x)
        flags = self._awake_one(awake)
        return self._step(inputs, names, one_target("y", y, self._width()), flags)

    def _awake_one(self, awake: ArrayLike | None) -> Flags | None:
        return awake_of(awake, "(n_agents,)", (len(self.agents),))

    @serialised
    def observe(self, y: ArrayLike) -> OnlineEnsemble:
        """Take `y` as the last value seen, without learning."""
        self._observe(one_target("y", y, self._width()))
        return self

    # ------------------------------------------------------------------ many steps

    @serialised
    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        initial: ArrayLike | None = None,
        record: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        progress: Progress | None = None,
        warmup: int = 0,
        awake: ArrayLike | None = None,
    ) -> Run:
        """Predict and learn a whole series inside the core; the same bits as step by step.

        Parameters
        ----------
        X : array_like or data frame, shape (T, dx), or (T, N, p) with Precomputed, float64
            Columns of pandas or polars frames may be of any numeric or boolean dtype. It may have
            one row more than `Y`: the inputs of the next step, whose forecast is ``Run.next``.
        Y : array_like or data frame, shape (T, d), or (T,) where d = 1, float64
            The values to forecast: Y[t] belongs to X[t].
        initial : array_like, shape (d,), optional
            Observed first: the value just before Y[0]. Where no y was ever seen, and none is given
            here, Y[0] is observed, not learnt, and no error of the run counts it. With a `delay`:
            the last value known when X[0] comes, or all ``delay + 1`` before Y[0], shape
            (delay + 1, d), which become known one after the other. Y[t] is then learnt after the
            forecast of X[t + delay], and the last ones with the forecasts that come after the run.
        record : sequence of int, optional
            Numbers of the agents whose predictions are kept, in ``Run.recorded``.
        progress : callable(done, total), optional
            Called some ten times a second, or after every step if a step takes longer. Ctrl-C is
            checked as often; it leaves a usable ensemble that has learnt the completed steps.
        warmup : int
            Number of steps at the start that are learnt but not scored.
        awake : array_like of bool, shape (T, N), optional
            Which agents are awake at each step, as in `predict_one`; one row per row of `X`.

        Raises
        ------
        ValueError
            If numbers are infinite, features of Precomputed are missing, or the shape or the names
            of the columns are not those seen before. Then nothing is learnt.
        TypeError
            If something is not a number.

        Warns
        -----
        RuntimeWarning
            If the numbers of an agent overflow. It then repeats the last value, and does not affect
            the others.
        UserWarning
            If only one of `X` and the earlier inputs has names.

        Returns
        -------
        Run
        """
        if progress is not None and not callable(progress):
            raise TypeError(f"progress is {progress!r}; expected a function of (done, total)")
        inputs, names = self._inputs().rows(X)
        targets, _ = targets_of(Y, len(inputs), self._width(), one_less=True)
        delay = (self._engines or self).delay
        start = None if initial is None else initial_of(initial, targets.shape[1], delay)
        warmup = as_int("warmup", warmup, 0)
        if warmup > 0 and warmup >= len(targets):
            raise ValueError(f"warmup is {warmup}; expected fewer than the {len(targets)} steps")
        flags = awake_of(awake, "(n_steps, n_agents)", (len(inputs), len(self.agents)))
        agents = recorded_agents(record)
        return self._run(inputs, targets, names, start, agents, progress, warmup, awake=flags)

    @serialised
    def fit(self, X: ArrayLike, y: ArrayLike) -> OnlineEnsemble:
        """Forget everything, then learn the series (X, y) in its order.

        If that is refused, fails or is interrupted, the state from before is restored. It needs
        memory until then.

        Parameters
        ----------
        X, y
            Inputs and the values that belong to them, as in `run`.

        Returns
        -------
        OnlineEnsemble
            This one.
        """
        before = self.__dict__.copy()
        try:
            self._forget()
            self.partial_fit(X, y)
            if self._engines is None:
                raise ValueError("y holds nan at every step; expected some numbers")
            return self
        except BaseException:  # Ctrl-C too
            self.__dict__ = before
            raise

    @serialised
    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> OnlineEnsemble:
        """Learn the series (X, y) in its order, in addition to what was learnt, for pipelines.

        Parameters
        ----------
        X, y
            Inputs and the values that belong to them, as in `run`.

        Returns
        -------
        OnlineEnsemble
            This one.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        inputs, names = self._inputs().rows(X)
        targets, flat = targets_of(y, len(inputs), self._width())
        self._run(inputs, targets, names, None, recorded_agents(None), None)
        self._flat = flat
        return self

    @serialised
    def predict(self, X: ArrayLike) -> Float64:
        """Forecast for every row of `X` as if it were the next input, without learning.

        Parameters
        ----------
        X : array_like or data frame, shape (T, dx), or (T, N, p) with Precomputed, float64
            Inputs, one row for each forecast.

        Returns
        -------
        ndarray, shape (T, d), or (T,) where `fit` was given a y of shape (T,)
        """
        if self._engines is None:
            raise not_fitted("predict was called before anything was learnt; expected fit first")
        inputs, names = self._inputs().rows(X)
        try:
            mixed = self._engines.core.predict_rows(inputs)
        except ValueError as error:
            raise with_column(error, names) from None
        return mixed[:, 0] if self._flat else mixed

    # ------------------------------------------------------------------ what was learnt

    @property
    @serialised
    def agent_predictions(self) -> Float64:
        """The agents' last predictions, shape (N, d), a new array.

        Of an agent that was away, what it would have said.
        """
        return self._learnt("agent_predictions").core.predictions()

    @property
    @serialised
    def mean_field(self) -> Float64:
        """Mean of the agents' last predictions, shape (d,); the last value where all were away."""
        return self._learnt("mean_field").core.mean_field()

    @property
    @serialised
    def prediction_intervals(self) -> Float64:
        """Bounds around the server's last forecast, shape (levels, 2, d): lower, then upper.

        NaN before the first error was seen.
        """
        return self._learnt("prediction_intervals").core.intervals()

    @property
    @serialised
    def weights(self) -> Float64:
        """The server's present weights, shape (N,), a new array."""
        if self._engines is None:
            return np.full(len(self.agents), self.mixture.total / self.n_agents)
        return self._engines.core.weights()

    @property
    @serialised
    def mixture_weight(self) -> Float64:
        """Deprecated, use `shares`: this is ``1 - shares[3]``, shape (d,)."""
        warn_renamed("mixture_weight", "shares: this is 1 - shares[3]", stacklevel=3)
        if self._engines is None:
            return np.ones(1 if self._base is None else self._base.size)
        return self._engines.core.mixture_weight()

    @property
    @serialised
    def shares(self) -> Float64:
        """Shares in the server's forecast, shape (4, d), a new array.

        The four shares are those of the mixture, with the weights `weights`; of the agents with
        exponential weights; of seasonal repetition; and of the last value. Without
        ``mixture.rivals`` the second and the third are 0.
        """
        return self._learnt("shares").core.shares()

    @property
    @serialised
    def forecast_weights(self) -> Float64:
        """Weights of the agents in the server's forecast, shape (N, d), a new array.

        They combine `weights` and the exponential weights, each times its share. Seasonal
        repetition and the last value have the rest of the forecast.
        """
        return self._learnt("forecast_weights").core.forecast_weights()

    @property
    @serialised
    def agent_rmse(self) -> Float64:
        """Root-mean-square error of every agent over all that was learnt, shape (N,).

        Over the steps at which it was awake; nan where there was none.
        """
        return self._learnt("agent_rmse").agent_rmse()

    @property
    @serialised
    def under_performer(self) -> tuple[int, float]:
        """The agent with the largest sum of squared errors, and that sum: the regret."""
        engines = self._learnt("under_performer")
        return largest(engines.communicator, engines.core.costs(), engines.agents)

    @serialised
    def gather_agent_predictions(self) -> Float64 | None:
        """`agent_predictions` of all processes in that of rank 0, None in the others."""
        return self._gather(self.agent_predictions)

    @serialised
    def gather_agent_rmse(self) -> Float64 | None:
        """`agent_rmse` of all processes in that of rank 0, None in the others."""
        return self._gather(self.agent_rmse)

    @serialised
    def gather_weights(self) -> Float64 | None:
        """`weights` of all processes in that of rank 0, None in the others."""
        return self._gather(self.weights)
