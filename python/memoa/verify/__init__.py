"""The theorems as numbers, on a game of one's own: ``from memoa.verify import verify``."""

from memoa.verify.judge import Check
from memoa.verify.panel import verify_panel
from memoa.verify.verification import Verification, random_game, verify

__all__ = ["Check", "Verification", "random_game", "verify", "verify_panel"]
