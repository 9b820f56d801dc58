"""What a panel is compared with: clients on their own, one readout for all, smoothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from memoa._validate import Float64
from memoa.datasets.panel_inputs import fill_forward
from memoa.datasets.panels import PanelSeries
from memoa.panel import Panel

GREEDY_RIDGE, PRIVATE_RIDGE = 0.1, 1.0
RIDGES = (0.1, 1.0, 10.0, 100.0)
SMOOTHING = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
Rival = Callable[[PanelSeries, int | None], Float64]


def alone(series: PanelSeries, n_threads: int | None, *, ridge: float = PRIVATE_RIDGE) -> Float64:
    """Return forecasts (T, N, 1) of clients that exchange nothing."""
    settings: Any = {"ridge": ridge, "pooling": 0.0, "consensus": 0.0, "delay": series.delay}
    panel = Panel(len(series.ids), n_threads=n_threads, **settings)
    return panel.run(series.X, series.Y, initial=series.before).predictions


def greedy(series: PanelSeries, n_threads: int | None) -> Float64:
    """Return the same with the small ridge of a greedy agent of an ensemble."""
    return alone(series, n_threads, ridge=GREEDY_RIDGE)


def mix_of_ridges(series: PanelSeries, n_threads: int | None) -> Float64:
    """Combine four private ridges per client, by exponential weights of their errors."""
    rivals = np.stack([alone(series, n_threads, ridge=ridge) for ridge in RIDGES])
    losses = np.nan_to_num((rivals - series.Y) ** 2)
    before, counts = np.zeros_like(losses), np.zeros_like(losses[0])
    known, late = max(len(series.Y) - 1 - series.delay, 0), 1 + series.delay
    np.cumsum(losses[:, :known], axis=1, out=before[:, late:])
    np.cumsum(~np.isnan(rivals[0] - series.Y)[:known], axis=0, out=counts[late:])
    noise = 8.0 * before.min(axis=0) / np.maximum(counts, 1.0)
    lead = before - before.min(axis=0)
    weights = np.exp(-np.divide(lead, noise, out=np.zeros_like(lead), where=noise > 0.0))
    mixed: Float64 = np.sum(weights * rivals, axis=0) / weights.sum(axis=0)
    return mixed


def pooled_readout(series: PanelSeries, n_threads: int | None) -> Float64:
    """Fit one ridge regression to the data of all clients, each in its own units; ridge 1."""
    n_steps, n_clients, n_inputs = series.X.shape
    p, known = n_inputs + 1, 0.998
    gram, cross = np.zeros((p, p)), np.zeros((n_clients, p))
    mean, deviations = np.zeros((2, n_clients, n_inputs))
    counted, learnt, squares = np.zeros((3, n_clients))
    bases, out = repeat_last(series, n_threads)[:, :, 0], np.full((n_steps, n_clients, 1), np.nan)
    shown: list[Float64] = []  # features of every step
    for t in range(n_steps):
        base = bases[t]
        here = ~np.isnan(base)
        counted += here
        share = 1.0 / np.maximum(counted, 1)[:, None]
        apart = np.where(here[:, None], series.X[t] - mean, 0.0)
        mean += apart * share
        deviations += apart * (series.X[t] - mean)
        std = np.sqrt(deviations * share)
        x = np.divide(series.X[t] - mean, std, out=np.zeros_like(std), where=std > 0.0)
        z = np.column_stack([np.ones(n_clients), np.clip(x, -4.0, 4.0)]) / np.sqrt(p)
        scale = np.sqrt(squares / np.maximum(learnt, 1))
        moves = scale > 0.0
        own = (cross[moves] / scale[moves, None]).sum(axis=0) / max(moves.sum(), 1)
        readout = np.linalg.solve(gram / max(moves.sum(), 1) + PRIVATE_RIDGE * np.eye(p), own)
        out[t, :, 0] = base + scale * (z @ readout)
        shown.append(z)
        if t < series.delay:
            continue
        z, change = shown[t - series.delay], (series.Y[:, :, 0] - bases)[t - series.delay]
        learns = ~np.isnan(change)
        change = change[learns]
        gram = known * gram + z[learns].T @ z[learns]
        cross[learns] = known * cross[learns] + z[learns] * change[:, None]
        squares[learns] += change**2
        learnt += learns
    return out


def smoothing(series: PanelSeries, n_threads: int | None) -> Float64:
    """Smooth exponentially, with the weight that was best for the client so far."""
    values, delay = _known(series), series.delay
    n_steps, n_clients = series.Y.shape[:2]
    levels = np.full((len(SMOOTHING), n_clients), np.nan)
    losses, out = np.zeros_like(levels), np.full(series.Y.shape, np.nan)
    weight = np.array(SMOOTHING)[:, None]
    shown: list[Float64] = []  # the levels at every step
    for t in range(n_steps):
        y = values[t]
        if t > delay:
            losses += np.nan_to_num((y - shown[t - 1 - delay]) ** 2)
        smooth = levels + weight * (y - levels)
        levels = np.where(np.isnan(y), levels, np.where(np.isnan(levels), y, smooth))
        out[t, :, 0] = levels[losses.argmin(axis=0), np.arange(n_clients)]
        shown.append(levels)
    return out


def repeat_last(series: PanelSeries, n_threads: int | None) -> Float64:
    """The last value known."""
    return fill_forward(_known(series))[:, :, None]


def _known(series: PanelSeries) -> Float64:
    """Return the values (T, N) that become known just before each step."""
    before = series.before.reshape(-1, *series.initial.shape)
    return np.concatenate([before, series.Y])[: len(series.Y), :, 0]


RIVALS: dict[str, Rival] = {
    "greedy": greedy,
    "private ridge": alone,
    "mix of ridges": mix_of_ridges,
    "pooled readout": pooled_readout,
    "exponential smoothing": smoothing,
    "repeat last value": repeat_last,
}
"""What a panel is compared with, by the names in the tables."""
