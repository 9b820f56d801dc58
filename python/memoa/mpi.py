"""Agents on several machines: the door to MPI, by way of mpi4py.

Start a program with ``mpiexec -n 4 python program.py``, and hand `communicator()` to whatever takes
one: `memoa.OnlineEnsemble`, `memoa.Panel`, `memoa.simulate`. Every process runs the same program on
the same data and holds its share of the agents; all compute the bits that one process would.
``pip install "memoa[mpi]"`` brings mpi4py and an MPI.
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Communicator:
    """Sums and largest values over the processes of an MPI communicator.

    An engine needs no more of it than `rank`, `size`, `add`, `max` and `gather`: whatever else has
    these five will do in its place.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        How many there are.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm.Dup()  # nobody else's messages
        self.rank = int(comm.Get_rank())
        self.size = int(comm.Get_size())
        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.neighbours = int(node.Get_size())  # processes on this machine, this one included
        node.Free()

    def add(self, words: NDArray[np.int64]) -> None:
        """Let words[k] become the sum over all processes of their words[k]."""
        self._comm.Allreduce(self._mpi.IN_PLACE, words, self._mpi.SUM)

    def max(self, values: NDArray[np.float64]) -> None:
        """Let values[k] become the largest of all processes' values[k]."""
        self._comm.Allreduce(self._mpi.IN_PLACE, values, self._mpi.MAX)

    def gather(self, array: NDArray[Any]) -> list[NDArray[Any]] | None:
        """All processes' arrays in the process of rank 0, None in the others."""
        found: list[NDArray[Any]] | None = self._comm.gather(array, root=0)
        return found

    def abort(self) -> None:
        """End all processes, at once and with an error."""
        self._comm.Abort(1)

    def __deepcopy__(self, memo: Any) -> Communicator:
        """A copied ensemble speaks to the same processes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """It cannot be: what it stands for is this run of the processes."""
        raise TypeError("a communicator cannot be pickled; save an ensemble by its save method")

    def __repr__(self) -> str:
        """Rank and size."""
        return f"Communicator(rank={self.rank}, size={self.size})"


def communicator(comm: Any = None) -> Communicator:
    """Make a communicator of an mpi4py communicator; all its processes call this.

    From then on an error that nobody catches in one of the processes ends all of them, instead of
    leaving the others to wait for it.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Default: ``MPI.COMM_WORLD``, all processes.

    Returns
    -------
    Communicator

    Raises
    ------
    ImportError
        Without mpi4py: ``pip install "memoa[mpi]"``.
    """
    # where there are more processes than processors, those that wait shall give way (MPICH)
    os.environ.setdefault("MPIR_CVAR_POLLS_BEFORE_YIELD", "1")
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError('MPI needs mpi4py and an MPI: pip install "memoa[mpi]"') from error
    made = Communicator(MPI.COMM_WORLD if comm is None else comm)
    if made.size > 1:
        _made.append(made)
        sys.excepthook = _end_all
    return made


def communicator_of_job() -> Communicator | None:
    """The communicator of all processes where ``mpiexec`` started several, else None."""
    started = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE")
    if not any(os.environ.get(name, "1") not in ("", "1") for name in started):
        return None
    made = communicator()
    return made if made.size > 1 else None


def end_job() -> None:
    """End all processes with an error, where there are several: one of them has failed."""
    if _made:
        sys.stdout.flush(), sys.stderr.flush()
        _made[0].abort()


_made: list[Communicator] = []


def _end_all(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    print(f"memoa: process {_made[0].rank} of {_made[0].size} ends all:", file=sys.stderr)
    traceback.print_exception(kind, error, at)
    end_job()
