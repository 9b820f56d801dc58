"""memoa's step against the same step in other libraries, each checked before it is timed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
import peers
from interleaving import Task, interleaved, ratio
from peers import Case
from population_sections import TILE, Plan, Row, Stepper, nanoseconds


def cases(plan: Plan) -> Iterator[Case]:
    """One output; several at one size; a million agents where all peers fit the memory."""
    for case in plan.cases((1,)):
        if case.n_agents < 10**6 or case.n_features == 8:
            yield case
    yield Case(10**3 if plan.quick else 10**4, 8, 4)


@lru_cache
def disagreement(name: str, checked: Case, threads: int) -> float:
    """How far a peer is off memoa; an error where that is too far."""
    off = peers.disagreement(peers.load(name), checked, threads)
    if not off <= peers.TOLERANCE[checked.dtype]:
        raise AssertionError(f"{name} is {off:.2g} off memoa at {checked}")
    return off


def task(peer: Any, xs: np.ndarray, ys: np.ndarray, case: Case) -> Task:
    """One step, or a run of them all where that is what the peer is for."""
    if peer.runs:
        return Task(lambda: peer.run(xs, ys), case.n_agents * len(xs))
    return Task(lambda: peer.step(xs[-1], ys[-1]), case.n_agents)


def against_peers(plan: Plan) -> Iterator[Row]:
    """Every peer in turn with memoa's step, or with its run where the peer does whole runs."""
    for case in cases(plan):
        threads = plan.most
        checked = Case(peers.DRAWN, case.n_features, case.n_outputs, case.dtype)
        off = {name: disagreement(name, checked, threads) for name in plan.peers}
        large = case.n_agents >= 10**5
        n_steps = TILE // 4 if large else TILE  # a scan's steps cost the same, however many
        stream = peers.make_stream(n_steps, case.n_inputs, case.n_outputs)
        xs, ys = (a.astype(case.float_type) for a in (stream.standardised, stream.Y))
        weights = peers.encoder_weights(case)
        tasks, ours = {"memoa": Stepper(case, threads).task()}, {}
        for name in plan.peers:
            peer: Any = peers.load(name)(case, weights, stream.initial, threads)
            tasks[name] = task(peer, xs, ys, case)
            ours[name] = "memoa run" if peer.runs else "memoa"
        if "memoa run" in ours.values():
            tasks["memoa run"] = Stepper(case, threads).run_task()
        seconds = interleaved(tasks, plan.rounds(case.n_agents))
        for name in plan.peers:
            yield {
                "case": asdict(case) | {"threads": threads, "peer": name},
                "ns": nanoseconds(seconds[name]),
                "memoa ns": nanoseconds(seconds[ours[name]]),
                "times faster": ratio(seconds[name], seconds[ours[name]]),
                "disagreement": off[name],
            }
        del tasks, peer, weights
        gc.collect()
