"""The panel: every client has its own series, and they learn from each other by one small sum."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa import _core
from memoa._estimator import Estimator, not_fitted
from memoa._saved import panel_params, read_note, write_note
from memoa._validate import (
    Float64,
    as_choice,
    as_float64,
    as_int,
    as_number,
    require_shape,
    with_shape,
)
from memoa.encoder import Linear, Precomputed, RandomFeatures
from memoa.panel_run import PanelRun

Progress = Callable[[int, int], object]
Flags = NDArray[np.uint8]


class Panel(Estimator):
    """N clients, each with its own series, that shrink their readouts to the crowd's.

    Time: each client receives inputs of its own, forecasts its own next value, which is then
    revealed to it alone. It keeps an exponentially weighted ridge regression of ``y - base`` on its
    features, where the base is the last value seen; what it shares is its readout, and what it is
    sent is the crowd's. An engine: it owns what was learnt.

    Parameters
    ----------
    n_clients : int
        N. `add_clients` adds more.
    encoder : Linear, RandomFeatures or Precomputed
        One for all clients, so that their readouts mean the same.
    pooling : float
        Price >= 0 of a readout's distance from the crowd's; 0 is a private ridge for each.
    ridge : float
        Penalty > 0 of a readout.
    consensus : "learned" or float
        Weight >= 0 of staying near the crowd's forecast, relative to the client's own; learned by
        each client where it says so.
    aggregate : {"trimmed", "mean", "clip"}
        How the crowd's readouts become one: the mean without the lowest and the highest fifth,
        which no tenth of liars moves; the mean; or the mean of what lies near the last result.
    forgetting : float
        In (0, 1]: weight of a step relative to the next later one.
    dtype : {"float64", "float32"}
        Type of the clients' state and of their inputs. "float32" takes half the memory and its
        traffic; targets and forecasts are float64 all the same.
    n_threads : int, optional
        Default: all that the process may use. The results are the same bits for any number.
    random_state : int
        Seed of random features.

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

    n_features_in_: int
    n_outputs_: int
    _engine: _core.Panel | None

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
        self._engine = None
        self._seen: Float64 | None = None  # before the engine, whose inputs' width is not known
        self._pending: NDArray[Any] | None = None
        self._settings = self._core_settings(1, 1)
        _core.check_panel(**_for_core(self._settings))

    # ------------------------------------------------------------------ one step at a time

    def predict_one(self, X: ArrayLike) -> Float64:
        """Forecast every client's next value; leaves no trace until `learn_one`.

        Parameters
        ----------
        X : array_like, shape (N, dx), or (N, p) features with Precomputed
            What is not looked at, since its client has no value yet, may be NaN.

        Returns
        -------
        ndarray, shape (N, d)
            NaN for a client without a value yet.
        """
        inputs = self._as_inputs(X, "(n_clients, n_inputs)", (self._n(),))
        engine = self._engine_for(inputs.shape[-1], None)
        forecasts = engine.predict(inputs)
        self._pending = inputs.copy()
        return forecasts

    def learn_one(self, X: ArrayLike, Y: ArrayLike, awake: ArrayLike | None = None) -> Panel:
        """Learn the values `Y` that belong to `X`; predicts first where `X` was not predicted.

        Parameters
        ----------
        X : array_like, shape (N, dx), or (N, p) features with Precomputed
        Y : array_like, shape (N, d), or (N,) where d = 1, float64
            NaN where a client has no value.
        awake : array_like of bool, shape (N,), optional
            Who takes part in the exchange that follows. Others keep the crowd's readout that they
            were last sent and count in no average.
        """
        inputs = self._as_inputs(X, "(n_clients, n_inputs)", (self._n(),))
        targets = self._as_targets("Y", Y, (self._n(),))
        flags = self._as_flags(awake, (self._n(),))
        again = self._pending is None or not np.array_equal(inputs, self._pending, equal_nan=True)
        engine = self._engine_for(inputs.shape[-1], targets.shape[-1])
        if again or self._pending is None:
            engine.predict(inputs)
        engine.learn(targets, flags)
        self._pending = None
        return self

    def observe(self, Y: ArrayLike) -> Panel:
        """Take `Y` (N, d) as the last values seen, without learning; NaN where there is none."""
        values = self._as_targets("initial", Y, (self._n(),))
        if self._engine is not None and values.shape[-1] == self.n_outputs_:
            self._engine.observe(values)
        elif self._engine is not None and self._engine.steps > 0:
            raise ValueError(
                f"initial has {values.shape[-1]} outputs; expected n_outputs = {self.n_outputs_}"
            )
        else:
            if np.isinf(values).any():
                raise ValueError("initial holds infinite values; expected numbers or NaN")
            self._engine, self._seen = None, values.copy()
        self._pending = None
        return self

    # ------------------------------------------------------------------ many steps

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
            NaN where a client has no value.
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
        targets = self._as_targets("Y", Y, (None, self._n()))
        inputs = self._as_inputs(X, "(n_steps, n_clients, n_inputs)", (len(targets), self._n()))
        flags = self._as_flags(awake, targets.shape[:2])
        if initial is not None:
            start = self._as_targets("initial", initial, (self._n(),))
            require_shape("initial", start, "(n_clients, n_outputs)", targets.shape[1:])
            self.observe(start)
        before = self.base
        engine = self._engine_for(inputs.shape[-1], targets.shape[-1])
        self._pending = None
        predictions = engine.run(inputs, targets, flags, progress)
        if before is None:
            before = np.full(targets.shape[1:], np.nan)
        return PanelRun(predictions, targets.copy(), before)

    def add_clients(self, count: int) -> Panel:
        """Add `count` clients without history, after those that are there.

        They are served by the crowd's readout from their second increment on. A forecast not yet
        learnt is dropped.
        """
        count = as_int("count", count, 1)
        if self._seen is not None:
            more = np.full((count, self._seen.shape[1]), np.nan)
            self._seen = np.concatenate([self._seen, more])
        if self._engine is not None:
            self._engine.add_clients(count)
        self.n_clients = self._n() + count
        self._settings["n_clients"] = self.n_clients
        self._pending = None
        return self

    # ------------------------------------------------------------------ what was learnt

    @property
    def readouts(self) -> Float64:
        """The clients' readouts of the last forecasts, shape (N, p, d), a new array."""
        return self._learnt("readouts").readouts()

    @property
    def mean_readout(self) -> Float64:
        """The crowd's readout, shape (p, d)."""
        return self._learnt("mean_readout").mean_readout()

    @property
    def consensus_weights(self) -> Float64:
        """How far each client goes to the crowd's forecast, in [0, 1], shape (N, d).

        A consensus weight l stands for the share l / (1 + l), theory (8.3).
        """
        return self._learnt("consensus_weights").consensus_weights()

    @property
    def base(self) -> Float64 | None:
        """The last values seen, shape (N, d), NaN where none was; None before any."""
        if self._engine is None:
            return None if self._seen is None else self._seen.copy()
        return self._engine.base()

    @property
    def client_rmse(self) -> Float64:
        """Root-mean-square error of every client over all that was scored, shape (N,)."""
        engine = self._learnt("client_rmse")
        scored = engine.scored()
        return np.sqrt(engine.costs() / np.where(scored > 0, scored, np.nan))

    @property
    def under_performer(self) -> tuple[int, float]:
        """The client with the largest error in units of its own increments, and that error.

        The unit is the root mean square of the increments that it learnt: about the error of
        repeating the last value.
        """
        engine = self._learnt("under_performer")
        unit = np.sqrt(np.mean(engine.scales() ** 2, axis=1))
        relative = np.divide(self.client_rmse, unit, out=np.full(len(unit), np.nan), where=unit > 0)
        if np.isnan(relative).all():
            raise not_fitted("under_performer was asked for before a client was scored")
        worst = int(np.nanargmax(relative))
        return worst, float(relative[worst])

    def __sklearn_is_fitted__(self) -> bool:
        """Whether something was learnt."""
        return self._engine is not None and self._engine.steps > 0

    # ------------------------------------------------------------------ saving

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that was learnt to one file that `load` reads.

        As `memoa.OnlineEnsemble.save`: a NumPy npz with a JSON header and checksums, nothing
        executable in it, written whole or not at all.

        Parameters
        ----------
        path : path-like
            Overwritten if it exists.

        Raises
        ------
        OSError
            If it cannot be written.
        ValueError
            Before the first forecast, when there is nothing to save.
        """
        engine = self._learnt("save")
        waiting = np.zeros(0) if self._pending is None else np.nan_to_num(self._pending, nan=0.0)
        params = self.get_params() | {"n_clients": self._n()}
        note = write_note(params, self._settings["seed"], None, False)
        engine.save(os.fspath(path), pending=waiting.astype(np.float64).ravel(), note=note)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, n_threads: int | None = None) -> Panel:
        """Read what `save` wrote; it goes on with the same bits, on any machine.

        Parameters
        ----------
        path : path-like
            The file may come from anybody: everything in it is checked.
        n_threads : int, optional
            Default: as saved.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If it is not what `save` wrote, in one line that names the file.
        """
        name = os.fspath(path)
        threads = -1 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
        engine, waiting, text = _core.load_panel(name, n_threads=threads)
        header = json.loads(text)
        settings = header["settings"]
        try:
            note = header["note"]
            params = read_note(header, cls._names())[0] if note else panel_params(settings)
            if n_threads is not None:
                params["n_threads"] = n_threads
            made = cls(**params)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: header.json: {error}") from error
        made.n_clients = engine.n_clients
        made._engine = engine
        made._settings = made._core_settings(settings["n_inputs"], settings["n_outputs"])
        given = isinstance(made.encoder, Precomputed)
        width = made.encoder.n_features if given else settings["n_inputs"]  # type: ignore[union-attr]
        made.n_features_in_, made.n_outputs_ = width, settings["n_outputs"]
        if waiting.size:
            made._pending = waiting.reshape(engine.n_clients, width).astype(made.dtype)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and all that was learnt; a forecast not yet learnt is predicted again."""
        state = {k: v for k, v in self.__dict__.items() if k != "_engine"}
        if self._engine is not None:
            state["_memory"] = self._engine.memory()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits."""
        memory = state.pop("_memory", None)
        self.__dict__.update(state)
        self._engine = None
        if memory is None:
            return
        self._engine = _core.Panel(**_for_core(self._settings))
        self._engine.restore(memory)
        if self._pending is not None:
            self._engine.predict(self._pending)

    # ------------------------------------------------------------------ inside

    def _n(self) -> int:
        return int(self._settings["n_clients"])

    def _core_settings(self, n_inputs: int, n_outputs: int) -> dict[str, Any]:
        """The core's settings, checked."""
        encoder = self.encoder
        if not isinstance(encoder, (Linear, RandomFeatures, Precomputed)):
            raise TypeError(
                f"encoder is {encoder!r}; expected Linear, RandomFeatures or Precomputed"
            )
        learned = isinstance(self.consensus, str)
        if learned:
            as_choice("consensus", self.consensus, ("learned",))
        return {
            "n_clients": as_int("n_clients", self.n_clients, 1),
            "n_inputs": n_inputs,
            "n_outputs": n_outputs,
            "encoder": encoder,
            "pooling": as_number("pooling", self.pooling),
            "ridge": as_number("ridge", self.ridge),
            "consensus": None if learned else as_number("consensus", self.consensus),
            "aggregate": as_choice("aggregate", self.aggregate, ("trimmed", "mean", "clip")),
            "forgetting": as_number("forgetting", self.forgetting),
            "seed": as_int("random_state", self.random_state, 0, below=2**64),
            "n_threads": 0 if self.n_threads is None else as_int("n_threads", self.n_threads, 1),
            "single": as_choice("dtype", self.dtype, ("float64", "float32")) == "float32",
        }

    def _engine_for(self, n_inputs: int, n_outputs: int | None) -> _core.Panel:
        """The engine, built once the widths of the inputs and of the values are known."""
        engine, seen = self._engine, self._seen
        if n_outputs is None:
            n_outputs = getattr(self, "n_outputs_", 1 if seen is None else seen.shape[1])
        if engine is not None and n_outputs == self.n_outputs_:
            return engine
        settings = self._core_settings(n_inputs, n_outputs) | {"n_clients": self._n()}
        self._engine = _core.Panel(**_for_core(settings))
        self._settings = settings
        self.n_features_in_, self.n_outputs_ = n_inputs, n_outputs
        self._pending = None
        if seen is not None:
            self._engine.observe(seen)
            self._seen = None
        return self._engine

    def _as_inputs(self, X: ArrayLike, labels: str, sizes: tuple[int, ...]) -> NDArray[Any]:
        """Inputs of the engine's precision, converted at most once."""
        single = self._settings["single"]
        whole = isinstance(X, np.ndarray) and X.dtype == np.float32 and X.flags.c_contiguous
        inputs: NDArray[Any] = X if single and whole else as_float64("X", X)  # type: ignore[assignment]
        width = getattr(self, "n_features_in_", None)
        if isinstance(self.encoder, Precomputed):
            width = self.encoder.n_features
        require_shape("X", inputs, labels, (*sizes, width))
        if not single or inputs.dtype == np.float32:
            return inputs
        with np.errstate(over="ignore"):  # the core refuses what overflows
            return inputs.astype(np.float32)

    def _as_targets(self, name: str, Y: ArrayLike, sizes: tuple[int | None, ...]) -> Float64:
        """Values (..., n_clients, n_outputs)."""
        targets = as_float64(name, Y)
        targets = targets[..., None] if targets.ndim == len(sizes) else targets
        steps = "n_steps, " if len(sizes) == 2 else ""
        learnt = self._engine is not None and self._engine.steps > 0
        width = self.n_outputs_ if learnt else None
        require_shape(name, targets, f"({steps}n_clients, n_outputs)", (*sizes, width))
        return targets

    def _as_flags(self, awake: ArrayLike | None, shape: tuple[int, ...]) -> Flags | None:
        if awake is None:
            return None
        flags = np.asarray(awake)
        if flags.dtype != np.bool_:
            raise TypeError(f"awake has dtype {flags.dtype}; expected bool")
        steps = "n_steps, " if len(shape) == 2 else ""
        require_shape("awake", flags, f"({steps}n_clients)", shape)
        return np.ascontiguousarray(flags).view(np.uint8)

    def _learnt(self, name: str) -> _core.Panel:
        if self._engine is None:
            raise not_fitted(f"{name} was asked for before the first prediction")
        return self._engine


