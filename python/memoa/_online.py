"""What an online forecaster has seen and drawn: the state behind the verbs of an ensemble."""

from __future__ import annotations

import os
import warnings
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memoa import _core
from memoa._engines import Engines, Frozen, Progress, check, draw_seed, thaw
from memoa._estimator import Regressor, join_river, not_fitted
from memoa._frames import Names, with_column
from memoa._inputs import Inputs
from memoa._lock import EngineLock, serialised
from memoa._saved import naming_header, read_note, write_note
from memoa._shards import Reducer, from_first, gather, share
from memoa._validate import Flags, Float64
from memoa.encoder import Encoders
from memoa.run import Run

Self = TypeVar("Self", bound="Online")


class Online(Regressor):
    """Engines that are drawn when the first input comes, and what must be known until then.

    Sizes and names become known, and new engines are kept, only once the core has accepted what
    came: a refused or failed call changes nothing.
    """

    encoder: Encoders
    n_agents: int
    communicator: Reducer | None
    delay: int
    dtype: str
    random_state: Any
    n_features_in_: int
    n_outputs_: int
    feature_names_in_: Names
    _engines: Engines | None
    _base: Float64 | None  # the last y seen, until there are engines
    _seed: int | None

    def _begin(self) -> None:
        """Finish a constructor."""
        check(self.get_params(deep=False))
        join_river(type(self))
        self._lock = EngineLock()
        self._forget()

    # ------------------------------------------------------------------ saving

    @serialised
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that was learnt to one file that `load` reads.

        If several processes share the agents, each writes its own file beside `path`, with a name
        that begins like it, and `path` lists them.

        The file is a NumPy npz with a JSON header and checksums, and contains nothing executable.
        It is written beside `path` and renamed when it is complete and on the disk. So `path` is
        always the old file or the new one.

        Parameters
        ----------
        path : path-like
            Overwritten if it exists.

        Raises
        ------
        OSError
            If it cannot be written.
        ValueError
            Before the first forecast, when there is nothing to save; or if `path` cannot name a
            regular file.
        """
        engines = self._learnt("save")
        names = getattr(self, "feature_names_in_", None)
        params = {**self.get_params(deep=False), "intervals": engines.levels}
        engines.save(os.fspath(path), write_note(params, engines.seed, names, self._flat))

    @classmethod
    def load(
        cls: type[Self],
        path: str | os.PathLike[str],
        *,
        n_threads: int | None = None,
        communicator: Reducer | None = None,
    ) -> Self:
        """Read what `save` wrote; the next results have the same bits, on any x86-64 machine.

        A `random_state` that was not a number has become the seed that it drew.

        Parameters
        ----------
        path : path-like
            The file need not be trusted: everything in it is checked.
        n_threads : int, optional
            Default: as saved.
        communicator : memoa.mpi.Communicator, optional
            Communicator of the processes that will share the agents; all of them call this. Their
            number may differ from that of the processes that saved.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If `save` did not write it; one line that names the file.
        """
        name = os.fspath(path)
        engines, header = Engines.load(name, n_threads, communicator)
        with naming_header(name):
            params, names, flat = read_note(header, cls._names())
            if n_threads is not None:
                params["n_threads"] = n_threads
            if communicator is not None:
                params["communicator"] = communicator
            made = cls(**params)
        made._seed, made._flat = engines.seed, flat
        made._keep(engines, None if names is None else np.array(names, dtype=object))
        if engines.core.has_seen:
            made.n_outputs_ = engines.n_outputs
        return made

    @serialised
    def __getstate__(self) -> dict[str, Any]:
        """Return all but the lock; the state belongs to one step."""
        state = {name: value for name, value in self.__dict__.items() if name != "_lock"}
        if self._engines is not None:
            state["_engines"] = Frozen(self._engines.__getstate__())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with the same bits; a forecast not yet learnt is computed again."""
        self.__dict__.update(state)
        self._lock = EngineLock()
        join_river(type(self))
        if isinstance(self._engines, Frozen):  # from copy.copy, which calls no constructor
            self._engines = thaw(self._engines.state)

    # ------------------------------------------------------------------ several processes

    @property
    def agents(self) -> range:
        """Numbers of the agents of this process."""
        if self._engines is not None:
            return self._engines.agents
        return share("n_agents", self.n_agents, self.communicator)

    def _gather(self, rows: Float64) -> Float64 | None:
        """Return all agents' rows in the process of rank 0, None in the others."""
        engines = self._engines
        return gather(None if engines is None else engines.communicator, rows)

    # ------------------------------------------------------------------ what is known

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether any y was seen."""
        return self._engines is not None and self._engines.core.has_seen

    @property
    def _raw_memory_usage(self) -> int:
        """Bytes of the state, under river's name."""
        return 0 if self._engines is None else self._engines.bytes

    def _forget(self) -> None:
        self._engines = self._base = None
        self._seed = None
        self._flat = False
        for name in ("n_outputs_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _inputs(self) -> Inputs:
        """Return the checks of inputs, given what was seen."""
        drawn = self._engines or self
        return Inputs(
            type(self).__name__,
            drawn.encoder,
            len(self.agents),
            getattr(self, "n_features_in_", None),
            getattr(self, "feature_names_in_", None),
        )

    def _width(self) -> int | None:
        """Width of y, once one was seen."""
        return getattr(self, "n_outputs_", None)

    def _is_single(self) -> bool:
        return str((self._engines or self).dtype) == "float32"

    def _engines_for(self, input_shape: tuple[int, ...], n_outputs: int | None) -> Engines:
        """Return the engines, drawn now if needed; before any y was seen, its width may change.

        The caller keeps new ones when their input was accepted.
        """
        if self._engines is not None:
            same = n_outputs in (None, self._engines.n_outputs)
            return self._engines if same else self._engines.with_outputs(n_outputs or 1)
        if self._seed is None:
            self._seed = from_first(self.communicator, draw_seed(self.random_state))
        width = 1 if self._base is None else self._base.size
        params = self.get_params(deep=False)
        return Engines(params, input_shape, n_outputs or width, self._seed)

    def _keep(self, engines: Engines, names: Names | None) -> None:
        if not hasattr(self, "n_features_in_"):
            self.n_features_in_ = int(engines.input_shape[-1])
            if names is not None:
                self.feature_names_in_ = names
        self._engines = engines

    def _predict(
        self,
        inputs: Float64,
        names: Names | None,
        n_outputs: int | None = None,
        awake: Flags | None = None,
    ) -> Float64:
        engines = self._engines_for(inputs.shape, n_outputs)
        if self._base is not None and not engines.core.has_seen:
            engines.core.observe(self._base)
        # where y comes late nothing takes a forecast back: a warning that is an error needs a spare
        spare = engines.spare() if engines.delay > 0 and _warnings_are_errors() else None
        try:
            mixed = engines.predict(inputs, awake)
        except ValueError as error:
            raise with_column(error, names) from None
        except Warning:  # the agents' numbers overflowed
            if spare is None:
                engines.core.take_back()
            elif engines is self._engines:
                self._engines = spare
            raise
        self._keep(engines, names)
        return mixed

    def _learn(self, inputs: Float64, names: Names | None, target: Float64) -> None:
        if (self._engines or self).delay > 0:
            self._learn_late(inputs, names, target)
            return
        engines, width = self._engines, target.size  # the width may be new
        if engines and width == engines.n_outputs and engines.core.waits_for(inputs):
            self._take(target)
        else:
            self._step(inputs, names, target)

    def _learn_late(self, inputs: Float64, names: Names | None, target: Float64) -> None:
        """Learn the y of the oldest waiting forecast."""
        _core.require_moderate("y", target, self._is_single(), True)
        if self._engines is None:
            raise ValueError("no forecast waits for its y; expected predict_one with this x first")
        engines = self._engines_for(self._engines.input_shape, target.size)
        try:
            engines.core.learn_oldest(inputs, target)
        except ValueError as error:
            raise with_column(error, names) from None
        self._engines = engines
        self.n_outputs_ = target.size

    def _arrive(self, inputs: Float64, names: Names | None, target: Float64) -> None:
        """Forecast, then learn the y that becomes known after it."""
        if (self._engines or self).delay == 0:
            self._step(inputs, names, target)
            return
        _core.require_moderate("y", target, self._is_single(), True)
        self._predict(inputs, names, target.size)
        self._learnt("y").arrive(target)
        self.n_outputs_ = target.size

    def _step(
        self, inputs: Float64, names: Names | None, target: Float64, awake: Flags | None = None
    ) -> Float64:
        _core.require_moderate("y", target, self._is_single(), True)  # before x is predicted
        before = self.__dict__.copy()
        mixed = self._predict(inputs, names, target.size, awake)
        try:
            self._take(target)
        except BaseException:
            engines = self._learnt("y")
            self.__dict__ = before
            engines.core.take_back()
            raise
        return mixed

    def _take(self, target: Float64) -> None:
        self._learnt("y").core.learn(target)
        self.n_outputs_ = target.size

    def _observe(self, target: Float64) -> None:
        if self._engines is None:
            _core.require_moderate("y", target, self._is_single(), True)
            before = target if self._base is None else self._base
            self._base = np.where(np.isnan(target), before, target)
        else:
            engines = self._engines_for(self._engines.input_shape, target.size)
            engines.core.observe(target)
            self._engines = engines
        self.n_outputs_ = target.size

    def _run(
        self,
        inputs: Float64,
        targets: Float64,
        names: Names | None,
        initial: Float64 | None,
        record: NDArray[np.intp],
        progress: Progress | None,
        warmup: int = 0,
        arriving: bool = False,
        awake: Flags | None = None,
    ) -> Run:
        engines = self._engines_for(inputs.shape[1:], targets.shape[1])
        # A warning that is an error throws the run away, and where y comes late a run may find no
        # memory half-way: a second copy of the engines, made before the work, takes their place.
        spare = engines.spare() if _warnings_are_errors() or engines.delay > 0 else None
        if initial is None and not engines.core.has_seen:
            initial = self._base
        try:
            return engines.run(inputs, targets, initial, record, progress, warmup, arriving, awake)
        except ValueError as error:
            raise with_column(error, names) from None
        except (MemoryError, RuntimeWarning):
            if spare is not None:
                if engines is self._engines:
                    self._engines = spare
                engines = spare
            raise
        finally:  # what was interrupted has learnt the steps done, what was refused nothing
            if engines.core.has_seen and engines is not spare:
                self._keep(engines, names)
                self.n_outputs_ = engines.n_outputs

    def _learnt(self, name: str) -> Engines:
        if self._engines is None:
            raise not_fitted(f"{name} was asked for before the first prediction")
        return self._engines


def _warnings_are_errors() -> bool:
    """Return whether a RuntimeWarning may raise: `-W error`, or a filter."""
    for action, message, category, module, _ in warnings.filters:  # the first that fits counts
        if issubclass(RuntimeWarning, category) and action == "error":
            return True
        if issubclass(RuntimeWarning, category) and message is None and module is None:
            return False
    return False
