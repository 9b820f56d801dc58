"""The state of a panel, used by the methods of `memoa.Panel`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa import _core
from memoa._estimator import Estimator, not_fitted
from memoa._lock import EngineLock, serialised
from memoa._parts import Part, joined, read_parts, rows_of, save_parts, waiting_rows
from memoa._saved import (
    checksum,
    naming_header,
    panel_params,
    read_note,
    require_doubles,
    write_note,
)
from memoa._shards import Reducer, agree, gather, shard, share, threads
from memoa._shards import check as check_communicator
from memoa._validate import Float64, as_choice, as_float64, as_int, as_number, require_shape
from memoa.encoder import Linear, Precomputed, RandomFeatures

Flags = NDArray[np.uint8]
# Of a memory; other fields have a row per client.
_SHARED = ("steps", "due", "mean_readout", "center", "spread", "waiting", "told")
Self = TypeVar("Self", bound="PanelState")


class PanelState(Estimator):
    """An engine that is created with the first input, and what must be known until then.

    Widths are set, and a new engine is kept, only when the core has accepted the input. So a
    refused call changes nothing.
    """

    n_clients: int
    n_features_in_: int
    n_outputs_: int  # once a value was seen
    _engine: _core.Panel | None
    _seen: Float64 | None  # the last values, until there is an engine
    # The inputs of the last forecast, while it can be learnt; None where y comes late: there the
    # core keeps them.
    _pending: NDArray[Any] | None
    _settings: dict[str, Any]  # of the engine

    def _begin(self) -> None:
        """Finish a constructor."""
        self._lock = EngineLock()
        self._engine = self._seen = self._pending = None
        self._settings = self._core_settings(1, 1)
        _core.check_panel(**_for_core(self._settings))

    @serialised
    def set_params(self: Self, **params: Any) -> Self:
        """Set constructor arguments, before the panel has seen any data.

        Bad values raise the constructor's errors, and then nothing is set.
        """
        wanted = self._with_params(params)
        changed = [name for name, value in wanted.items() if value != getattr(self, name)]
        if changed and (self._engine is not None or self._seen is not None):
            raise ValueError(
                f"{changed[0]} cannot be set after the panel has seen data; expected a new "
                "panel, such as clone() makes"
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

        As with `memoa.OnlineEnsemble.save`: a NumPy npz with a JSON header and checksums. It
        contains nothing executable, and is written completely or not at all.

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
        engine, communicator = self._learnt("save"), self._settings["communicator"]
        waiting = np.zeros(0) if self._pending is None else np.nan_to_num(self._pending, nan=0.0)
        note = write_note(self.get_params(deep=False), self._settings["seed"], None, False)

        def write(name: str) -> None:
            engine.save(name, pending=waiting.astype(np.float64).ravel(), note=note)

        if communicator is None:
            write(os.fspath(path))
        else:
            save_parts(os.fspath(path), communicator, self.clients, write)

    @classmethod
    def load(
        cls: type[Self],
        path: str | os.PathLike[str],
        *,
        n_threads: int | None = None,
        communicator: Reducer | None = None,
    ) -> Self:
        """Read what `save` wrote; the next results have the same bits, on any x86-64 machine.

        Parameters
        ----------
        path : path-like
            The file need not be trusted: everything in it is checked.
        n_threads : int, optional
            Default: as saved.
        communicator : memoa.mpi.Communicator, optional
            Communicator of the processes that will share the clients. Their number may differ from
            that of the processes that saved.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If `save` did not write it; one line that names the file.
        """
        name = os.fspath(path)
        parts = read_parts(name)
        if parts is None and communicator is None:
            engine, waiting, header = _read(name, n_threads)
            params = _params_of(cls, name, header, n_threads)
            if params["n_clients"] != engine.n_clients:
                raise ValueError(f"{name}: this is a part of what was saved; expected its manifest")
            made = cls._made(name, params)
            made._take(engine, header["settings"])
        else:
            made, waiting = cls._load_parts(name, parts, n_threads, communicator)
        if waiting.size:
            made._pending = waiting.reshape(made._n(), made.n_features_in_).astype(made._dtype())
        return made

    @classmethod
    def _made(cls: type[Self], path: str, params: dict[str, Any]) -> Self:
        with naming_header(path):
            return cls(**params)

    def _take(self, engine: _core.Panel, settings: dict[str, Any]) -> None:
        """Use an engine that was loaded."""
        given = isinstance(self._settings["encoder"], Precomputed)
        width = self._settings["encoder"].n_features if given else settings["n_inputs"]
        seen = engine.steps > 0 or engine.n_told > 0 or not np.isnan(engine.base()).all()
        self._keep(engine, width, settings["n_outputs"] if seen else None)

    @classmethod
    def _load_parts(
        cls: type[Self],
        path: str,
        parts: list[Part] | None,
        n_threads: int | None,
        communicator: Reducer | None,
    ) -> tuple[Self, Float64]:
        """Return a panel of this process's share, from all files that have some of its clients."""
        check_communicator(communicator)
        if parts is None:  # saved by one process
            parts = [Part(Path(path), 0, _read(path, n_threads)[0].n_clients)]
        total = parts[-1].first + parts[-1].size
        here = share("n_clients", total, communicator)
        found = [
            (part, *_read(str(part.path), n_threads))
            for part in parts
            if part.first < here.stop and part.first + part.size > here.start
        ]
        for part, old, _, _ in found:
            if old.n_clients != part.size:
                raise ValueError(f"{part.path}: this is not the part that {path} names")
        header = found[0][3]
        settings = header["settings"]
        params = _params_of(cls, path, header, n_threads)
        made = cls._made(path, params | {"n_clients": total, "communicator": communicator})
        axes = {name: 0 for name in found[0][1].memory() if name not in _SHARED}
        memories = [rows_of(old.memory(), axes, part, here) for part, old, _, _ in found]
        engine = _core.Panel(
            **_for_core(made._core_settings(settings["n_inputs"], settings["n_outputs"]))
        )
        engine.restore(joined(path, memories, axes))
        made._take(engine, settings)
        width = made.n_features_in_
        waiting = waiting_rows([(part, rows) for part, _, rows, _ in found], width, here)
        if waiting is None:
            return made, np.zeros(0)
        engine.predict(waiting.astype(made._dtype()))
        return made, waiting

    @serialised
    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and all that was learnt, without the lock."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("_engine", "_lock")}
        if self._engine is not None:
            memory = self._engine.memory()
            state |= {"_memory": memory, "_checksum": checksum((memory,))}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with the same bits; a forecast not yet learnt is computed again.

        Raises
        ------
        ValueError
            If `__getstate__` did not make the state.
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
        """Check that the arrays fit the settings, before anything of that size is allocated."""
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
        if settings["delay"] > 0:
            slots = settings["delay"] + 1
            expected["waiting_x"] = (n_clients, slots, p if given else width)
            expected["waiting_shown"] = (n_clients, slots, 4, d)
        for name, shape in expected.items():
            if memory[name].shape != shape:
                raise ValueError(f"{name} has shape {memory[name].shape}; expected {shape}")
        require_doubles(memory)

    # ------------------------------------------------------------------ the engine

    def _core_settings(self, n_inputs: int, n_outputs: int) -> dict[str, Any]:
        """The core's settings, checked."""
        params = self.get_params(deep=False)
        encoder, consensus, n_threads = (params[k] for k in ("encoder", "consensus", "n_threads"))
        if not isinstance(encoder, (Linear, RandomFeatures, Precomputed)):
            raise TypeError(
                f"encoder is {encoder!r}; expected Linear, RandomFeatures or Precomputed"
            )
        learned = isinstance(consensus, str)
        if learned:
            as_choice("consensus", consensus, ("learned",))
        kinds = ("trimmed", "mean", "clip")
        communicator = params["communicator"]
        check_communicator(communicator)
        n_threads = threads(n_threads, communicator)
        total = as_int("n_clients", params["n_clients"], 1)
        clients = share("n_clients", total, communicator)
        return {
            "n_clients": len(clients),
            "total": total,
            "clients": clients,
            "communicator": communicator,
            "n_inputs": n_inputs,
            "n_outputs": n_outputs,
            "encoder": encoder,
            "pooling": as_number("pooling", params["pooling"]),
            "ridge": as_number("ridge", params["ridge"]),
            "consensus": None if learned else as_number("consensus", consensus),
            "aggregate": as_choice("aggregate", params["aggregate"], kinds),
            "forgetting": as_number("forgetting", params["forgetting"]),
            "delay": as_int("delay", params["delay"], 0, below=2**31),
            "seed": as_int("random_state", params["random_state"], 0, below=2**64),
            "n_threads": 0 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31),
            "single": as_choice("dtype", params["dtype"], ("float64", "float32")) == "float32",
        }

    def _engine_for(self, n_inputs: int, n_outputs: int | None) -> _core.Panel:
        """Return the engine, or a new one; before a value was seen, the width may change.

        The caller keeps a new one when the input was accepted.
        """
        width = self._width() if n_outputs is None else n_outputs
        if self._engine is not None and width == self._settings["n_outputs"]:
            return self._engine
        settings = self._core_settings(n_inputs, width)
        apart = ("n_clients", "clients", "communicator", "n_threads")  # these may differ
        same = {name: value for name, value in settings.items() if name not in apart}
        agree(settings["communicator"], same)
        engine = _core.Panel(**_for_core(settings))
        if self._seen is not None:
            engine.observe(self._seen)
        if self._engine is not None and self._delay() > 0:  # of another width: nothing was known
            nothing = np.zeros((self._n(), self.n_features_in_), self._dtype())
            for _ in range(self._engine.n_waiting):
                engine.predict(nothing)
        return engine

    def _keep(self, engine: _core.Panel, n_inputs: int, n_outputs: int | None) -> None:
        """Keep an engine that has accepted its input; set `n_outputs` when a value was seen."""
        if n_outputs is not None:
            self.n_outputs_ = n_outputs
        if engine is not self._engine:
            self._settings = self._core_settings(n_inputs, self._width())
            self.n_features_in_ = n_inputs
            self._engine, self._seen, self._pending = engine, None, None

    def _learn(self, inputs: NDArray[Any], targets: Float64, flags: Flags | None) -> None:
        if self._delay() > 0 and self._engine is None:
            raise ValueError("no forecast waits for its y; expected predict_one with this X first")
        engine = self._engine_for(inputs.shape[-1], targets.shape[-1])
        if self._delay() > 0:
            engine.learn_late(inputs, targets, flags)
            self._keep(engine, inputs.shape[-1], targets.shape[-1])
            return
        waiting = self._pending is not None and engine is self._engine
        if not waiting or not np.array_equal(inputs, self._pending, equal_nan=True):  # type: ignore[arg-type]
            self._require_moderate(targets)  # before anything is predicted
            self._pending = None  # from now on `inputs` wait in the engine
            engine.predict(inputs)
        engine.learn(targets, flags)
        self._keep(engine, inputs.shape[-1], targets.shape[-1])
        self._pending = None

    def _learnt(self, name: str) -> _core.Panel:
        if self._engine is None:
            raise not_fitted(f"{name} was asked for before the first prediction")
        return self._engine

    # ------------------------------------------------------------------ several processes

    @property
    def clients(self) -> range:
        """Numbers of the clients of this process."""
        found: range = self._settings["clients"]
        return found

    def _gather(self, rows: Float64) -> Float64 | None:
        """Return all clients' rows in the process of rank 0, None in the others."""
        return gather(self._settings["communicator"], rows)

    # ------------------------------------------------------------------ inputs

    def _width(self) -> int:
        """Width of the values; 1 before any was seen."""
        return getattr(self, "n_outputs_", 1)

    def _delay(self) -> int:
        return int(self._settings["delay"])

    def _n(self) -> int:
        return int(self._settings["n_clients"])

    def _dtype(self) -> type[np.floating[Any]]:
        return np.float32 if self._settings["single"] else np.float64

    def _as_inputs(self, X: ArrayLike, labels: str, sizes: tuple[int, ...]) -> NDArray[Any]:
        """Return inputs in the engine's precision, converted at most once."""
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

    def _as_initial(self, initial: ArrayLike, shape: tuple[int, ...]) -> Float64:
        """Values before a run, of one step or of all that were not known yet, of clients' shape."""
        values, slots = as_float64("initial", initial), self._delay() + 1
        of_all = values.ndim == 3 or (values.shape == (slots, shape[0]) and values.shape != shape)
        if slots == 1 or not of_all:
            start = self._as_targets("initial", initial, (self._n(),))
            require_shape("initial", start, "(n_clients, n_outputs)", shape)
            return start
        start = values[..., None] if values.ndim == 2 else values
        require_shape("initial", start, "(delay + 1, n_clients, n_outputs)", (slots, *shape))
        return start

    def _require_moderate(self, values: Float64) -> None:
        """Raise ValueError if a value is too large to be learnt; NaN means no value."""
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
    """Return the core's settings; unlike those of a file, they have a shard."""
    of_python = ("clients", "communicator", "total")
    known = {name: value for name, value in settings.items() if name not in of_python}
    part = shard(settings["clients"], settings["total"], settings["communicator"])
    return known | {"encoder": settings["encoder"]._to_core(), "shard": part}


def _read(path: str, n_threads: int | None) -> tuple[_core.Panel, Float64, dict[str, Any]]:
    """Return the engine, the waiting inputs and the header of a file."""
    number = -1 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
    engine, waiting, text = _core.load_panel(path, n_threads=number)
    return engine, waiting, json.loads(text)


def _params_of(
    kind: type[PanelState], path: str, header: dict[str, Any], n_threads: int | None
) -> dict[str, Any]:
    """Return the constructor's arguments, from a header."""
    with naming_header(path):
        note = header["note"]
        params = read_note(header, kind._names())[0] if note else panel_params(header["settings"])
        if "n_clients" not in params:
            raise ValueError("the parameter n_clients is missing")
    return params if n_threads is None else params | {"n_threads": n_threads}
