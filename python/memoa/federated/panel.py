"""A federated panel: clients send readouts, the server sends back the crowd's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._saved import panel_params
from memoa._validate import Float64, as_choice, as_int
from memoa.encoder import Linear, Precomputed, RandomFeatures
from memoa.federated.messages import Message, array, note_of, read, written
from memoa.panel import Panel
from memoa.panel_run import PanelRun

SERVER = "the server"


class PanelClient:
    """Some members of a federated panel, whose series and forecasts never leave it.

    A member corresponds to a client of `memoa.Panel`: it has its own series. Between exchanges
    members forecast and learn on their own, with the crowd's readout that they received last. At an
    exchange they send their readouts and receive the crowd's. An engine: it owns what was learnt.

    Parameters
    ----------
    n_members : int
        Number of members (series) of this process.
    encoder : Linear, RandomFeatures or Precomputed
        Must be the same in the whole federation, like `random_state`, so that readouts are
        comparable.
    pooling, ridge, forgetting, n_threads, random_state
        As in `memoa.Panel`.

    Notes
    -----
    Theory section 8, docs/theory.md, without the consensus of (8.3): the crowd's forecast is a sum
    over all clients in every step, so every step would need an exchange. This is ``memoa.Panel(...,
    consensus=0.0)`` whose clients are awake only at exchanges.

    Examples
    --------
    >>> import memoa
    >>> from memoa.federated import PanelClient, PanelServer
    >>> series = memoa.datasets.similar_households(n_clients=4, n=100)
    >>> clients = [PanelClient(2), PanelClient(2)]
    >>> server = PanelServer([2, 2], n_features=series.X.shape[2] + 1)
    >>> replies = {}
    >>> for k, message in server.ask().items():
    ...     mine = slice(2 * k, 2 * k + 2)
    ...     _ = clients[k].receive(message)
    ...     run = clients[k].run(series.X[:24, mine], series.Y[:24, mine])
    ...     replies[k] = clients[k].reply()
    >>> server.hear(replies).shape  # the crowd's readout
    (11, 1)
    """

    def __init__(
        self,
        n_members: int,
        encoder: Linear | RandomFeatures | Precomputed = Linear(),  # noqa: B008 - immutable
        *,
        pooling: float = 10.0,
        ridge: float = 1.0,
        forgetting: float = 0.998,
        n_threads: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.panel = Panel(
            n_members,
            encoder,
            pooling=pooling,
            ridge=ridge,
            consensus=0.0,
            aggregate="mean",
            forgetting=forgetting,
            n_threads=n_threads,
            random_state=random_state,
        )
        self._readout: Float64 | None = None  # the crowd's, until there is an engine

    @property
    def steps(self) -> int:
        """Steps learnt."""
        engine = self.panel._engine
        return 0 if engine is None else engine.steps

    def receive(self, message: Mapping[str, Any]) -> PanelClient:
        """Use the crowd's readout of a message of `PanelServer.ask` from the next step on.

        Raises
        ------
        ValueError, TypeError
            If the message is not of that kind. Then nothing changes.
        """
        readout = array(message, "mean_readout", SERVER, "(n_features, n_outputs)", (None, None))
        _core.require_moderate(f"mean_readout of {SERVER}", readout)
        if self.panel._engine is not None:
            _core.receive_readout(self.panel._engine, readout)
        else:
            self._readout = readout.copy()
        return self

    def run(self, X: ArrayLike, Y: ArrayLike, *, initial: ArrayLike | None = None) -> PanelRun:
        """Forecast and learn the members' next steps; the results stay with the client.

        Parameters
        ----------
        X : array_like, shape (T, n_members, dx), or (T, n_members, p) with Precomputed
            Inputs of every member at every step.
        Y : array_like, shape (T, n_members, d), or (T, n_members) where d = 1, float64
            The members' values; NaN if a member has none.
        initial : array_like, shape (n_members, d), optional
            The values just before the first step, which are observed first.

        Raises
        ------
        ValueError, TypeError
            As in `memoa.Panel.run`. Then nothing is learnt.
        """
        panel = self.panel
        targets = panel._as_targets("Y", Y, (None, panel._n()))
        if panel._engine is None and self._readout is not None:
            inputs = panel._as_inputs(
                X, "(n_steps, n_members, n_inputs)", (len(targets), panel._n())
            )
            if initial is not None:
                panel.observe(initial)
                initial = None
            engine = panel._engine_for(inputs.shape[-1], targets.shape[-1])
            _core.receive_readout(engine, self._readout)
            self._readout = None
        alone = np.zeros(targets.shape[:2], np.bool_)
        return panel.run(X, targets, initial=initial, awake=alone)

    def reply(self) -> Message:
        """Return the members' readouts, for `PanelServer.hear`."""
        engine = self.panel._learnt("reply")
        return {"readouts": engine.readouts(), "present": _core.have_moved(engine)}

    def to_bytes(self) -> bytes:
        """Return the state as the bytes of a state file, without anything executable."""
        return written(lambda path: self.panel.save(path))

    @classmethod
    def from_bytes(cls, state: bytes, *, n_threads: int | None = None) -> PanelClient:
        """Restore a client saved by `to_bytes`; the next results have the same bits.

        Raises
        ------
        ValueError
            If the bytes are not what `to_bytes` made.
        """
        made = cls.__new__(cls)
        made.panel = read(state, lambda path: Panel.load(path, n_threads=n_threads))
        made._readout = None
        return made


