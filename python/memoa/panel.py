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
from memoa._validate import Float64, as_int, require_shape
from memoa.encoder import Linear, Precomputed, RandomFeatures
from memoa.panel_run import PanelRun

Progress = Callable[[int, int], object]


class Panel(PanelState):
    """Forecasts N clients, each with its own series, whose models are pulled towards each other.

    At every step each client receives inputs of its own and forecasts its own next value, which
    is then revealed to it alone. It keeps an exponentially weighted ridge regression of
    ``y - base`` on its features, where the base is the last value seen. It shares the regression's
    coefficients, its readout, and receives the crowd's. The panel is an engine: it holds what was
    learnt and changes with every step.

    Parameters
    ----------
    n_clients : int
        Number N of clients. `add_clients` adds more.
    encoder : Linear, RandomFeatures or Precomputed
        How inputs become features; one encoder for all clients, so that their readouts are
        comparable.
    pooling : float
        Price >= 0 of a readout's distance from the crowd's; with 0 each client has a ridge
        regression of its own.
    ridge : float
        Penalty > 0 on the squared size of a readout.
    consensus : "learned" or float
        Weight >= 0 of staying near the crowd's forecast, relative to the client's own. "learned":
        each client learns its own weight.
    aggregate : {"trimmed", "mean", "clip"}
        How the clients' readouts are averaged. "trimmed": without the lowest and the highest fifth,
        so that a tenth of liars does not move it. "mean": all of them. "clip": values far from the
        last result are brought nearer first.
    forgetting : float
        Weight of a step relative to the next later one, in (0, 1].
    dtype : {"float64", "float32"}
        Type of the clients' state and of their inputs. "float32" takes half the memory and its
        traffic; targets and forecasts are float64 all the same.
    n_threads : int, optional
        Default: all that the process may use. The results are the same bits for any number.
    random_state : int
        Seed of the random features.
    communicator : memoa.mpi.Communicator, optional
        Of the processes that hold the clients; `n_clients` is their number in all of them, and each
        process makes the same calls with the rows of its own clients, `clients`, in place of N.
        The crowd's readout and the under-performer are known to all, with the bits of one process;
        the methods ``gather_...`` bring the rows of all clients to the process of rank 0. Shares
        are whole groups of 512 clients. The trimmed mean needs all readouts in one process: choose
        "clip" or "mean".

    Notes
    -----
    Theory section 8, docs/theory.md. Scale and shift of each client's values are free, and an
    increasing affine change of an input coordinate changes nothing. A NaN in Y is not learnt and
    not scored, and nothing is forgotten for it. With several outputs a client learns a step of
    which it has seen all. Numbers beyond 1e150 (1e15 in float32) are refused, and features beyond
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
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.communicator = communicator
        self._begin()

    # ------------------------------------------------------------------ one step at a time

    @serialised
    def predict_one(self, X: ArrayLike) -> Float64:
        """Forecast every client's next value; leaves no trace until `learn_one`.

        Parameters
        ----------
        X : array_like, shape (N, dx), or (N, p) features with Precomputed
            Inputs of every client. Those of a client without a value yet may be NaN.

        Returns
        -------
        ndarray, shape (N, d)
            NaN for a client without a value yet.
        """
        inputs = self._as_inputs(X, "(n_clients, n_inputs)", (self._n(),))
        engine = self._engine_for(inputs.shape[-1], None)
        inputs = inputs.copy()  # the caller may change it at any time
        forecasts = engine.predict(inputs)
        self._keep(engine, inputs.shape[-1], None)
        self._pending = inputs
        return forecasts

    @serialised
    def learn_one(self, X: ArrayLike, Y: ArrayLike, awake: ArrayLike | None = None) -> Panel:
        """Learn the values `Y` that belong to `X`; predicts first where `X` was not predicted.

        Parameters
        ----------
        X : array_like, shape (N, dx), or (N, p) features with Precomputed
            Inputs of every client that belong to these values.
        Y : array_like, shape (N, d), or (N,) where d = 1, float64
            The clients' values; NaN where a client has none.
        awake : array_like of bool, shape (N,), optional
            Who takes part in the exchange that follows. Others keep the crowd's readout that they
            were last sent and count in no average.
        """
        inputs = self._as_inputs(X, "(n_clients, n_inputs)", (self._n(),))
        targets = self._as_targets("Y", Y, (self._n(),))
        self._learn(inputs, targets, self._as_flags(awake, (self._n(),)))
        return self

    @serialised
    def observe(self, Y: ArrayLike) -> Panel:
        """Take `Y` (N, d) as the last values seen, without learning; NaN where there is none."""
        values = self._as_targets("Y", Y, (self._n(),))
        if self._engine is not None and values.shape[-1] == self._settings["n_outputs"]:
            self._engine.observe(values)
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
            ``X[t, i]`` is all that client i knows when ``Y[t, i]`` is to be predicted.
        Y : array_like, shape (T, N, d), or (T, N) where d = 1, float64
            The clients' values; NaN where a client has none.
        initial : array_like, shape (N, d), optional
            Observed first: the values just before ``Y[0]``, NaN where there are none.
        awake : array_like of bool, shape (T, N), optional
            Who takes part in the exchange after each step.
        progress : callable(done, total), optional
            Called some ten times a second. Ctrl-C is heard as often and leaves a usable panel that
            has learnt the steps done.

        Returns
        -------
        PanelRun

        Raises
        ------
        ValueError
            If a shape does not fit, or a number is infinite or too large. Nothing is learnt then.
        """
        if progress is not None and not callable(progress):
            raise TypeError(f"progress is {progress!r}; expected a function of (done, total)")
        targets = self._as_targets("Y", Y, (None, self._n()))
        inputs = self._as_inputs(X, "(n_steps, n_clients, n_inputs)", (len(targets), self._n()))
        flags = self._as_flags(awake, targets.shape[:2])
        start = None
        if initial is not None:
            start = self._as_targets("initial", initial, (self._n(),))
            require_shape("initial", start, "(n_clients, n_outputs)", targets.shape[1:])
        engine = self._engine_for(inputs.shape[-1], targets.shape[-1])
        steps, before, kept = engine.steps, engine.base(), targets.copy()
        if start is not None:
            before = np.where(np.isnan(start), before, start)
        try:
            predictions = engine.run(inputs, targets, flags, start, progress)
        finally:
            if engine.steps > steps:  # also where Ctrl-C ended it
                self._keep(engine, inputs.shape[-1], targets.shape[-1])
                self._pending = None
        return PanelRun(predictions, kept, before)

    @serialised
    def add_clients(self, count: int) -> Panel:
        """Add `count` clients without history, after those that are there.

        They are served by the crowd's readout from their second increment on. A forecast not yet
        learnt is dropped.
        """
        count = as_int("count", count, 1)
        if self.communicator is not None:
            raise ValueError(
                "clients cannot be added where several processes hold them; expected all clients "
                "from the start, those to come without values"
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
        """How far each client goes to the crowd's forecast, in [0, 1], shape (N, d).

        A consensus weight l stands for the share l / (1 + l), theory (8.3).
        """
        return self._learnt("consensus_weights").consensus_weights()

    @property
    @serialised
    def base(self) -> Float64 | None:
        """The last values seen, shape (N, d), NaN where none was; None before any."""
        if self._engine is None:
            return None if self._seen is None else self._seen.copy()
        return self._engine.base()

    @property
    @serialised
    def client_rmse(self) -> Float64:
        """Root-mean-square error of every client over all that was scored, shape (N,)."""
        engine = self._learnt("client_rmse")
        scored = engine.scored()
        return np.sqrt(engine.costs() / np.where(scored > 0, scored, np.nan))

    @property
    @serialised
    def under_performer(self) -> tuple[int, float]:
        """The client with the largest error in units of its own increments, and that error.

        The unit is the root mean square of the increments that it learnt: about the error of
        repeating the last value.
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
        """`readouts` of all processes in that of rank 0, None in the others."""
        return self._gather(self.readouts)

    @serialised
    def gather_client_rmse(self) -> Float64 | None:
        """`client_rmse` of all processes in that of rank 0, None in the others."""
        return self._gather(self.client_rmse)
