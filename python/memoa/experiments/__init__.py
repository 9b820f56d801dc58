"""Every table and figure from scratch, with one list of seeds: ``memoa experiments``."""

from __future__ import annotations

from memoa.experiments.report import EXPERIMENTS, run_experiments
from memoa.experiments.section import Context, Section, Verdict

__all__ = ["EXPERIMENTS", "Context", "Section", "Verdict", "run_experiments"]