class PanelServer:
    """The server of a federated panel: an engine that owns the crowd's readout.

    Parameters
    ----------
    members : sequence of int
        Number of members of each client.
    n_features : int
        Number p of features of the encoder that all clients share: ``dx + 1`` with Linear.
    n_outputs : int
        Number d of values that a member forecasts at a step.
    aggregate : {"trimmed", "mean", "clip"}
        As in `memoa.Panel`, over the members of the clients that reply.

    Notes
    -----
    Theory section 8, docs/theory.md, step 1. The server never sees a series, a forecast or an
    error.

    Examples
    --------
    >>> import memoa
    >>> from memoa.federated import PanelClient, PanelServer
    >>> series = memoa.datasets.similar_households(n_clients=6, n=48)
    >>> members = {k: PanelClient(3) for k in range(2)}  # two clients with three members each
    >>> crowd = PanelServer([3, 3], n_features=series.X.shape[2] + 1)
    >>> for first in range(0, 48, 12):
    ...     messages, replies = crowd.ask(), {}
    ...     for k, client in members.items():
    ...         own, steps = slice(3 * k, 3 * k + 3), slice(first, first + 12)
    ...         _ = client.receive(messages[k])
    ...         start = series.initial[own] if first == 0 else None
    ...         run = client.run(series.X[steps, own], series.Y[steps, own], initial=start)
    ...         replies[k] = client.reply()
    ...     _ = crowd.hear(replies)
    >>> crowd.exchanges
    4
    """

    def __init__(
        self,
        members: Sequence[int],
        n_features: int,
        n_outputs: int = 1,
        *,
        aggregate: Literal["trimmed", "mean", "clip"] = "trimmed",
    ) -> None:
        sizes = [as_int(f"members[{k}]", n, 1) for k, n in enumerate(members)]
        if not sizes:
            raise ValueError("members is empty; expected how many members each client has")
        self.members = tuple(sizes)
        self._shape = as_int("n_features", n_features, 1), as_int("n_outputs", n_outputs, 1)
        self._engine = _core.Panel(
            delay=0,
            n_clients=sum(sizes),
            n_inputs=1,
            n_outputs=n_outputs,
            encoder=Precomputed(n_features)._to_core(),  # it receives readouts, and never encodes
            pooling=0.0,
            ridge=1.0,
            consensus=0.0,
            aggregate=as_choice("aggregate", aggregate, ("trimmed", "mean", "clip")),
            forgetting=1.0,
            seed=0,
            n_threads=0,
            single=False,
            shard=None,
        )

    @property
    def exchanges(self) -> int:
        """Number of exchanges so far."""
        return self._engine.steps

    @property
    def mean_readout(self) -> Float64:
        """The crowd's readout, shape (p, d), a new array."""
        return self._engine.mean_readout()

    def ask(self) -> dict[int, Message]:
        """Return a message for each client, with the crowd's present readout."""
        return {k: {"mean_readout": self.mean_readout} for k in range(len(self.members))}

    def hear(self, replies: Mapping[int, Mapping[str, Any]]) -> Float64:
        """Compute the crowd's readout, shape (p, d), from the replies that arrived in time.

        Parameters
        ----------
        replies : dict of int to dict
            Replies of some or all clients, in any order, made by `PanelClient.reply`. Without any
            reply the readout does not change.

        Raises
        ------
        ValueError, TypeError
            If a reply is not of that kind; the message names the client. Then nothing changes, and
            `hear` may be called again without that client.
        """
        p, d = self._shape
        n = sum(self.members)
        readouts, present = np.zeros((n, p, d)), np.zeros((n, d), np.uint8)
        starts = np.concatenate([[0], np.cumsum(self.members)])
        for k, reply in replies.items():
            told, flags = self._check(reply, k)
            mine = slice(starts[k], starts[k + 1])
            readouts[mine], present[mine] = told, flags
        _core.gather_readouts(self._engine, readouts, present)
        return self.mean_readout

    def check(self, client: int, reply: Mapping[str, Any]) -> None:
        """Raise the error of `hear` for the reply of this client, and change nothing."""
        self._check(reply, client)

    def _check(self, reply: Mapping[str, Any], k: int) -> tuple[Float64, Float64]:
        """Return a reply's readouts, and which of them count."""
        if k not in range(len(self.members)):
            raise ValueError(f"a reply is of client {k!r}; expected 0 to {len(self.members) - 1}")
        (p, d), size, sender = self._shape, self.members[k], f"client {k}"
        labels = "(n_members, n_features, n_outputs)"
        readouts = array(reply, "readouts", sender, labels, (size, p, d))
        present = array(reply, "present", sender, "(n_members, n_outputs)", (size, d))
        _core.require_moderate(f"readouts of {sender}", readouts)
        if not np.isin(present, (0.0, 1.0)).all():
            raise ValueError(f"present of {sender} holds other numbers than 0 and 1")
        return readouts, present

    def to_bytes(self) -> bytes:
        """Return a checkpoint as the bytes of a state file, without anything executable."""
        note = json.dumps({"federated": "PanelServer", "members": self.members})
        engine = self._engine
        return written(lambda path: engine.save(path, pending=np.zeros(0), note=note))

    @classmethod
    def from_bytes(cls, state: bytes) -> PanelServer:
        """Restore a server saved by `to_bytes`.

        Raises
        ------
        ValueError
            If the bytes are not what `to_bytes` made.
        """
        engine, _, text = read(state, lambda path: _core.load_panel(path, n_threads=-1))
        header = json.loads(text)
        note, params = note_of(header, "PanelServer"), panel_params(header["settings"])
        try:
            made = cls(
                note["members"],
                params["encoder"].n_features,
                header["settings"]["n_outputs"],
                aggregate=params["aggregate"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the state is not one of a PanelServer: {error}") from error
        if sum(made.members) != engine.n_clients:
            raise ValueError("the state is not one of a PanelServer: its parts do not fit")
        made._engine = engine
        return made
