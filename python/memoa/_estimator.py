"""The contracts of scikit-learn and of river, without depending on either."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._frames import real_array
from memoa._validate import Float64

Self = TypeVar("Self", bound="Estimator")


class Estimator:
    """The parameters are exactly the constructor's arguments, each an attribute with the same name.

    A parameter that is a frozen dataclass has its own parameters, ``owner__name``.
    """

    _supervised = True  # river: learn_one takes a y

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name; with `deep`, also those of its parameters."""
        params = {name: getattr(self, name) for name in self._names()}
        return _deep(params) if deep else params

    def set_params(self: Self, **params: Any) -> Self:
        """Set constructor arguments; they take effect at the next `fit`.

        Bad values raise the constructor's errors, and then nothing is set.
        ``encoder__n_features=8`` replaces the encoder by one with that setting.
        """
        wanted = self._with_params(params)
        for name, value in wanted.items():
            if value is not getattr(self, name):
                setattr(self, name, value)
        return self

    def clone(
        self: Self, new_params: Mapping[str, Any] | None = None, include_attributes: bool = False
    ) -> Self:
        """Return a new one with the same parameters, as in river; nothing learnt is copied.

        Parameters
        ----------
        new_params : dict, optional
            Parameters that differ from those of this object, by name.
        include_attributes : bool
            Whether to copy what was learnt too.
        """
        wanted = self._with_params(new_params or {})
        if not include_attributes:
            return type(self)(**copy.deepcopy(wanted))
        return copy.deepcopy(self).set_params(**wanted)

    def __repr__(self) -> str:
        """Show only parameters that differ from their defaults."""
        defaults = {k: v.default for k, v in inspect.signature(type(self)).parameters.items()}
        given = (
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if repr(value) != repr(defaults[name])
        )
        return f"{type(self).__name__}({', '.join(given)})"

    def _get_params(self) -> dict[str, Any]:
        """The name of `get_params` in river."""
        return self.get_params(deep=False)

    def _with_params(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters after the changes, for the constructor."""
        names = self._names()
        params = self.get_params(deep=False)
        params.update({name: value for name, value in changes.items() if name in names})
        known = _deep(params)
        for name, value in changes.items():
            if name not in known:
                raise ValueError(
                    f"{name!r} is not a parameter of {type(self).__name__}; expected one of "
                    f"{', '.join(known)}"
                )
            if name not in names:
                owner, _, inner = name.partition("__")
                params[owner] = replace(params[owner], **{inner: value})
        type(self)(**params)  # raises for bad values
        return params

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(inspect.signature(cls).parameters)


class Regressor(Estimator):
    """An estimator whose `predict` makes one forecast per row of inputs."""

    def score(self: Any, X: ArrayLike, y: ArrayLike) -> float:
        """Coefficient of determination R^2 of ``predict(X)``, the mean over outputs.

        As in `predict`, every row of `X` is treated as the next input after what was learnt, and
        no row is learnt: the rows are not treated as a series. For the error of forecasts that
        learn step by step, run a copy: ``copy.deepcopy(ensemble).run(X, y).server_rmse``.

        Parameters
        ----------
        X : array_like, shape (T, dx), or (T, N, p) with Precomputed, float64
            Inputs, one row for each forecast.
        y : array_like, shape (T, d), or (T,) where d = 1, float64
            The values that belong to these rows.

        Returns
        -------
        float
            At most 1. A constant output counts as 1 if it is forecast exactly, otherwise as 0.
        """
        shown = self.predict(X)
        shown = shown.reshape(len(shown), -1)
        wanted = real_array("y", y)
        wanted = wanted[:, None] if wanted.ndim == 1 else wanted
        if wanted.shape != shown.shape:
            raise ValueError(
                f"y has shape {wanted.shape}; expected (n_steps, n_outputs) = {shown.shape}"
            )
        _core.require_finite("y", wanted)
        return _r2(shown, wanted)

    def __sklearn_tags__(self) -> Any:
        """Declare a regressor that depends on the order of samples: poor on shuffled ones."""
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True, multi_output=True),
            regressor_tags=RegressorTags(poor_score=True),
            input_tags=InputTags(allow_nan=True),
        )


def not_fitted(message: str) -> Exception:
    """Return scikit-learn's NotFittedError if it is loaded, else a ValueError, its base."""
    module = sys.modules.get("sklearn.exceptions")
    kind: type[Exception] = ValueError if module is None else module.NotFittedError
    return kind(message)


def join_river(kind: type) -> None:
    """Let river's tools, if they are loaded, accept `kind` as one of their regressors."""
    base = sys.modules.get("river.base")
    if hasattr(base, "Regressor"):
        base.Regressor.register(kind)  # type: ignore[union-attr]


def _deep(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters, and those of parameters that are dataclasses."""
    inner = {
        f"{owner}__{one.name}": getattr(value, one.name)
        for owner, value in params.items()
        if is_dataclass(value)
        for one in fields(value)
    }
    return {**params, **inner}


def _r2(shown: Float64, wanted: Float64) -> float:
    unexplained = np.square(wanted - shown).sum(axis=0)
    spread = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
    varies = spread > 0.0
    scores = 1.0 - unexplained / np.where(varies, spread, 1.0)
    return float(np.where(varies, scores, unexplained == 0.0).mean())
