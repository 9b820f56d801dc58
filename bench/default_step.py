"""What the default's features and their bounds cost a population, without the server's mixture.

    python bench/default_step.py

Processor time of steps (`predict_one`, `learn_one`) and of runs of 16, of agents with the default's
features, which see the past of y, over that of agents with 16 dense relu features of x alone. And
of a mix of four encoders over the mean of the four by themselves. Rounds take turns; quartiles of
their ratios, and the best ratio of the least times.
"""

from __future__ import annotations

from time import process_time

import numpy as np
from interleaving import Task, interleaved, ratio

import memoa
from experiments.encoders import KINDS, MIX, POPULATIONS

N_AGENTS, N_INPUTS, STEPS, ROUNDS = 4096, 4, 16, 15
SERVER = memoa.Mixture(window=0, fallback=False, rivals=False, start=0)
PLAIN = {"encoder": memoa.RandomFeatures(16), "lags": 0, "season": None, "bounded": False}


def task(dtype: str, steps: int, **settings: object) -> Task:
    """A run of so many steps, or single ones; the population has been running for a while."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(STEPS, N_INPUTS)), rng.normal(size=(STEPS, 1))
    model = memoa.OnlineEnsemble(
        N_AGENTS,
        dtype=dtype,
        n_threads=1,
        mixture=SERVER,
        **settings,  # type: ignore[arg-type]
    )
    model.run(x, y, initial=[0.0])

    def call() -> None:
        if steps > 1:
            model.run(x, y)
            return
        for one, target in zip(x, y):
            model.predict_one(one)
            model.learn_one(one, target)

    return Task(call, STEPS * N_AGENTS)


def compare(dtype: str, steps: int, tasks: dict[str, Task], over: str, what: str) -> None:
    """Print the first task's time, and its ratio to the mean of the others."""
    seconds = interleaved(tasks, ROUNDS, clock=process_time)
    first, *others = seconds
    mean = np.mean([seconds[name] for name in others], axis=0)
    found = ratio(seconds[first], list(mean))
    least = {name: min(values) for name, values in seconds.items()}
    print(
        f"{dtype}, {'single steps' if steps == 1 else 'a run'}: {what} "
        f"{least[first] * 1e9:.0f} ns per agent and step, "
        f"{least[first] / np.mean([least[name] for name in others]):.2f} times {over} "
        f"(median of rounds {found['median']:.2f}, "
        f"quartiles {found['q1']:.2f} and {found['q3']:.2f})"
    )


def main() -> None:
    for dtype in ("float64", "float32"):
        for steps in (1, STEPS):
            tasks = {"default": task(dtype, steps), "plain": task(dtype, steps, **PLAIN)}
            compare(dtype, steps, tasks, "the plain one's", "the default")
    for dtype in ("float64", "float32"):
        for steps in (1, STEPS):
            tasks = {name: task(dtype, steps, encoder=POPULATIONS[name]) for name in (MIX, *KINDS)}
            compare(dtype, steps, tasks, "the mean of its four encoders'", "a mix")


if __name__ == "__main__":
    main()
