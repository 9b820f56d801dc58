"""Old public names. They still work, with a warning that says the new name."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])
Value = TypeVar("Value")


def warn_renamed(old: str, new: str, stacklevel: int = 2) -> None:
    """Warn that `old` is an old name of `new`, at the line that used it."""
    warnings.warn(
        f"{old} is deprecated and will be removed in memoa 1.0; use {new}",
        DeprecationWarning,
        stacklevel=stacklevel + 1,
    )


def renamed_argument(old: str, new: str) -> Callable[[Function], Function]:
    """Let a function accept the keyword `old` in place of `new`."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if old in kwargs:
                name = function.__name__
                if new in kwargs:
                    raise TypeError(f"{name}() got {new} and also {old}, its old name")
                warn_renamed(f"the argument {old} of {name}()", new)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(Function, call)

    return decorate


class RenamedKeys(dict[str, Value]):
    """A dict that still finds old keys: `renamed` gives the new key of each."""

    def __init__(self, values: Mapping[str, Value], renamed: Mapping[str, str]) -> None:
        super().__init__(values)
        self._renamed = dict(renamed)

    def __missing__(self, key: str) -> Value:
        if key not in self._renamed:
            raise KeyError(key)
        new = self._renamed[key]
        warn_renamed(f"the column {key!r}", repr(new))
        return self[new]
