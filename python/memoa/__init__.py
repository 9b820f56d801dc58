"""Decentralized mean-field Nash policies for large populations of online forecasters."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoa import datasets
    from memoa._core import NumericalError
    from memoa.certificate import Certificate, certify
    from memoa.encoder import EchoState, Linear, Precomputed, RandomFeatures
    from memoa.ensemble import OnlineEnsemble
    from memoa.equilibrium import (
        Policy,
        solve_mean_field,
        solve_myopic,
        solve_nash,
        solve_social_optimum,
    )
    from memoa.forecasters import Comparison, Experts, compare
    from memoa.game import Game
    from memoa.horizon import MultiHorizon
    from memoa.horizon_run import MultiHorizonRun
    from memoa.interval import Intervals
    from memoa.mixture import Mixture, ServerMixture, mixture_weights
    from memoa.moments import FeatureMoments, feature_moments
    from memoa.nplayer import CentralizedPolicy, NPlayerGame, solve_centralized_nash
    from memoa.panel import Panel
    from memoa.panel_equilibrium import solve_panel_equilibrium
    from memoa.panel_run import PanelRun
    from memoa.run import Run
    from memoa.simulation import Simulation, simulate

__version__: str
__all__ = [
    "CentralizedPolicy",
    "Certificate",
    "Comparison",
    "EchoState",
    "Experts",
    "FeatureMoments",
    "Game",
    "Intervals",
    "Linear",
    "Mixture",
    "MultiHorizon",
    "MultiHorizonRun",
    "NPlayerGame",
    "NumericalError",
    "OnlineEnsemble",
    "Panel",
    "PanelRun",
    "Policy",
    "Precomputed",
    "RandomFeatures",
    "Run",
    "ServerMixture",
    "Simulation",
    "build_info",
    "certify",
    "compare",
    "datasets",
    "feature_moments",
    "get_cmake_dir",
    "mixture_weights",
    "simulate",
    "solve_centralized_nash",
    "solve_mean_field",
    "solve_myopic",
    "solve_nash",
    "solve_panel_equilibrium",
    "solve_social_optimum",
]

# The names of each module. A module is loaded at the first use of one of its names: `import memoa`
# alone reads neither NumPy nor the compiled core.
_NAMES = {
    "_core": "NumericalError",
    "certificate": "Certificate certify",
    "encoder": "EchoState Linear Precomputed RandomFeatures",
    "ensemble": "OnlineEnsemble",
    "equilibrium": "Policy solve_mean_field solve_myopic solve_nash solve_social_optimum",
    "forecasters": "Comparison Experts compare",
    "game": "Game",
    "horizon": "MultiHorizon",
    "horizon_run": "MultiHorizonRun",
    "interval": "Intervals",
    "mixture": "Mixture ServerMixture mixture_weights",
    "moments": "FeatureMoments feature_moments",
    "nplayer": "CentralizedPolicy NPlayerGame solve_centralized_nash",
    "panel": "Panel",
    "panel_equilibrium": "solve_panel_equilibrium",
    "panel_run": "PanelRun",
    "run": "Run",
    "simulation": "Simulation simulate",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def _load_core() -> Any:
    """Load the compiled core.

    libgomp reads the variable when it is loaded. Idle workers that spin slow down other libraries
    with their own OpenMP (by a factor of twelve for torch). A value set by the user stays.
    """
    spin = os.environ.get("GOMP_SPINCOUNT")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        return import_module("memoa._core")
    finally:
        if spin is None:
            os.environ.pop("GOMP_SPINCOUNT", None)


def __getattr__(name: str) -> Any:
    if name == "__version__":  # read only on request, because this is slow
        from importlib.metadata import version

        return version("memoa")
    if name == "_core":
        return _load_core()
    if name in _MODULES:
        from_core = _MODULES[name] == "_core"
        module = _load_core() if from_core else import_module(f"memoa.{_MODULES[name]}")
        value = getattr(module, name)
        globals()[name] = value
        return value
    if name == "datasets" or name in _NAMES:
        return import_module(f"memoa.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def build_info() -> dict[str, str]:
    """Return version, compiler, libraries, instruction set and threads of the compiled core."""
    core = _load_core()
    return {
        "version": __getattr__("__version__"),
        **core.build(),
        "instruction_set": core.instruction_set(),
        "threads": str(core.available_threads()),
    }


def get_cmake_dir() -> str:
    """Return the folder of memoaConfig.cmake, for ``cmake -Dmemoa_DIR=...``."""
    from importlib.resources import files

    return str(files("memoa") / "lib" / "cmake" / "memoa")
