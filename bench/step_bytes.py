"""What one step of the population must move, and an agent must hold, by arithmetic."""

from __future__ import annotations

from peers import Case

COST = 8  # bytes: a cost is summed over millions of steps, in double whatever the dtype


def number_size(case: Case) -> int:
    """Bytes of one number of the dtype."""
    return 8 if case.dtype == "float64" else 4


def step_bytes(case: Case) -> int:
    """Bytes per agent and step, each way counted, as in the update bandwidth.

    ==================  ============================  =======================================
    packed Gram matrix  2 p (p + 1) / 2               read and written once
    cross products      2 p d                         read and written once
    encoder             p (dx + 1)                    read
    forecast            3 d                           written; read by the sum and the policy
    energy              3                             the same
    increment           2 d                           written; read when y is known
    cost                2 (of 8 bytes)                read and written
    ==================  ============================  =======================================

    Features are recomputed rather than stored. What is shared by all agents is not counted.
    """
    p, d, dx = case.n_features, case.n_outputs, case.n_inputs
    numbers = p * (p + 1) + 2 * p * d + p * (dx + 1) + 3 * d + 3 + 2 * d
    return numbers * number_size(case) + 2 * COST


def agent_bytes(case: Case) -> int:
    """Least memory of an agent: Gram matrix, cross products, encoder, increment, energy, cost.

    The increment takes the place of the forecast that it is made from.
    """
    p, d, dx = case.n_features, case.n_outputs, case.n_inputs
    numbers = p * (p + 1) // 2 + p * d + p * (dx + 1) + d + 1
    return numbers * number_size(case) + COST
