"""What a panel is compared with: clients on their own, one readout for all, smoothing."""

from __future__ import annotations

from collections.abc import Callable

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
    panel = Panel(len(series.ids), ridge=ridge, pooling=0.0, consensus=0.0, n_threads=n_threads)
    return panel.run(series.X, series.Y, initial=series.initial).predictions


def greedy(series: PanelSeries, n_threads: int | None) -> Float64:
    """Return the same with the small ridge of a greedy agent of an ensemble."""
    return alone(series, n_threads, ridge=GREEDY_RIDGE)


def mix_of_ridges(series: PanelSeries, n_threads: int | None) -> Float64:
    """Combine four private ridges per client, by exponential weights of their errors."""
    rivals = np.stack([alone(series, n_threads, ridge=ridge) for ridge in RIDGES])
    losses = np.nan_to_num((rivals - series.Y) ** 2)
    before, counts = np.zeros_like(losses), np.zeros_like(losses[0])
    np.cumsum(losses[:, :-1], axis=1, out=before[:, 1:])
    np.cumsum(~np.isnan(rivals[0] - series.Y)[:-1], axis=0, out=counts[1:])
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
    base, out = series.initial[:, 0].copy(), np.full((n_steps, n_clients, 1), np.nan)
    for t in range(n_steps):
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
        y = series.Y[t, :, 0]
        learns = here & ~np.isnan(y)
        gram = known * gram + z[learns].T @ z[learns]
        change = (y - base)[learns]
        cross[learns] = known * cross[learns] + z[learns] * change[:, None]
        squares[learns] += change**2
        learnt += learns
        base = np.where(np.isnan(y), base, y)
    return out


def smoothing(series: PanelSeries, n_threads: int | None) -> Float64:
    """Smooth exponentially, with the weight that was best for the client so far."""
    values = np.concatenate([series.initial[None], series.Y])[:, :, 0]
    n_steps, n_clients = series.Y.shape[:2]
    levels = np.full((len(SMOOTHING), n_clients), np.nan)
    losses, out = np.zeros_like(levels), np.full(series.Y.shape, np.nan)
    weight = np.array(SMOOTHING)[:, None]
    for t in range(n_steps + 1):
        y = values[t]
        if t > 0:
            best = losses.argmin(axis=0)
            out[t - 1, :, 0] = levels[best, np.arange(n_clients)]
            losses += np.nan_to_num((y - levels) ** 2)
        smooth = levels + weight * (y - levels)
        levels = np.where(np.isnan(y), levels, np.where(np.isnan(levels), y, smooth))
    return out


def repeat_last(series: PanelSeries, n_threads: int | None) -> Float64:
    """The last value seen."""
    values = np.concatenate([series.initial[None], series.Y])[:-1, :, 0]
    return fill_forward(values)[:, :, None]


RIVALS: dict[str, Rival] = {
    "greedy": greedy,
    "private ridge": alone,
    "mix of ridges": mix_of_ridges,
    "pooled readout": pooled_readout,
    "exponential smoothing": smoothing,
    "repeat last value": repeat_last,
}
"""What a panel is compared with, by the names in the tables."""
