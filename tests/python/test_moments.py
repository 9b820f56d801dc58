"""feature_moments against Monte Carlo, the closed forms' twins and limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from reference_social import cos_moments, relu_moments

ACTIVATIONS = {
    "relu": (lambda a: np.maximum(a, 0.0), relu_moments),
    "cos": (np.cos, cos_moments),
}


def variances(moments):
    return np.diagonal(moments.cov, axis1=-2, axis2=-1).swapaxes(-1, -2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_monte_carlo(activation):
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=(2, 3)), rng.uniform(0.2, 2.0, size=(2, 3))
    moments = memoa.feature_moments(activation=activation, mean=mean, std=std)
    draws = ACTIVATIONS[activation][0](mean + std * rng.normal(size=(400_000, 2, 3)))
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - moments.mean) < 4.5 * error)
    spread = (draws - moments.mean) ** 2
    error = spread.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(spread.mean(axis=0) - variances(moments)) < 4.5 * error)


@given(
    activation=st.sampled_from(list(ACTIVATIONS)),
    mean=st.floats(-30.0, 30.0),
    std=st.floats(1e-3, 30.0),
)
def test_closed_forms(activation, mean, std):
    moments = memoa.feature_moments(activation=activation, mean=[[mean]], std=std)
    expected = ACTIVATIONS[activation][1](np.array([[mean]]), np.array([[std]]))
    scale = max(1.0, mean**2, std**2)
    np.testing.assert_allclose(moments.mean, expected[0], rtol=1e-12, atol=1e-14 * scale)
    np.testing.assert_allclose(variances(moments), expected[1], rtol=1e-9, atol=1e-14 * scale)
    assert np.all(moments.cov >= 0.0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_certain_input_has_a_certain_feature(activation):
    mean = np.array([[-1.0, 0.0, 2.0]])
    moments = memoa.feature_moments(activation=activation, mean=mean, std=0.0)
    np.testing.assert_allclose(moments.mean, ACTIVATIONS[activation][0](mean), rtol=1e-15)
    assert np.all(moments.cov == 0.0)


def test_sample_moments():
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(50, 4, 2, 3))
    moments = memoa.feature_moments(samples)
    assert moments.mean.shape == (4, 2, 3)
    assert moments.cov.shape == (4, 3, 2, 2)
    np.testing.assert_allclose(moments.mean, samples.mean(axis=0), atol=1e-15)
    for t in range(4):
        for k in range(3):
            np.testing.assert_allclose(
                moments.cov[t, k], np.cov(samples[:, t, :, k].T, bias=True), atol=1e-14
            )
    stage = memoa.feature_moments(samples[:, 0])
    np.testing.assert_allclose(stage.cov, moments.cov[0], atol=1e-15)
    assert memoa.Game(*moments, np.zeros((4, 2))).horizon == 4


def test_bad_input():
    with pytest.raises(TypeError, match="expected either samples, or all of"):
        memoa.feature_moments(activation="relu", mean=[[0.0]])
    with pytest.raises(TypeError, match="expected either samples, or all of"):
        memoa.feature_moments(np.ones((2, 1, 1)), activation="relu")
    with pytest.raises(ValueError, match="activation is 'tanh'"):
        memoa.feature_moments(activation="tanh", mean=[[0.0]], std=1.0)
    with pytest.raises(ValueError, match=r"std holds -1\.0"):
        memoa.feature_moments(activation="relu", mean=[[0.0]], std=-1.0)
    with pytest.raises(ValueError, match=r"std has shape \(3,\); expected one that broadcasts"):
        memoa.feature_moments(activation="relu", mean=[[0.0, 1.0]], std=np.ones(3))
    with pytest.raises(ValueError, match=r"mean has shape \(2,\)"):
        memoa.feature_moments(activation="relu", mean=[0.0, 1.0], std=1.0)
    with pytest.raises(ValueError, match=r"samples holds .*nan at \[0, 0, 0\]"):
        memoa.feature_moments([[[np.nan]]])
    with pytest.raises(ValueError, match=r"samples has shape \(3,\)"):
        memoa.feature_moments(np.ones(3))
