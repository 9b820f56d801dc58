"""The settings that are varied one at a time, and the values they are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from memoa import OnlineEnsemble


@dataclass(frozen=True)
class Knob:
    """A setting and the values it is given.

    Attributes
    ----------
    name : str
        Of its picture, and in the CSV file.
    title, axis : str
    values : tuple of float
    setting : str
        Of `OnlineEnsemble`, "mixture.ridge" being the mixture's ridge; "" for none of them.
    usual : float
        The value with which everything is as usual, where it is no setting of the ensemble.
    changes_greedy : bool
        Whether the greedy population has this setting too.
    counts_agents : bool
        Whether the values are sizes of the population.
    """

    name: str
    title: str
    axis: str
    values: tuple[float, ...]
    setting: str = ""
    usual: float = 0.0
    changes_greedy: bool = False
    counts_agents: bool = False

    @property
    def default(self) -> float:
        """The constructor's own value of the setting."""
        if not self.setting:
            return self.usual
        return float(attrgetter(self.setting)(OnlineEnsemble()))

    @property
    def is_servers(self) -> bool:
        """Whether the agents have nothing to do with it: the mixture is the server's alone."""
        return self.setting.startswith("mixture.")

    def seeds(self, value: float, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """Fewer for crowds so large that agents are hardly a matter of luck, and take long."""
        if not self.counts_agents:
            return seeds
        return seeds[: 1 if value > 10_000 else 3 if value > 1_000 else len(seeds)]


def with_setting(setting: str, value: float) -> dict[str, Any]:
    """The constructor's arguments for one setting with another value, of its own type."""
    outer, _, inner = setting.partition(".")
    default = getattr(OnlineEnsemble(), outer)
    if not inner:
        return {outer: type(default)(value)}
    return {outer: replace(default, **{inner: type(getattr(default, inner))(value)})}


KNOBS = (
    Knob(
        "consensus",
        "consensus weight",
        "consensus l",
        (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
        "consensus",
    ),
    Knob("effort", "price of effort", "effort g", (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0), "effort"),
    Knob("horizon", "horizon", "stages T", (1, 2, 4, 8, 16, 32), "horizon"),
    Knob(
        "n_agents",
        "population size",
        "agents N",
        (1, 2, 5, 10, 30, 100, 300, 1_000, 10_000, 100_000),
        "n_agents",
        changes_greedy=True,
        counts_agents=True,
    ),
    Knob(
        "n_features",
        "features per agent",
        "features p",
        (6, 8, 12, 16, 24, 40),
        "encoder.n_features",
        changes_greedy=True,
    ),
    Knob(
        "window",
        "window of the mixture",
        "steps",
        (0, 2, 4, 8, 16, 32, 64, 128),
        "mixture.window",
        changes_greedy=True,
    ),
    Knob(
        "mixture_ridge",
        "ridge of the mixture",
        "ridge",
        (0.01, 0.03, 0.1, 0.3, 1, 3, 10),
        "mixture.ridge",
        changes_greedy=True,
    ),
)
COMMUNICATION = Knob(
    "communication",
    "mean field communicated every k steps",
    "k",
    (1, 2, 4, 8, 16, 32, 64),
    usual=1.0,
)
NOISE = Knob(
    "noise",
    "noise in the mean field",
    "noise / RMSE of repeating",
    (0.0, 0.03, 0.1, 0.3, 1.0, 3.0),
)
