"""scikit-learn's contract of an estimator, without depending on scikit-learn."""

from __future__ import annotations

import inspect
import sys
from typing import Any, TypeVar

Self = TypeVar("Self", bound="Estimator")


class Estimator:
    """Parameters are exactly the constructor's arguments, each an attribute of that name."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self: Self, **params: Any) -> Self:
        """Set constructor arguments; they take effect at the next `fit`."""
        for name, value in params.items():
            if name not in self._names():
                raise ValueError(
                    f"{name!r} is not a parameter of {type(self).__name__}; expected one of "
                    f"{', '.join(self._names())}"
                )
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """A regressor; one that follows the last value, so poor on shuffled samples."""
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True, multi_output=True),
            regressor_tags=RegressorTags(poor_score=True),
            input_tags=InputTags(),
        )

    def __repr__(self) -> str:
        """Only what differs from the default."""
        defaults = {k: v.default for k, v in inspect.signature(type(self)).parameters.items()}
        given = (f"{k}={v!r}" for k, v in self.get_params().items() if repr(v) != repr(defaults[k]))
        return f"{type(self).__name__}({', '.join(given)})"

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(inspect.signature(cls).parameters)


def not_fitted(message: str) -> Exception:
    """scikit-learn's NotFittedError where it is loaded, else the ValueError it derives from."""
    module = sys.modules.get("sklearn.exceptions")
    kind: type[Exception] = ValueError if module is None else module.NotFittedError
    return kind(message)
