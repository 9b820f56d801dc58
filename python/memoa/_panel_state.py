"""What a panel has seen: the state behind the verbs of `memoa.Panel`."""

from __future__ import annotations

import json
import os
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa import _core
from memoa._estimator import Estimator, not_fitted
from memoa._lock import EngineLock, serialised
from memoa._saved import checksum, panel_params, read_note, require_doubles, write_note
from memoa._validate import Float64, as_choice, as_float64, as_int, as_number, require_shape
from memoa.encoder import Linear, Precomputed, RandomFeatures

Flags = NDArray[np.uint8]
Self = TypeVar("Self", bound="PanelState")


class PanelState(Estimator):
    """An engine that is made when the first input comes, and what must be known until then.

    Widths become known, and a new engine is kept, only once the core has accepted what came: a
    refused call changes nothing.
    """

    n_clients: int
    n_features_in_: int
    n_outputs_: int  # once a value was seen
    _engine: _core.Panel | None
    _seen: Float64 | None  # the last values, until there is an engine to tell
    _pending: NDArray[Any] | None  # the inputs last predicted, while they can be learnt
    _settings: dict[str, Any]  # of the engine

    def _begin(self) -> None:
        """The last lines of a constructor."""
        self._lock = EngineLock()
        self._engine = self._seen = self._pending = None
        self._settings = self._core_settings(1, 1)
        _core.check_panel(**_for_core(self._settings))

    @serialised
    def set_params(self: Self, **params: Any) -> Self:
        """Set constructor arguments, as long as the panel has seen nothing.

        What the constructor refuses is refused here with the same error, and nothing is set then.
        """
        wanted = self._with_params(params)
        changed = [name for name, value in wanted.items() if value != getattr(self, name)]
        if changed and (self._engine is not None or self._seen is not None):
            raise ValueError(
                f"{changed[0]} cannot be set once the panel has seen something; expected a new "
                "panel, as clone makes it"
            )
        for name in changed:
            setattr(self, name, wanted[name])
        if changed:
            self._settings = self._core_settings(1, 1)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether something was learnt."""
        return self._engine is not None and self._engine.steps > 0

    # ------------------------------------------------------------------ saving

    @serialised
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
        note = write_note(self.get_params(deep=False), self._settings["seed"], None, False)
        engine.save(os.fspath(path), pending=waiting.astype(np.float64).ravel(), note=note)

    @classmethod
    def load(
        cls: type[Self], path: str | os.PathLike[str], *, n_threads: int | None = None
    ) -> Self:
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
            made = cls(**params | {"n_clients": engine.n_clients})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: header.json: {error}") from error
        given = isinstance(made._settings["encoder"], Precomputed)
        width = made._settings["encoder"].n_features if given else settings["n_inputs"]
        seen = engine.steps > 0 or not np.isnan(engine.base()).all()
        made._keep(engine, width, settings["n_outputs"] if seen else None)
        if waiting.size:
            made._pending = waiting.reshape(engine.n_clients, width).astype(made._dtype())
        return made

    @serialised
    def __getstate__(self) -> dict[str, Any]:
        """Parameters and all that was learnt; the lock is everybody's own."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("_engine", "_lock")}
        if self._engine is not None:
            memory = self._engine.memory()
            state |= {"_memory": memory, "_checksum": checksum((memory,))}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits; a forecast not yet learnt is predicted again.

        Raises
        ------
        ValueError
            Where the state is not one that `__getstate__` made.
        """
        self.__dict__.update((k, v) for k, v in state.items() if k not in ("_memory", "_checksum"))
        self._lock, self._engine = EngineLock(), None
        if "_memory" not in state:
            return
        memory = state["_memory"]
        try:
            if state["_checksum"] != checksum((memory,)):
                raise ValueError("the checksum of what was learnt is wrong")
            self._require_sizes(memory)
            self._engine = _core.Panel(**_for_core(self._settings))
            self._engine.restore(memory)
            if self._pending is not None:
                self._engine.predict(self._pending)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ValueError(f"this is not the state of a panel: {error}") from error

    def _require_sizes(self, memory: dict[str, Any]) -> None:
        """The arrays are those of the settings, before anything of that size is made."""
        settings = self._settings
        n_clients, d = settings["n_clients"], settings["n_outputs"]
        encoder, width = settings["encoder"], settings["n_inputs"]
        p = width + 1 if isinstance(encoder, Linear) else encoder.n_features
        given = isinstance(encoder, Precomputed)
        expected = {
            "base": (n_clients, d),
            "readouts": (n_clients, d, p),
            "inputs": (n_clients, 0 if given else width),
        }
        for name, shape in expected.items():
            if memory[name].shape != shape:
                raise ValueError(f"{name} has shape {memory[name].shape}; expected {shape}")
        require_doubles(memory)

    # ------------------------------------------------------------------ the engine

    def _core_settings(self, n_inputs: int, n_outputs: int) -> dict[str, Any]:
        """The core's settings, checked."""
        params = self.get_params(deep=False)
        encoder, consensus, threads = (params[k] for k in ("encoder", "consensus", "n_threads"))
        if not isinstance(encoder, (Linear, RandomFeatures, Precomputed)):
            raise TypeError(
                f"encoder is {encoder!r}; expected Linear, RandomFeatures or Precomputed"
            )
        learned = isinstance(consensus, str)
        if learned:
            as_choice("consensus", consensus, ("learned",))
        kinds = ("trimmed", "mean", "clip")
        return {
            "n_clients": as_int("n_clients", params["n_clients"], 1),
            "n_inputs": n_inputs,
            "n_outputs": n_outputs,
            "encoder": encoder,
            "pooling": as_number("pooling", params["pooling"]),
            "ridge": as_number("ridge", params["ridge"]),
            "consensus": None if learned else as_number("consensus", consensus),
            "aggregate": as_choice("aggregate", params["aggregate"], kinds),
            "forgetting": as_number("forgetting", params["forgetting"]),
            "seed": as_int("random_state", params["random_state"], 0, below=2**64),
            "n_threads": 0 if threads is None else as_int("n_threads", threads, 1, below=2**31),
            "single": as_choice("dtype", params["dtype"], ("float64", "float32")) == "float32",
        }

    def _engine_for(self, n_inputs: int, n_outputs: int | None) -> _core.Panel:
        """The engine, made now if it is not; before a value was seen, their width may change.

        A new one is kept by the caller, once it has accepted its input.
        """
        width = self._width() if n_outputs is None else n_outputs
        if self._engine is not None and width == self._settings["n_outputs"]:
            return self._engine
        engine = _core.Panel(**_for_core(self._core_settings(n_inputs, width)))
        if self._seen is not None:
            engine.observe(self._seen)
        return engine

    def _keep(self, engine: _core.Panel, n_inputs: int, n_outputs: int | None) -> None:
        """Keep an engine that has accepted its input; `n_outputs` once a value was seen."""
        if n_outputs is not None:
            self.n_outputs_ = n_outputs
        if engine is not self._engine:
            self._settings = self._core_settings(n_inputs, self._width())
            self.n_features_in_ = n_inputs
            self._engine, self._seen, self._pending = engine, None, None

    def _learn(self, inputs: NDArray[Any], targets: Float64, flags: Flags | None) -> None:
        engine = self._engine_for(inputs.shape[-1], targets.shape[-1])
        waiting = self._pending is not None and engine is self._engine
        if not waiting or not np.array_equal(inputs, self._pending, equal_nan=True):  # type: ignore[arg-type]
            self._require_moderate(targets)  # before anything is predicted
            self._pending = None  # what waits in the engine from now on is `inputs`
            engine.predict(inputs)
        engine.learn(targets, flags)
        self._keep(engine, inputs.shape[-1], targets.shape[-1])
        self._pending = None

    def _learnt(self, name: str) -> _core.Panel:
        if self._engine is None:
            raise not_fitted(f"{name} was asked for before the first prediction")
        return self._engine

    # ------------------------------------------------------------------ what comes in

    def _width(self) -> int:
        """Width of the values; 1 as long as none was seen."""
        return getattr(self, "n_outputs_", 1)

    def _n(self) -> int:
        return int(self._settings["n_clients"])

    def _dtype(self) -> type[np.floating[Any]]:
        return np.float32 if self._settings["single"] else np.float64

    def _as_inputs(self, X: ArrayLike, labels: str, sizes: tuple[int, ...]) -> NDArray[Any]:
        """Inputs of the engine's precision, converted at most once."""
        single, encoder = self._settings["single"], self._settings["encoder"]
        whole = isinstance(X, np.ndarray) and X.dtype == np.float32 and X.flags.c_contiguous
        inputs: NDArray[Any] = X if single and whole else as_float64("X", X)  # type: ignore[assignment]
        width = getattr(self, "n_features_in_", None)
        if isinstance(encoder, Precomputed):
            width = encoder.n_features
        require_shape("X", inputs, labels, (*sizes, width))
        with np.errstate(over="ignore"):  # the core refuses what overflows
            return inputs.astype(self._dtype(), copy=False)

    def _as_targets(self, name: str, Y: ArrayLike, sizes: tuple[int | None, ...]) -> Float64:
        """Values (..., n_clients, n_outputs)."""
        targets = as_float64(name, Y)
        targets = targets[..., None] if targets.ndim == len(sizes) else targets
        steps = "n_steps, " if len(sizes) == 2 else ""
        width = getattr(self, "n_outputs_", None)
        require_shape(name, targets, f"({steps}n_clients, n_outputs)", (*sizes, width))
        return targets

    def _require_moderate(self, values: Float64) -> None:
        """Raise ValueError where a value is too large to be learnt; NaN is none."""
        numbers = np.where(np.isnan(values), 0.0, values)
        _core.require_moderate("Y", numbers, self._settings["single"])

    def _as_flags(self, awake: ArrayLike | None, shape: tuple[int, ...]) -> Flags | None:
        if awake is None:
            return None
        flags = np.asarray(awake)
        if flags.dtype != np.bool_:
            raise TypeError(f"awake has dtype {flags.dtype}; expected bool")
        steps = "n_steps, " if len(shape) == 2 else ""
        require_shape("awake", flags, f"({steps}n_clients)", shape)
        return np.ascontiguousarray(flags).view(np.uint8)


def _for_core(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"encoder": settings["encoder"]._to_core()}
