"""The result of running an ensemble over a series."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoa._validate import Float64


class AgentErrors(NamedTuple):
    """Root-mean-square errors of agents of which one process holds a part."""

    n_agents: int
    mean: float
    best: float
    best_agent: int
    worst: float
    worst_agent: int


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What a population did over T steps of a series, an immutable value.

    Errors are root-mean-square over steps and outputs, in units of the target. The first step is
    left out of all of them where its y was the first ever seen: it could not be predicted, and was
    observed, not learnt (``unscored=1``). Where no other step is left they are nan.

    Attributes
    ----------
    predictions : ndarray, shape (T, d)
        The server's forecasts.
    targets : ndarray, shape (T, d)
    initial : ndarray, shape (d,)
        The last value seen before the run; 0 where none was.
    mean_field : ndarray, shape (T, d)
        Mean of the agents' predictions.
    shares : ndarray, shape (T, 4, d)
        Shares in the server's forecasts, see `OnlineEnsemble.shares`; all 0 where no y was known.
    agent_rmse : ndarray, shape (N,)
        Of the agents here, where several processes hold them.
    worst_cost : ndarray, shape (T,)
        Largest sum of squared errors of an agent up to and including each step; its last entry is
        the under-performer regret.
    recorded : ndarray, shape (T, len(record), d)
        Predictions of the agents in `record`.
    record : ndarray of int
    policy : str
    unscored : int
        Steps at the start that no error counts: 0 or 1.
    agents : range, optional
        Numbers of the agents that this process holds; None: all.
    errors : AgentErrors, optional
        What all processes know of all agents' errors; None where all agents are here.
    """

    predictions: Float64
    targets: Float64
    initial: Float64
    mean_field: Float64
    shares: Float64
    agent_rmse: Float64
    worst_cost: Float64
    recorded: Float64
    record: NDArray[np.intp]
    policy: str
    unscored: int = 0
    agents: range | None = None
    errors: AgentErrors | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value: Any = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor's arguments, so that a copy is read-only too."""
        return type(self), tuple(getattr(self, one.name) for one in fields(self))

    @property
    def server_rmse(self) -> float:
        """Error of the server's forecasts."""
        return self._rmse(self.predictions - self.targets)

    @property
    def repeat_last_rmse(self) -> float:
        """Error of repeating the last value: the baseline that hurts."""
        return self._rmse(np.diff(self.targets, axis=0, prepend=self.initial[None]))

    @property
    def mean_agent_rmse(self) -> float:
        """Mean over agents of their errors."""
        return float(self.agent_rmse.mean()) if self.errors is None else self.errors.mean

    @property
    def worst_agent_rmse(self) -> float:
        """Error of the worst agent, the under-performer."""
        return float(self.agent_rmse.max()) if self.errors is None else self.errors.worst

    @property
    def best_agent_rmse(self) -> float:
        """Error of the best agent."""
        return float(self.agent_rmse.min()) if self.errors is None else self.errors.best

    @property
    def worst_agent(self) -> int:
        """Number of the worst agent."""
        return int(self.agent_rmse.argmax()) if self.errors is None else self.errors.worst_agent

    @property
    def best_agent(self) -> int:
        """Number of the best agent."""
        return int(self.agent_rmse.argmin()) if self.errors is None else self.errors.best_agent

    @property
    def n_agents(self) -> int:
        """Agents of all processes."""
        return len(self.agent_rmse) if self.errors is None else self.errors.n_agents

    @property
    def regret(self) -> float:
        """Under-performer regret: the worst agent's sum of squared errors (theory (6.6))."""
        return float(self.worst_cost[-1])

    def summary(self) -> str:
        """A few lines to print."""
        steps, outputs = self.targets.shape
        counted = f"{steps} steps" + (f" ({steps - 1} scored)" if self.unscored else "")
        rows = [
            ("server", self.server_rmse, ""),
            ("mean agent", self.mean_agent_rmse, ""),
            ("best agent", self.best_agent_rmse, f"agent {self.best_agent}"),
            ("worst agent", self.worst_agent_rmse, f"agent {self.worst_agent}"),
            ("repeat last value", self.repeat_last_rmse, ""),
        ]
        return "\n".join(
            [
                f"{self.policy}: {self.n_agents} agents, {counted}, {outputs} outputs",
                "root-mean-square error of",
                *(f"  {name:<18} {value:>12.6g}  {note}".rstrip() for name, value, note in rows),
                f"under-performer regret {self.regret:>10.6g}",
            ]
        )

    def __repr__(self) -> str:
        """Sizes and the three errors."""
        steps, outputs = self.targets.shape
        return (
            f"Run({self.policy}, n_agents={self.n_agents}, n_steps={steps}, "
            f"n_outputs={outputs}, server_rmse={self.server_rmse:.4g}, "
            f"mean_agent_rmse={self.mean_agent_rmse:.4g}, "
            f"worst_agent_rmse={self.worst_agent_rmse:.4g})"
        )

    def _rmse(self, errors: Float64) -> float:
        scored = errors[self.unscored :]
        return float(np.sqrt(np.mean(scored**2))) if scored.size else float("nan")
