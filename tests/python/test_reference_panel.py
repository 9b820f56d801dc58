"""The panel's closed forms, theory section 8, by number: the oracle itself is checked here."""

from __future__ import annotations

import numpy as np
import pytest

import reference_panel as ref


def clients(seed=0, n_clients=12, p=4):
    """Random statistics of clients, cross near gram times a readout of each client's own."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_clients, 15, p))
    gram = np.einsum("ntp,ntq->npq", features, features)
    readouts = rng.normal(size=p) + 0.5 * rng.normal(size=(n_clients, p))
    noise = rng.normal(size=(n_clients, 15))
    cross = np.einsum("npq,nq->np", gram, readouts) + np.einsum("ntp,nt->np", features, noise)
    return gram, cross


@pytest.mark.parametrize(("ridge", "pooling"), [(1.0, 10.0), (0.1, 3.0), (0.0, 5.0), (2.0, 0.01)])
def test_the_equilibrium_is_a_fixed_point_and_the_joint_minimiser(ridge, pooling):
    gram, cross = clients()
    mean_readout, readouts = ref.equilibrium(gram, cross, ridge, pooling)
    assert readouts.mean(axis=0) == pytest.approx(mean_readout, rel=1e-10)
    joint_mean, joint = ref.joint_minimiser(gram, cross, ridge, pooling)
    assert joint_mean == pytest.approx(mean_readout, rel=1e-9)
    assert joint == pytest.approx(readouts, rel=1e-9)


def test_a_best_readout_is_stationary():
    gram, cross = clients()
    mean_readout, readouts = ref.equilibrium(gram, cross, 1.0, 10.0)
    for k in range(3):
        cost = ref.client_cost(gram[k], cross[k], 1.0, 10.0, readouts[k], mean_readout)
        for step in np.random.default_rng(k).normal(size=(20, 4)):
            moved = readouts[k] + 1e-3 * step
            assert ref.client_cost(gram[k], cross[k], 1.0, 10.0, moved, mean_readout) > cost


def test_a_client_gains_one_over_n_squared_by_its_own_influence():
    gram, cross = clients(n_clients=8)
    gains = []
    for copies in (1, 4, 16, 64):
        crowd = np.tile(gram, (copies, 1, 1)), np.tile(cross, (copies, 1))
        gains.append(ref.deviation_gain(*crowd, 1.0, 10.0, client=3))
    assert min(gains) > 0.0
    assert np.array(gains[:-1]) / gains[1:] == pytest.approx([16.0] * 3, rel=0.2)


def test_limits_of_pooling():
    gram, cross = clients()
    eye = np.eye(4)
    private = [np.linalg.solve(h + 0.5 * eye, q) for h, q in zip(gram, cross)]
    pooled = np.linalg.solve(gram.mean(axis=0) + 0.5 * eye, cross.mean(axis=0))
    mean_readout, readouts = ref.equilibrium(gram, cross, 0.5, 1e-9)
    assert mean_readout == pytest.approx(np.mean(private, axis=0), rel=1e-6)
    assert readouts == pytest.approx(np.array(private), rel=1e-6)
    mean_readout, readouts = ref.equilibrium(gram, cross, 0.5, 1e8)
    assert mean_readout == pytest.approx(pooled, rel=1e-5)
    assert readouts == pytest.approx(np.tile(pooled, (12, 1)), rel=1e-5)


def test_without_a_ridge_it_is_generalised_least_squares():
    """Swamy's random coefficients: y = z'theta_i + noise, theta_i ~ (Theta, tau^2 I)."""
    rng = np.random.default_rng(3)
    sigma2, tau2, p = 0.7, 0.2, 3
    features = rng.normal(size=(9, 6, p))
    y = rng.normal(size=(9, 6))
    weight, right = np.zeros((p, p)), np.zeros(p)
    for z, target in zip(features, y):
        precision = np.linalg.inv(tau2 * z @ z.T + sigma2 * np.eye(6))
        weight += z.T @ precision @ z
        right += z.T @ precision @ target
    gram = np.einsum("ntp,ntq->npq", features, features)
    cross = np.einsum("ntp,nt->np", features, y)
    mean_readout, _ = ref.equilibrium(gram, cross, 0.0, sigma2 / tau2)
    assert mean_readout == pytest.approx(np.linalg.solve(weight, right), rel=1e-10)


def test_the_lagged_iteration_contracts_to_the_equilibrium():
    gram, cross = (0.1 * values for values in clients())
    ridge, pooling = 1.0, 10.0
    inverses = [np.linalg.inv(h + (ridge + pooling) * np.eye(4)) for h in gram]
    radius = np.abs(np.linalg.eigvals(pooling * np.mean(inverses, axis=0))).max()
    assert radius <= pooling / (ridge + pooling)
    wanted, _ = ref.equilibrium(gram, cross, ridge, pooling)
    mean_readout, gaps = np.zeros(4), []
    for _ in range(60):
        mean_readout = np.mean(
            [ref.best_readout(h, q, ridge, pooling, mean_readout) for h, q in zip(gram, cross)],
            axis=0,
        )
        gaps.append(np.linalg.norm(mean_readout - wanted))
    assert gaps[40] <= radius**40 * gaps[0] * (1.0 + 1e-9)
    assert gaps[40] / gaps[39] == pytest.approx(radius, rel=0.05)


@pytest.mark.parametrize("effort", [0.01, 1.0, 100.0])
def test_a_price_of_change_solves_the_riccati_equation(effort):
    gram, _ = clients()
    system = gram[0] + 11.0 * np.eye(4)
    wanted = ref.effort_step(system, 0.5, effort)
    found = ref.effort_step_by_riccati(system, 0.5, effort, horizon=3000)
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-14)


def test_an_aggregate_is_moved_by_no_tenth():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(100, 3))
    lied = values.copy()
    lied[:10] = 1e6
    for kind, allowed in (("trimmed", 0.3), ("clip", 1.0), ("mean", np.inf)):
        honest, moved = ref.Aggregate(kind), ref.Aggregate(kind)
        for _ in range(40):
            gap = np.abs(moved(lied) - honest(values)).max()
        assert gap < allowed
        assert (gap > 1e4) == (kind == "mean")
