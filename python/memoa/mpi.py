"""Agents on several machines, with MPI through mpi4py.

Start a program with ``mpiexec -n 4 python program.py``, and pass `communicator()` to
`memoa.OnlineEnsemble`, `memoa.Panel` or `memoa.simulate`. Every process runs the same program on
the same data and has its share of the agents. The results have the same bits as with one process.
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

__all__ = ["Communicator", "communicator"]


class Communicator:
    """Computes sums and maxima over the processes of an MPI communicator.

    An engine needs only `rank`, `size`, `add`, `max` and `gather`, so any object with these five
    can replace it.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        Number of processes.

    Examples
    --------
    A program for ``mpiexec -n 2 python program.py``::

        import memoa.mpi

        world = memoa.mpi.communicator()
        ensemble = memoa.OnlineEnsemble(2048, communicator=world)
        print(f"process {world.rank} of {world.size} has the agents {ensemble.agents}")
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm.Dup()  # separate from all other messages
        self.rank = int(comm.Get_rank())
        self.size = int(comm.Get_size())
        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.neighbours = int(node.Get_size())  # processes on this machine, this one included
        node.Free()

    def add(self, words: NDArray[np.int64]) -> None:
        """Set words[k] to the sum of all processes' words[k]."""
        self._comm.Allreduce(self._mpi.IN_PLACE, words, self._mpi.SUM)

    def max(self, values: NDArray[np.float64]) -> None:
        """Set values[k] to the largest of all processes' values[k]."""
        self._comm.Allreduce(self._mpi.IN_PLACE, values, self._mpi.MAX)

    def gather(self, array: NDArray[Any]) -> list[NDArray[Any]] | None:
        """Return all processes' arrays in the process of rank 0, None in the others."""
        found: list[NDArray[Any]] | None = self._comm.gather(array, root=0)
        return found

    def abort(self) -> None:
        """End all processes immediately, with an error."""
        self._comm.Abort(1)

    def __deepcopy__(self, memo: Any) -> Communicator:
        """Return self: a copied ensemble uses the same processes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse: a communicator belongs to the running processes."""
        raise TypeError("a communicator cannot be pickled; save an ensemble by its save method")

    def __repr__(self) -> str:
        """Show rank and size."""
        return f"Communicator(rank={self.rank}, size={self.size})"


def communicator(comm: Any = None) -> Communicator:
    """Make a communicator from an mpi4py communicator; all its processes must call this.

    From then on, an uncaught error in one process ends all processes, so that the others do not
    wait forever.

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
    # with more processes than processors, waiting processes should yield (MPICH)
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
    """Return the communicator of all processes if ``mpiexec`` started several, else None."""
    started = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE")
    if not any(os.environ.get(name, "1") not in ("", "1") for name in started):
        return None
    made = communicator()
    return made if made.size > 1 else None


def end_job() -> None:
    """End all processes with an error if there are several; this one has failed."""
    if _made:
        sys.stdout.flush(), sys.stderr.flush()
        _made[0].abort()


_made: list[Communicator] = []


def _end_all(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    print(f"memoa: process {_made[0].rank} of {_made[0].size} ends all:", file=sys.stderr)
    traceback.print_exception(kind, error, at)
    end_job()
