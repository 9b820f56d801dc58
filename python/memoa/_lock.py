"""One caller at a time: the lock of an engine that several Python threads share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


class EngineLock:
    """A lock that its own thread may take again, and that a forked child can go on with.

    The thread that held it in the parent does not exist in the child and will never give it back.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._lock, self._process = threading.RLock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def serialised(method: Method) -> Method:
    """A method that holds its object's lock while it is at work."""

    @wraps(method)
    def alone(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return cast(Method, alone)