def _for_core(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"encoder": settings["encoder"]._to_core()}


def solve_panel_equilibrium(
    gram: ArrayLike, cross: ArrayLike, *, ridge: float, pooling: float
) -> tuple[Float64, Float64]:
    """Solve the game of clients with given data; theory (8.2).

    Client i wants ``|theta - that_i|^2`` in the metric of its gram, plus ``ridge |theta|^2``, plus
    ``pooling |theta - Theta|^2`` to be small, where ``that_i`` solves ``gram_i that_i = cross_i``
    and Theta is the mean of the readouts.

    Parameters
    ----------
    gram : array_like, shape (N, p, p), float64
        Symmetric and without a negative eigenvalue: sums of z z'.
    cross : array_like, shape (N, p, d) or (N, p), float64
        Sums of z y', each client in its own units.
    ridge, pooling : float
        At least 0. A ridge of 0 needs data that determine the mean readout.

    Returns
    -------
    mean_readout : ndarray, shape (p, d) or (p,)
    readouts : ndarray, shape (N, p, d) or (N, p)

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or a number is not finite or out of range.
    memoa.NumericalError
        If the data leave the mean readout undetermined.

    Examples
    --------
    >>> import numpy as np, memoa
    >>> gram = np.ones((2, 1, 1))
    >>> memoa.solve_panel_equilibrium(gram, [[1.0], [3.0]], ridge=0.0, pooling=1.0)
    (array([2.]), array([[1.5],
           [2.5]]))
    """
    data = as_float64("cross", cross)
    flat = data.ndim == 2
    data = with_shape(
        "cross",
        data[..., None] if flat else data,
        "(n_clients, n_features, n_outputs)",
        (None, None, None),
    )
    n_clients, p, _ = data.shape
    matrices = with_shape("gram", gram, "(n_clients, n_features, n_features)", (n_clients, p, p))
    mean_readout, readouts = _core.solve_panel_equilibrium(
        matrices,
        np.ascontiguousarray(data),
        ridge=as_number("ridge", ridge),
        pooling=as_number("pooling", pooling),
    )
    return (mean_readout[:, 0], readouts[:, :, 0]) if flat else (mean_readout, readouts)
