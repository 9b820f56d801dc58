"""Decentralized mean-field Nash policies for large populations of online forecasters."""

from __future__ import annotations

import os

# libgomp reads this when it is loaded: idle workers that spin slow down neighbours with an OpenMP
# of their own (a factor of twelve beside torch). What the user has set stays.
_spin = os.environ.get("GOMP_SPINCOUNT")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
try:
    from memoa import _core
finally:
    if _spin is None:
        del os.environ["GOMP_SPINCOUNT"]
    del _spin

from memoa import datasets  # noqa: E402
from memoa._core import NumericalError  # noqa: E402
from memoa.certificate import Certificate, certify  # noqa: E402
from memoa.encoder import EchoState, Linear, Precomputed, RandomFeatures  # noqa: E402
from memoa.ensemble import OnlineEnsemble  # noqa: E402
from memoa.equilibrium import (  # noqa: E402
    Policy,
    solve_mean_field,
    solve_myopic,
    solve_nash,
    solve_social_optimum,
)
from memoa.forecasters import Comparison, Experts, compare  # noqa: E402
from memoa.game import Game  # noqa: E402
from memoa.horizon import MultiHorizon  # noqa: E402
from memoa.horizon_run import MultiHorizonRun  # noqa: E402
from memoa.interval import Intervals  # noqa: E402
from memoa.mixture import Mixture, ServerMixture, mixture_weights  # noqa: E402
from memoa.moments import FeatureMoments, feature_moments  # noqa: E402
from memoa.nplayer import (  # noqa: E402
    CentralizedPolicy,
    NPlayerGame,
    solve_centralized_nash,
)
from memoa.panel import Panel  # noqa: E402
from memoa.panel_equilibrium import solve_panel_equilibrium  # noqa: E402
from memoa.panel_run import PanelRun  # noqa: E402
from memoa.run import Run  # noqa: E402
from memoa.simulation import Simulation, simulate  # noqa: E402

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

# OpenMP's workers do not survive a fork: a forked child computes on one thread
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.use_one_thread_only)


def __getattr__(name: str) -> str:
    """``__version__``, read from the installation where it is asked for: the reader takes long."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("memoa")


def build_info() -> dict[str, str]:
    """Version, compiler, libraries, instruction set and threads of the compiled core."""
    return {
        "version": __getattr__("__version__"),
        **_core.build(),
        "instruction_set": _core.instruction_set(),
        "threads": str(_core.available_threads()),
    }


def get_cmake_dir() -> str:
    """Folder of memoaConfig.cmake, for ``cmake -Dmemoa_DIR=...``."""
    from importlib.resources import files

    return str(files("memoa") / "lib" / "cmake" / "memoa")
