"""The panel: every client has its own series, and clients learn from each other's readouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from memoa._estimator import not_fitted
from memoa._lock import serialised
from memoa._panel_state import PanelState
from memoa._shards import largest
from memoa._validate import Float64, as_int
from memoa.encoder import Linear, Precomputed, RandomFeatures
from memoa.panel_run import PanelRun

Progress = Callable[[int, int], object]


class Panel(PanelState):
    """Forecasts the series of N clients, whose models are pulled towards each other.

    At every step each client receives its own inputs and forecasts its own next value, which only
    this client then sees. It has an exponentially weighted ridge regression of ``y - base`` on its
    features, where the base is the last value seen. It shares the coefficients of the regression,
    its readout, and receives the crowd's. The panel is an engine: it owns what was learnt and
    changes with every step.

    Parameters
    ----------
    n_clients : int
        Number N of clients. `add_clients` adds more.
    encoder : Linear, RandomFeatures or Precomputed
        Turns inputs into features. All clients have the same encoder, so that their readouts are
        comparable.
    pooling : float
        Price >= 0 of a readout's distance from the crowd's. With 0 each client has a separate ridge
        regression.
    ridge : float
        Penalty > 0 on the squared size of a readout.
    consensus : "learned" or float
        Weight >= 0 of staying near the crowd's forecast, relative to the client's own. "learned":
        each client learns its own weight.
    aggregate : {"trimmed", "mean", "clip"}
        How the clients' readouts are averaged. "trimmed": without the lowest and the highest fifth,
        so that a tenth of liars cannot move it. "mean": all of them. "clip": values far from the
        last result are clipped first.
    forgetting : float
        Weight of a step relative to the next later one, in (0, 1].
    delay : int
        Number of further forecasts after which the clients' y is known: theory (10.11). Up to
        ``delay + 1`` forecasts wait for their y, which `learn_one` learns in their order, each
        from the features and the last known value of its time. They need memory for ``delay + 1``
        times a client's inputs and features, and seven numbers per output.
    dtype : {"float64", "float32"}
        Type of the clients' state and of their inputs. "float32" needs half the memory and half of
        its bandwidth; targets and forecasts stay float64.
    n_threads : int, optional
        Default: all that the process may use. The results are the same bits for any number.
    random_state : int
        Seed of the random features.
    communicator : memoa.mpi.Communicator, optional
        Communicator of the processes that share the clients. `n_clients` is the number in all
        processes. Each process makes the same calls, with the rows of its own clients, `clients`,
        instead of all N. The crowd's readout and the under-performer are the same in all processes
        and have the bits of one process. The methods ``gather_...`` collect the rows of all clients
        in the process of rank 0. Each process has a whole number of groups of 512 clients. The
        trimmed mean needs all readouts in one process, so choose "clip" or "mean".

    Notes
    -----
    Theory section 8, docs/theory.md. Scale and shift of each client's values do not matter, and
    neither does an increasing affine change of an input coordinate. A NaN in Y is not learnt and
    not scored, and nothing is forgotten for it. With several outputs a client learns a step only if
    it has seen all of them. Numbers beyond 1e150 (1e15 in float32) are refused, and features beyond
    1e75.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.similar_households(n_clients=20, n=200)
    >>> panel = memoa.Panel(n_clients=20)
    >>> run = panel.run(series.X, series.Y, initial=series.initial)
    >>> bool(run.relative_rmse().max() < 0.9)  # of the error of repeating the last value
    True
    """

    def __init__(
        self,
        n_clients: int,
        encoder: Linear | RandomFeatures | Precomputed = Linear(),  # noqa: B008 - immutable
        *,
        pooling: float = 10.0,
        ridge: float = 1.0,
        consensus: float | Literal["learned"] = "learned",
        aggregate: Literal["trimmed", "mean", "clip"] = "trimmed",
        forgetting: float = 0.998,
        delay: int = 0,
        dtype: Literal["float64", "float32"] = "float64",
        n_threads: int | None = None,
        random_state: int = 0,
        communicator: Any = None,
    ) -> None:
        self.n_clients = n_clients
        self.encoder = encoder
        self.pooling = pooling
        self.ridge = ridge
        self.consensus = consensus
        self.aggregate = aggregate
        self.forgetting = forgetting
        self.delay = delay
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.communicator = communicator
        self._begin()

    # ------------------------------------------------------------------ one step at a time

    @serialised
    def predict_one(self, X: ArrayLike) -> Float64:
        """Forecast every client's next value, without learning.

        With a `delay` the forecast waits for its y, and `X` counts in the running moments from now
        on.

        Parameters
        ----------
        X : array_like, shape (N, dx), or (N, p) features with Precomputed
            Inputs of every client. They may be NaN for a client without a value so far.

        Returns
        -------
        ndarray, shape (N, d)
            NaN for a client without a value so far.

        Raises
        ------
        ValueError
            If ``delay + 1`` forecasts wait for their y already.
        """
        inputs = self._as_inputs(X, "(n_clients, n_inputs)", (self._n(),))
        engine = self._engine_for(inputs.shape[-1], None)
        inputs = inputs.copy()  # the caller may change it at any time
        forecasts = engine.predict(inputs)
        self._keep(engine, inputs.shape[-1], None)
        self._pending = inputs if self._delay() == 0 else None
        return forecasts

    @serialised
    def learn_one(self, X: ArrayLike, Y: ArrayLike, awake: ArrayLike | None = None) -> Panel:
        """Learn the values `Y` that belong to `X`; predict first if `X` was not predicted yet.

        With a `delay`, `X` is that of the oldest forecast that waits, and any other is refused. A
        value that never comes is NaN. If a run has told the y of older forecasts, they are learnt
        before.

        Parameters
        ----------
        X : array_like, shape (N, dx), or (N, p) features with Precomputed
            Inputs of every client that belong to these values.
        Y : array_like, shape (N, d), or (N,) where d = 1, float64
            The clients' values; NaN where a client has none.
        awake : array_like of bool, shape (N,), optional
            Which clients take part in the next exchange, whatever step `Y` belongs to. The others
            keep the crowd's readout that they received last, and count in no average.
        """
        inputs = self._as_inputs(X, "(n_clients, n_inputs)", (self._n(),))
        targets = self._as_targets("Y", Y, (self._n(),))
        self._learn(inputs, targets, self._as_flags(awake, (self._n(),)))
        return self

    @serialised
    def observe(self, Y: ArrayLike) -> Panel:
        """Use `Y` (N, d) as the last values seen, without learning; NaN means no value."""
        values = self._as_targets("Y", Y, (self._n(),))
        same = values.shape[-1] == self._settings["n_outputs"]
        if self._engine is not None and (same or self._delay() > 0):
            engine = self._engine_for(self.n_features_in_, values.shape[-1])
            engine.observe(values)
            self._keep(engine, self.n_features_in_, values.shape[-1])
        else:
            self._require_moderate(values)
            self._engine, self._seen = None, values.copy()
        self.n_outputs_ = values.shape[-1]
        self._pending = None
        return self

    # ------------------------------------------------------------------ many steps

    @serialised
    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        initial: ArrayLike | None = None,
        awake: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> PanelRun:
        """Predict and learn T steps inside the core; the same bits as step by step.

        Parameters
        ----------
        X : array_like, shape (T, N, dx), or (T, N, p) features with Precomputed
            ``X[t, i]`` is all that client i knows when it predicts ``Y[t, i]``.
        Y : array_like, shape (T, N, d), or (T, N) where d = 1, float64
            The clients' values; NaN where a client has none.
        initial : array_like, shape (N, d), optional
            Observed first: the values just before ``Y[0]``; NaN means no value. With a `delay`: the
            last values known when ``X[0]`` comes, or all ``delay + 1`` before ``Y[0]``, shape
            (delay + 1, N, d), which become known one after the other. ``Y[t]`` is then learnt after
            the forecast of ``X[t + delay]``, and the last ones with the forecasts that come after
            the run.
        awake : array_like of bool, shape (T, N), optional
            Which clients take part in the exchange after each step.
        progress : callable(done, total), optional
            Called some ten times a second. Ctrl-C is checked as often; it leaves a usable panel
            that has learnt the completed steps.

        Returns
        -------
        PanelRun

        Raises
        ------
        ValueError
            If a shape does not fit, or a number is infinite or too large. Then nothing is learnt.
        """
        if progress is not None and not callable(progress):
            raise TypeError(f"progress is {progress!r}; expected a function of (done, total)")
        targets = self._as_targets("Y", Y, (None, self._n()))
        inputs = self._as_inputs(X, "(n_steps, n_clients, n_inputs)", (len(targets), self._n()))
        flags = self._as_flags(awake, targets.shape[:2])
        start = None if initial is None else self._as_initial(initial, targets.shape[1:])
        engine = self._engine_for(inputs.shape[-1], targets.shape[-1])
        steps, before, kept = (engine.steps, engine.n_waiting), engine.base(), targets.copy()
        if start is not None:
            first = start[0] if start.ndim == 3 else start
            before = np.where(np.isnan(first), before, first)
        bases = np.empty(targets.shape) if self._delay() > 0 else None
        try:
            predictions = engine.run(inputs, targets, flags, start, bases, progress)
        finally:
            if (engine.steps, engine.n_waiting) != steps:  # also if Ctrl-C ended it
                self._keep(engine, inputs.shape[-1], targets.shape[-1])
                self._pending = None
        return PanelRun(predictions, kept, before, self._delay(), bases)

    @serialised
    def add_clients(self, count: int) -> Panel:
        """Add `count` clients without history, after those that are there.

        They use the crowd's readout from their second increment on. A forecast not yet learnt is
        dropped. With a `delay` the forecasts that wait stay: `learn_one` then takes rows of all
        clients, and does not read the new clients' rows of `X`.
        """
        count = as_int("count", count, 1)
        if self.communicator is not None:
            raise ValueError(
                "clients cannot be added when several processes share them; expected all clients "
                "from the start, without values until they join"
            )
        if self._engine is not None:
            self._engine.add_clients(count)
        elif self._seen is not None:
            more = np.full((count, self._seen.shape[1]), np.nan)
            self._seen = np.concatenate([self._seen, more])
        self.n_clients = self._n() + count
        self._settings |= {"n_clients": self.n_clients, "total": self.n_clients}
        self._settings["clients"] = range(self.n_clients)
        self._pending = None
        return self

    # ------------------------------------------------------------------ what was learnt

    @property
    @serialised
    def readouts(self) -> Float64:
        """The clients' readouts of the last forecasts, shape (N, p, d), a new array."""
        return self._learnt("readouts").readouts()

    @property
    @serialised
    def mean_readout(self) -> Float64:
        """The crowd's readout, shape (p, d)."""
        return self._learnt("mean_readout").mean_readout()

    @property
    @serialised
    def consensus_weights(self) -> Float64:
        """How far each client moves to the crowd's forecast, in [0, 1], shape (N, d).

        A consensus weight l corresponds to l / (1 + l), theory (8.3).
        """
        return self._learnt("consensus_weights").consensus_weights()

    @property
    @serialised
    def base(self) -> Float64 | None:
        """The last values seen, shape (N, d), NaN for clients without one; None before any."""
        if self._engine is None:
            return None if self._seen is None else self._seen.copy()
        return self._engine.base()

    @property
    @serialised
    def client_rmse(self) -> Float64:
        """Root-mean-square error of every client over all scored steps, shape (N,)."""
        engine = self._learnt("client_rmse")
        scored = engine.scored()
        return np.sqrt(engine.costs() / np.where(scored > 0, scored, np.nan))

    @property
    @serialised
    def under_performer(self) -> tuple[int, float]:
        """The client with the largest error in units of its own increments, and that error.

        The unit is the root mean square of the client's learnt increments, which is about the error
        of repeating the last value.
        """
        engine = self._learnt("under_performer")
        unit = np.sqrt(np.mean(engine.scales() ** 2, axis=1))
        relative = np.divide(self.client_rmse, unit, out=np.full(len(unit), np.nan), where=unit > 0)
        worst, error = largest(self._settings["communicator"], relative, self.clients)
        if np.isinf(error):
            raise not_fitted("under_performer was asked for before a client was scored")
        return worst, error

    @serialised
    def gather_readouts(self) -> Float64 | None:
        """Return the `readouts` of all processes in the process of rank 0, None in the others."""
        return self._gather(self.readouts)

    @serialised
    def gather_client_rmse(self) -> Float64 | None:
        """Return the `client_rmse` of all processes in that of rank 0, None in the others."""
        return self._gather(self.client_rmse)
