"""A panel among liars, sleepers, late joiners and bad values: the honest must not suffer."""

from __future__ import annotations

import numpy as np
import pytest
from panel_study import LIES, lied

import memoa
import reference_panel as ref
from helpers import random_panel
from memoa import datasets
from memoa.datasets.panel_inputs import panel_inputs

SERIES = datasets.similar_households(40, 400)
LIARS = np.arange(40) % 10 == 3


def errors(series, **options):
    """The run's errors over those of repeating the last value, one per client."""
    awake = options.pop("awake", series.awake)
    panel = memoa.Panel(len(series.ids), **options)
    run = panel.run(series.X, series.Y, initial=series.initial, awake=awake)
    return run, run.relative_rmse()


@pytest.mark.parametrize("lie", LIES)
def test_a_tenth_that_lies_costs_the_honest_less_than_a_hundredth(lie):
    honest = errors(SERIES)[1][~LIARS].mean()
    assert errors(lied(SERIES, lie, LIARS))[1][~LIARS].mean() < 1.01 * honest


def test_a_tenth_that_lies_in_what_it_sends_is_cut_away():
    """The twin's clients learn honestly and send lies; a plain mean is lost to them."""
    few, honest = datasets.similar_households(30, 120), np.arange(30) % 10 != 3

    def error(lie, aggregate="trimmed"):
        def tamper(values, step):
            return np.where(honest[:, None], values, lie(values))

        panel = ref.Panel(30, aggregate=aggregate, tamper=tamper)
        forecasts = panel.run(few.X, few.Y, initial=few.initial)
        return ref.relative_errors(forecasts, few.Y, few.initial)[honest].mean()

    def constants(values):
        return np.full_like(values, 1e3)

    clean = error(lambda values: values)
    assert error(constants) < 1.01 * clean
    assert error(lambda v: 1e3 * np.random.default_rng(0).normal(size=v.shape)) < 1.01 * clean
    assert error(lambda values: -values) < 1.01 * clean
    assert error(constants, "mean") > 2.0 * clean


def test_half_asleep_costs_less_than_a_hundredth():
    awake = np.random.default_rng(0).random(SERIES.Y.shape[:2]) < 0.5
    assert errors(SERIES, awake=awake)[1].mean() < 1.01 * errors(SERIES)[1].mean()


@pytest.mark.parametrize("seed", range(3))
def test_late_joiners_gain_in_their_first_steps(seed):
    series = datasets.late_joiners(40, 400, random_state=seed)
    late = np.isnan(series.initial[:, 0])
    assert late.sum() == 12
    together, _ = errors(series)
    alone, _ = errors(series, pooling=0.0, consensus=0.0)
    scored = np.cumsum(~np.isnan(together.predictions - series.Y), axis=0)
    first = (scored >= 1) & (scored <= 20) & late[:, None]
    unit = together.repeat_last_rmse[:, None]
    mine, theirs = (
        np.nansum(((run.predictions - series.Y) / unit) ** 2 * first) for run in (together, alone)
    )
    assert mine < 0.9**2 * theirs


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_bad_value_harms_no_other_client_and_passes(dtype):
    clean = np.concatenate([SERIES.initial, SERIES.Y[:, :, 0].T], axis=1).T
    spoilt = clean.copy()
    spoilt[150, 7] = 1e6
    runs = []
    for y in (clean, spoilt):
        X, _ = panel_inputs(y, 4, 24, True)
        run = memoa.Panel(40, dtype=dtype).run(X[:-1], y[1:], initial=y[0])
        runs.append(np.abs(run.predictions[:, :, 0] - clean[1:]))
    before, after = (np.sqrt(np.mean(error**2, axis=0)) for error in (runs[0], runs[1]))
    others = np.arange(40) != 7
    assert (after[others] < 1.005 * before[others]).all()
    later = slice(210, None)
    before, after = (np.sqrt(np.mean(error[later, 7] ** 2)) for error in runs)
    assert after < 1.1 * before


@pytest.mark.parametrize("encoder", [memoa.Linear(), memoa.RandomFeatures(5, "cos")], ids=repr)
def test_bad_values_are_bounded_as_in_the_slow_twin(encoder):
    X, Y, initial, awake = random_panel(n_steps=100)
    rng = np.random.default_rng(1)
    X[rng.random(X.shape) < 0.03] *= 1e5
    Y[rng.random(Y.shape) < 0.03] *= 1e3
    twin = ref.Linear() if encoder == memoa.Linear() else ref.RandomFeatures(5, "cos")
    wanted = ref.Panel(11, twin).run(X, Y, initial=initial, awake=awake)
    panel = memoa.Panel(11, encoder)
    run = panel.run(X, Y, initial=initial, awake=awake)
    np.testing.assert_allclose(run.predictions, wanted, rtol=1e-9)
    again = memoa.Panel(11, encoder).observe(initial)
    for t in range(100):
        np.testing.assert_array_equal(again.predict_one(X[t]), run.predictions[t])
        again.learn_one(X[t], Y[t], awake[t])
    assert again.under_performer == panel.under_performer
