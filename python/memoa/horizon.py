"""Several leads of one series, with one ensemble for each lead."""

from __future__ import annotations

import copy
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from memoa._engines import Progress
from memoa._estimator import Estimator, not_fitted
from memoa._files import whole
from memoa._inputs import one_target, recorded_agents, targets_of
from memoa._validate import Float64, as_float64, as_int
from memoa.ensemble import OnlineEnsemble
from memoa.horizon_run import MultiHorizonRun

Self = TypeVar("Self", bound="MultiHorizon")
_HEADER = "multi-horizon.json"


class MultiHorizon(Estimator):
    """Forecasts several steps ahead, with a separate ensemble for every lead.

    Row t of the inputs is what is known just before ``Y[t]``. Lead h forecasts ``Y[t + h - 1]``
    from it, and from the last known value, ``Y[t - 1]``. Lead 1 is an `OnlineEnsemble` with the
    same bits. Lead h is one whose y arrives ``h - 1`` forecasts late (its `delay`): theory (10.7),
    (10.8). Each lead has its own weights, readouts, intervals and errors. This is an engine.

    Parameters
    ----------
    ensemble : OnlineEnsemble, optional
        The settings of all ensembles; it is copied, and not changed. Default:
        ``OnlineEnsemble()``.
    leads : sequence of int
        Steps ahead, at least 1, increasing.

    Attributes
    ----------
    ensembles_ : tuple of OnlineEnsemble
        One for each lead, created at the first call that needs them.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map(400)
    >>> model = memoa.MultiHorizon(memoa.OnlineEnsemble(n_agents=20), leads=(1, 2, 3))
    >>> run = model.run(series.X, series.Y, initial=series.initial)
    >>> [one.server_rmse < one.repeat_last_rmse for one in run.runs]
    [True, True, True]
    """

    ensembles_: tuple[OnlineEnsemble, ...]

    def __init__(
        self, ensemble: OnlineEnsemble | None = None, leads: Sequence[int] = (1, 24, 168)
    ) -> None:
        self.ensemble = ensemble
        self.leads = leads
        if ensemble is not None and not isinstance(ensemble, OnlineEnsemble):
            raise TypeError(f"ensemble is {ensemble!r}; expected a memoa.OnlineEnsemble")
        if ensemble is not None and ensemble.delay > 0:
            raise ValueError(f"ensemble has delay={ensemble.delay}; expected 0: leads set it")
        if ensemble is not None and ensemble.communicator is not None:
            raise ValueError("ensemble has a communicator; expected None")
        _checked_leads(leads)

    # ------------------------------------------------------------------ parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments; with `deep`, also those of the ensemble."""
        params: dict[str, Any] = {"ensemble": self.ensemble, "leads": self.leads}
        if deep and self.ensemble is not None:
            inner = self.ensemble.get_params()
            params |= {f"ensemble__{name}": value for name, value in inner.items()}
        return params

    def _with_params(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        prefix = "ensemble__"
        inner = {k[len(prefix) :]: v for k, v in changes.items() if k.startswith(prefix)}
        outer = {k: v for k, v in changes.items() if not k.startswith(prefix)}
        for name in outer:
            if name not in ("ensemble", "leads"):
                raise ValueError(
                    f"{name!r} is not a parameter of MultiHorizon; expected ensemble, leads or "
                    "ensemble__..."
                )
        params = {**self.get_params(deep=False), **outer}
        if inner:
            params["ensemble"] = (
                (params["ensemble"] or OnlineEnsemble()).clone().set_params(**inner)
            )
        type(self)(**params)
        return params

    # ------------------------------------------------------------------ one step at a time

    def predict_one(self, x: Any) -> Float64:
        """Return the forecasts from `x`, without learning.

        Parameters
        ----------
        x
            As in `OnlineEnsemble.predict_one`.

        Returns
        -------
        ndarray, shape (leads, d)
            0 before any y was seen; d is 1 then.
        """
        rows = []
        for model in self._models():
            inputs, _ = model._inputs().row(x)
            if model._engines is None:  # nothing learnt yet: the last value, if there is one
                base = np.zeros(1) if model._base is None else model._base
                rows.append(np.zeros(base.size) if np.isnan(base).any() else base.copy())
            else:
                rows.append(model._engines.core.predict_rows(inputs[None])[0])
        return np.array(rows)

    def learn_one(self: Self, x: Any, y: ArrayLike) -> Self:
        """Learn from the row `x` and the `y` that followed it, ``Y[t]``.

        For every lead h, this y belongs to the forecast that it made ``h - 1`` rows ago.

        Parameters
        ----------
        x, y
            As in `OnlineEnsemble.learn_one`.

        Raises
        ------
        ValueError, TypeError
            As in `OnlineEnsemble.learn_one`. Nothing is learnt then. If memory runs out, or Ctrl-C
            comes, between two leads, the leads before have learnt the row and the others have not.
        """
        for model in self._models():
            inputs, names = model._inputs().row(x)
            model._arrive(inputs, names, one_target("y", y, model._width()))
        return self

    def observe(self: Self, y: ArrayLike) -> Self:
        """Use `y` as the last value seen, without learning."""
        for model in self._models():
            model.observe(y)
        return self

    # ------------------------------------------------------------------ many steps

    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        initial: ArrayLike | None = None,
        progress: Progress | None = None,
        warmup: int = 0,
    ) -> MultiHorizonRun:
        """Predict and learn a whole series for every lead; the same bits as step by step.

        Parameters
        ----------
        X : array_like or data frame, shape (T, dx), or (T + 1, dx), float64
            With T + 1 rows, the last one is that of the next step, whose y is not known yet.
        Y : array_like or data frame, shape (T, d), or (T,) where d = 1, float64
            ``Y[t]`` is known before row ``X[t + 1]``.
        initial : array_like, shape (d,), optional
            The value just before Y[0].
        progress : callable(done, total), optional
            Called some ten times a second, as in `OnlineEnsemble.run`.
        warmup : int
            Rows at the start whose forecasts no error counts.

        Returns
        -------
        MultiHorizonRun

        Raises
        ------
        ValueError, TypeError
            As in `OnlineEnsemble.run`. Nothing is learnt then, nor where the run is interrupted.
        """
        models = self._models()
        first = models[0]
        inputs, names = first._inputs().rows(X)
        targets, _ = targets_of(Y, len(inputs), first._width(), one_less=True)
        start = None if initial is None else one_target("initial", initial, targets.shape[1])
        warmup = as_int("warmup", warmup, 0)
        if warmup > 0 and warmup >= len(targets):
            raise ValueError(f"warmup is {warmup}; expected fewer than the {len(targets)} rows")
        runs = []
        before = copy.deepcopy(models)  # what stops one lead half-way stops all: they keep in step
        try:
            for number, model in enumerate(models):

                def tell(done: int, total: int, number: int = number) -> None:
                    if progress is not None:
                        progress(number * total + done, len(models) * total)

                found = model._run(
                    inputs, targets, names, start, recorded_agents(None), tell, warmup, True
                )
                runs.append(found)
        except BaseException:
            self.ensembles_ = before
            raise
        return MultiHorizonRun(_checked_leads(self.leads), tuple(runs), targets.copy())

    def fit(self: Self, X: ArrayLike, y: ArrayLike) -> Self:
        """Forget everything, then learn the series (X, y) in its order."""
        before = self.__dict__.get("ensembles_")
        self.__dict__.pop("ensembles_", None)
        try:
            return self.partial_fit(X, y)
        except BaseException:
            if before is not None:
                self.ensembles_ = before
            raise

    def partial_fit(self: Self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn the series (X, y) in addition to what was learnt: `run`, for pipelines."""
        self.run(X, y)
        return self

    def predict(self, X: ArrayLike) -> Float64:
        """Return forecasts for every row of `X` as if it were the next, shape (T, leads, d)."""
        if not self.__sklearn_is_fitted__():
            raise not_fitted("predict was called before anything was learnt; expected fit first")
        rows = [model.predict(X) for model in self.ensembles_]
        return np.stack([one.reshape(len(one), -1) for one in rows], axis=1)

    # ------------------------------------------------------------------ what was learnt

    @property
    def weights(self) -> Float64:
        """The servers' present weights, shape (leads, N)."""
        return np.array([model.weights for model in self._fitted("weights")])

    @property
    def agent_rmse(self) -> Float64:
        """Errors of every lead's agents over all learnt steps, shape (leads, N)."""
        return np.array([model.agent_rmse for model in self._fitted("agent_rmse")])

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether any y was seen."""
        return hasattr(self, "ensembles_") and self.ensembles_[0].__sklearn_is_fitted__()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all leads to one file that `load` reads: a zip of the ensembles' files."""
        models = self._fitted("save")
        leads = _checked_leads(self.leads)
        with (
            tempfile.TemporaryDirectory() as folder,
            whole(Path(path)) as temporary,
            zipfile.ZipFile(temporary, "w") as archive,
        ):
            archive.writestr(_HEADER, json.dumps({"kind": "MultiHorizon", "leads": leads}))
            for lead, model in zip(leads, models, strict=True):
                part = Path(folder, _file_of(lead))
                model.save(part)
                archive.write(part, part.name)

    @classmethod
    def load(
        cls: type[Self], path: str | os.PathLike[str], *, n_threads: int | None = None
    ) -> Self:
        """Read what `save` wrote; the next results have the same bits.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If `save` did not write it.
        """
        name = os.fspath(path)
        try:
            with zipfile.ZipFile(name) as archive, tempfile.TemporaryDirectory() as folder:
                header = json.loads(archive.read(_HEADER))
                if not isinstance(header, dict) or header.get("kind") != "MultiHorizon":
                    raise ValueError("it does not contain a MultiHorizon")
                leads = _checked_leads(header.get("leads"))
                models = []
                for lead in leads:
                    part = Path(folder, _file_of(lead))
                    part.write_bytes(archive.read(_file_of(lead)))
                    models.append(OnlineEnsemble.load(part, n_threads=n_threads))
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{name}: this is not what MultiHorizon.save wrote: {error}") from None
        for lead, model in zip(leads, models, strict=True):
            if model.delay != lead - 1:
                raise ValueError(f"{name}: lead {lead} has delay={model.delay}")
        made = cls(models[0].clone({"delay": 0}), leads)
        made.ensembles_ = tuple(models)
        return made

    # ------------------------------------------------------------------ helpers

    def _models(self) -> tuple[OnlineEnsemble, ...]:
        """Return the ensembles, and create them if needed."""
        if not hasattr(self, "ensembles_"):
            template = OnlineEnsemble() if self.ensemble is None else self.ensemble
            leads = _checked_leads(self.leads)
            self.ensembles_ = tuple(template.clone({"delay": lead - 1}) for lead in leads)
        return self.ensembles_

    def _fitted(self, name: str) -> tuple[OnlineEnsemble, ...]:
        if not hasattr(self, "ensembles_"):
            raise not_fitted(f"{name} was asked for before anything was learnt")
        return self.ensembles_


def _file_of(lead: int) -> str:
    return f"lead-{lead}.npz"


def _checked_leads(leads: Any) -> tuple[int, ...]:
    if isinstance(leads, str) or not isinstance(leads, Iterable):
        raise TypeError(f"leads is {leads!r}; expected a sequence of integers")
    checked = tuple(as_int("leads", lead, 1, below=10**6) for lead in leads)
    if not checked:
        raise ValueError("leads is empty; expected at least one")
    if any(after <= before for before, after in pairwise(checked)):
        raise ValueError(f"leads is {checked}; expected increasing numbers of steps")
    return checked


def recursive_forecasts(
    ensemble: OnlineEnsemble,
    X: ArrayLike,
    Y: ArrayLike,
    leads: Sequence[int],
    *,
    past: ArrayLike,
    initial: ArrayLike | None = None,
    every: int = 1,
) -> Float64:
    """Forecast several leads with one ensemble of lead 1 that uses its own forecasts as inputs.

    This is for comparison with `MultiHorizon`. From a row on, a copy of the ensemble forecasts one
    step, uses the forecast as if it were the value, and continues. Inputs that are not past values
    do not change.

    Parameters
    ----------
    ensemble : OnlineEnsemble
        The settings of the ensemble; it is copied, and not changed.
    X, Y, initial
        As in `MultiHorizon.run`.
    leads : sequence of int
        Steps ahead, increasing.
    past : array_like, shape (lags, d), int
        Columns of X with the last value of each output, the one before it, and so on.
    every : int
        Forecasts are made at every such row, because each takes as many steps as the longest lead.

    Returns
    -------
    ndarray, shape (leads, T, d)
        NaN at the other rows.
    """
    wanted = _checked_leads(leads)
    every = as_int("every", every, 1)
    inputs, targets = as_float64("X", X), as_float64("Y", Y)
    targets = targets[:, None] if targets.ndim == 1 else targets
    columns = np.asarray(past, dtype=np.intp)
    if columns.ndim != 2 or columns.shape[1] != targets.shape[1]:
        raise ValueError(f"past has shape {columns.shape}; expected (lags, n_outputs)")
    model = ensemble.clone()
    if initial is not None:
        model.observe(initial)
    found = np.full((len(wanted), *targets.shape), np.nan)
    for first in range(0, len(targets), every):
        ahead, x = copy.deepcopy(model), inputs[first].copy()
        for lead in range(1, wanted[-1] + 1):
            y = ahead.predict_one(x)
            if lead in wanted:
                found[wanted.index(lead), first] = y
            ahead.observe(y)
            x[columns[1:]] = x[columns[:-1]]
            x[columns[0]] = y
        model.run(inputs[first : first + every], targets[first : first + every])
    return found
