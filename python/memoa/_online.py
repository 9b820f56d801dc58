"""What an online forecaster has seen and drawn: the state behind the verbs of an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa import _core
from memoa._engines import Engines, Progress, check, draw_seed
from memoa._estimator import Estimator, join_river, not_fitted
from memoa._frames import Names, with_column
from memoa._inputs import Inputs
from memoa._validate import Float64
from memoa.encoder import Encoder
from memoa.run import Run


class Online(Estimator):
    """Engines that are drawn when the first input comes, and what must be known until then.

    Sizes and names become known, and new engines are kept, only once the core has accepted what
    came: a refused or failed call changes nothing.
    """

    encoder: Encoder
    n_agents: int
    dtype: str
    random_state: Any
    n_features_in_: int
    n_outputs_: int
    feature_names_in_: Names
    _engines: Engines | None
    _base: Float64 | None  # the last y seen, until there are engines to tell
    _pending: Float64 | None  # the x last predicted, while it can be learnt
    _seed: int | None

    def _begin(self) -> None:
        """The last lines of a constructor."""
        check(self.get_params(deep=False))
        join_river(type(self))
        self._forget()

    def __sklearn_is_fitted__(self) -> bool:
        """Whether any y was seen."""
        return self._engines is not None and self._engines.population.has_seen

    @property
    def _raw_memory_usage(self) -> int:
        """Bytes that what was learnt takes: river's name."""
        return 0 if self._engines is None else self._engines.bytes

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits; a forecast not yet learnt is predicted again."""
        self.__dict__.update(state)
        join_river(type(self))
        if self._engines is not None and self._pending is not None:
            self._engines.predict(self._pending)

    def _forget(self) -> None:
        self._engines = self._base = self._pending = None
        self._seed = None
        self._flat = False
        for name in ("n_outputs_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _inputs(self) -> Inputs:
        """What inputs must be like, given what was seen."""
        drawn = self._engines or self
        return Inputs(
            type(self).__name__,
            drawn.encoder,
            drawn.n_agents,
            getattr(self, "n_features_in_", None),
            getattr(self, "feature_names_in_", None),
        )

    def _width(self) -> int | None:
        """Width of y, once one was seen."""
        return getattr(self, "n_outputs_", None)

    def _is_single(self) -> bool:
        return str((self._engines or self).dtype) == "float32"

    def _engines_for(self, input_shape: tuple[int, ...], n_outputs: int | None) -> Engines:
        """The engines, drawn now if they are not; before any y was seen, its width may change.

        New ones are kept by the caller, once they have accepted their input.
        """
        if self._engines is not None:
            same = n_outputs in (None, self._engines.n_outputs)
            return self._engines if same else self._engines.with_outputs(n_outputs or 1)
        if self._seed is None:
            self._seed = draw_seed(self.random_state)
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
        self, inputs: Float64, names: Names | None, n_outputs: int | None = None
    ) -> Float64:
        engines = self._engines_for(inputs.shape, n_outputs)
        if self._base is not None and not engines.population.has_seen:
            engines.population.observe(self._base)
        try:
            mixed = engines.predict(inputs)
        except ValueError as error:
            raise with_column(error, names) from None
        self._keep(engines, names)
        self._pending = inputs.copy()  # the caller may change it in place
        return mixed

    def _learn(self, inputs: Float64, names: Names | None, target: Float64) -> None:
        pending = self._pending is not None and np.array_equal(self._pending, inputs)
        if not pending or target.size != self._learnt("y").n_outputs:  # its width may be new
            _core.require_moderate("y", target, self._is_single())  # before x is predicted
            self._predict(inputs, names, target.size)
        self._learnt("y").learn(target)
        self.n_outputs_ = target.size
        self._pending = None

    def _observe(self, target: Float64) -> None:
        if self._engines is None:
            _core.require_moderate("y", target, self._is_single())
            self._base = target.copy()
        else:
            engines = self._engines_for(self._engines.input_shape, target.size)
            engines.population.observe(target)
            self._engines = engines
        self.n_outputs_ = target.size
        self._pending = None

    def _run(
        self,
        inputs: Float64,
        targets: Float64,
        names: Names | None,
        initial: Float64 | None,
        record: NDArray[np.intp],
        progress: Progress | None,
    ) -> Run:
        engines = self._engines_for(inputs.shape[1:], targets.shape[1])
        if initial is None and not engines.population.has_seen:
            initial = self._base
        try:
            return engines.run(inputs, targets, initial, record, progress)
        except ValueError as error:
            raise with_column(error, names) from None
        finally:  # what was interrupted has learnt the steps done, what was refused nothing
            if engines.population.has_seen:
                self._keep(engines, names)
                self.n_outputs_ = engines.n_outputs
                if not engines.population.is_pending:
                    self._pending = None

    def _learnt(self, name: str) -> Engines:
        if self._engines is None:
            raise not_fitted(f"{name} was asked for before the first prediction")
        return self._engines
