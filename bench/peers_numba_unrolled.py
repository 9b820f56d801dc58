"""The step in Numba with the fused pass generated for one (p, d, dx): what unrolling can give.

Not what one writes by hand: the text of the kernel is some two hundred (p = 8) to six hundred
(p = 16) lines of scalar code inside one loop over lanes, which LLVM turns into vectors, and it
takes seconds to minutes to compile. It is here because it is the fastest Numba that we know of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, prange
from peers import Array
from peers_numba import NumbaBlocks


def source(p: int, d: int, dx: int, lanes: int) -> str:
    """The kernel's text; rows of a block in the order of `NumbaBlocks`."""
    packed = p * (p + 1) // 2
    cross, V = packed, packed + d * p
    v, z, c = V + p * dx, V + p * dx + p, V + p * dx + 2 * p
    rows = c + 2 * d + 2
    lines: list[str] = []
    put = lines.append

    def at(row: int) -> str:
        return f"s[b + (U({row * lanes}) + l)]"

    def minus(first: str, products: list[str]) -> str:
        return " - ".join([first, *products])

    for k in range(p):
        put(f"z{k} = {at(z + k)}")
    for r in range(p):
        for q in range(r + 1):
            row = at(r * (r + 1) // 2 + q)
            put(f"h{r}_{q} = lam * {row} + z{r} * z{q}")
            put(f"{row} = h{r}_{q}")
    for o in range(d):
        for k in range(p):
            put(f"q{o}_{k} = lam * {at(cross + o * p + k)} + z{k} * y{o}")
            put(f"{at(cross + o * p + k)} = q{o}_{k}")
    for k in range(p):
        terms = [f"{at(V + k * dx + j)} * x{j}" for j in range(dx)]
        put(f"t = {at(v + k)} + " + " + ".join(terms))
        put(f"z{k} = norm * (t if t > zero else zero)")
        put(f"{at(z + k)} = z{k}")
    put(f"{at(c + d)} = " + " + ".join(f"z{k} * z{k}" for k in range(p)))
    for r in range(p):
        for q in range(r + 1):
            value = minus(f"h{r}_{q}", [f"h{r}_{k} * h{q}_{k}" for k in range(q)])
            put(
                f"h{r}_{q} = ({value}) * h{q}_{q}"
                if q < r
                else f"h{r}_{r} = one / np.sqrt({value} + ridge)"
            )
        put(f"w{r} = ({minus(f'z{r}', [f'h{r}_{k} * w{k}' for k in range(r)])}) * h{r}_{r}")
    for r in reversed(range(p)):
        later = [f"h{k}_{r} * w{k}" for k in range(r + 1, p)]
        put(f"w{r} = ({minus(f'w{r}', later)}) * h{r}_{r}")
    for o in range(d):
        put(f"{at(c + o)} = " + " + ".join(f"q{o}_{k} * w{k}" for k in range(p)))

    head = [
        "def blocks(s, first, last, x, change, numbers):",
        "    lam, ridge, norm = numbers[0], numbers[1], numbers[2]",
        "    zero, one = lam - lam, lam / lam",
        *(f"    x{j} = x[{j}]" for j in range(dx)),
        *(f"    y{o} = change[{o}]" for o in range(d)),
        "    for block in range(first, last):",
        f"        b = U(block) * U({rows * lanes})",
        f"        for l in range(U({lanes})):",
    ]
    return "\n".join(head + [" " * 12 + line for line in lines])


@lru_cache
def compiled(p: int, d: int, dx: int, lanes: int) -> Callable[..., None]:
    """The threaded sweep around the generated kernel."""
    namespace: dict[str, Any] = {"np": np, "U": np.uint64}
    exec(source(p, d, dx, lanes), namespace)
    blocks = njit(error_model="numpy")(namespace["blocks"])

    @njit(error_model="numpy", parallel=True)
    def sweep(s, count, x, change, numbers, parts):  # type: ignore[no-untyped-def]
        for part in prange(parts):
            piece = np.int64(part)
            first, last = count * piece // parts, count * (piece + 1) // parts
            blocks(s, first, last, x, change, numbers)

    made: Callable[..., None] = sweep
    return made


class NumbaUnrolled(NumbaBlocks):
    """The fastest Numba that we know of."""

    name, runs = "Numba, generated", False

    def choose_lanes(self) -> int:
        """256 bytes a row: the most that was faster than fewer."""
        return 256 // np.dtype(self.dtype).itemsize

    def sweep(self, x: Array) -> None:
        case = self.case
        run = compiled(case.n_features, case.n_outputs, case.n_inputs, self.lanes)
        flat = self.state.reshape(-1)
        run(flat, len(self.state), x, self.change, self.numbers, self.parts)
