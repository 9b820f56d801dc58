"""The server of a federated ensemble: mean field, policy, mixture, and present clients."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa import _core
from memoa._deprecated import warn_renamed
from memoa._engines import Engines, check
from memoa._estimator import not_fitted
from memoa._saved import engine_params
from memoa._validate import Float64, as_float64, as_int, require_shape, with_shape
from memoa.encoder import Precomputed
from memoa.federated.messages import (
    Message,
    array,
    digest,
    from_text,
    note_of,
    number,
    read,
    to_text,
    written,
)
from memoa.mixture import Mixture

Replies = Mapping[int, Mapping[str, Any]]
Told = tuple[Float64, Float64, NDArray[np.uint8]]  # forecasts, energies, and who was present


@dataclass(frozen=True, eq=False)
class Exchange:
    """The result of an exchange, an immutable value.

    Attributes
    ----------
    first : int
        The step that the first row belongs to.
    predictions : ndarray, shape (T, d)
        The server's forecast of every step.
    mean_field : ndarray, shape (T, d)
        Mean of the agents' predictions.
    learnt : int
        Number of steps learnt: T, or T - 1 if the last y is not known yet.
    present : tuple of int
        The clients that replied in time.

    Examples
    --------
    >>> import memoa
    >>> from memoa.federated import Client, Server
    >>> series = memoa.datasets.logistic_map(40)
    >>> client, server = Client(n_agents=8), Server([8]).observe(series.initial)
    >>> messages = server.ask(series.X[:5], series.Y[:5])
    >>> exchange = server.hear({0: client.answer(messages[0])})
    >>> exchange.first, exchange.learnt, exchange.predictions.shape
    (0, 5, (5, 1))
    """

    first: int
    predictions: Float64
    mean_field: Float64
    learnt: int
    present: tuple[int, ...]

    def __post_init__(self) -> None:
        self.predictions.setflags(write=False)
        self.mean_field.setflags(write=False)


class Server:
    """The server of a federated ensemble: an engine that owns what is known about the agents.

    `ask` takes the next inputs and the values that became known, and makes a message for every
    client. `hear` takes the replies that arrived, and forecasts. One exchange covers a batch of
    steps. The forecasts are those of one `memoa.OnlineEnsemble` of all agents.

    Parameters
    ----------
    agents : sequence of int
        Number of agents of each client; client k has ``agents[k]``.
    consensus, effort, horizon, discount : float, float, int, float
        The agents' game, as in `memoa.OnlineEnsemble`.
    aggregate : {"trimmed", "clip", "mean"}
        As in `memoa.OnlineEnsemble`. Except with "mean", a few clients that lie harm neither the
        others nor the server.
    follow : {"server", "mean"}
        As in `memoa.OnlineEnsemble`.
    season : {"auto"}, int or None
        Period of the server's seasonal repetition, as in `memoa.OnlineEnsemble`.
    mixture : Mixture
        How the server weights the agents.
    n_threads : int, optional
        Default: all that the process may use.

    Notes
    -----
    Theory section 6, docs/theory.md, steps 3 to 7. The agents of an absent client count in no
    average and are not charged, and the mixture uses the mean field as their forecast. The server
    keeps what it sends, for clients that come back: all inputs and values since the first.

    Examples
    --------
    >>> import memoa
    >>> from memoa.federated import Client, Server
    >>> series = memoa.datasets.logistic_map(40)
    >>> clients = {k: Client(n_agents=8, random_state=k) for k in range(2)}
    >>> server = Server([8, 8]).observe(series.initial)
    >>> messages = server.ask(series.X[:20], series.Y[:20])  # a batch of twenty steps
    >>> replies = {k: client.answer(messages[k]) for k, client in clients.items()}
    >>> exchange = server.hear(replies)
    >>> exchange.predictions.shape, exchange.present
    ((20, 1), (0, 1))
    """

    def __init__(
        self,
        agents: Sequence[int],
        *,
        consensus: float = 10.0,
        effort: float = 0.01,
        horizon: int = 8,
        discount: float = 0.0,
        aggregate: Literal["mean", "trimmed", "clip"] = "trimmed",
        follow: Literal["server", "mean"] = "server",
        season: Literal["auto"] | int | None = "auto",
        mixture: Mixture = Mixture(),  # noqa: B008 - an immutable value
        n_threads: int | None = None,
    ) -> None:
        sizes = [as_int(f"agents[{k}]", n, 1) for k, n in enumerate(agents)]
        if not sizes:
            raise ValueError("agents is empty; expected how many agents each client runs")
        self.agents = tuple(sizes)
        self._params: dict[str, Any] = {
            "n_agents": sum(sizes),
            "encoder": Precomputed(1),  # its own agents are never run
            "policy": "memoa",
            "consensus": consensus,
            "effort": effort,
            "horizon": horizon,
            "discount": discount,
            "forgetting": 1.0,
            "ridge": 1.0,
            "aggregate": aggregate,
            "lags": 0,
            "season": season,
            "bounded": False,
            "follow": follow,
            "mixture": mixture,
            "dtype": "float64",
            "n_threads": n_threads,
            "random_state": 0,
        }
        check(self._params)
        self._engines: Engines | None = None
        self._initial: Float64 | None = None
        self._X, self._Y = np.zeros((0, 0)), np.zeros((0, 0))  # of all steps
        self._settled = 0  # steps that were learnt, the one that was observed included
        self._saved: int | None = None  # how many in the last checkpoint
        self._known = [0] * len(sizes)  # steps that each client is known to have learnt
        self._scored = np.zeros(sum(sizes))  # steps that each agent was charged for
        self._waiting: Told | None = None  # what was told of a step whose y is still to come
        self._asked: tuple[Float64, Float64] | None = None  # X and Y with those of the last `ask`

    # ------------------------------------------------------------------ an exchange

    def observe(self, y: ArrayLike) -> Server:
        """Take `y` as the value just before the first step."""
        value = np.atleast_1d(as_float64("y", y)).copy()
        require_shape("y", value, "(n_outputs,)", (None,))
        _core.require_moderate("y", value)
        if self._settled or self._X.size:
            raise ValueError("y was observed after the first step; expected it before")
        self._initial, self._asked = value, None
        return self

    @property
    def steps(self) -> int:
        """Steps learnt so far, the one that was observed included."""
        return self._settled

    def ask(self, X: ArrayLike, Y: ArrayLike) -> dict[int, Message]:
        """The messages of an exchange; nothing is learnt before `hear`.

        Parameters
        ----------
        X : array_like, shape (m, dx), float64
            Inputs of the next steps, at least one.
        Y : array_like, shape (k, d), or (k,) where d = 1, float64
            The values revealed since the last exchange, in the order of the steps: after them at
            most the last step is without its y. Shape (0, d) where there are none.

        Returns
        -------
        dict of int to dict
            A message for each client, with the steps that it is not known to have learnt.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a number is not finite. Nothing changes then.
        """
        inputs, values = self._batch(X, Y)
        self._asked = inputs, values
        seen = {k: digest(inputs[:k], values[:k]) for k in set(self._known)}
        return {k: self._message(known, seen[known]) for k, known in enumerate(self._known)}

    def _batch(self, X: ArrayLike, Y: ArrayLike) -> tuple[Float64, Float64]:
        started = self._engines is not None
        inputs = with_shape(
            "X", X, "(n_steps, n_inputs)", (None, self._X.shape[1] if started else None)
        )
        values = as_float64("Y", Y)
        values = values[:, None] if values.ndim == 1 else values
        width = None if self._initial is None else self._initial.size
        width = self._Y.shape[1] if started else width
        if values.ndim != 2 or values.shape[1] != (width or max(values.shape[-1], 1)):
            sizes = f"(any, {width})" if width else "at least one output"
            raise ValueError(f"Y has shape {values.shape}; expected (n_known, n_outputs) = {sizes}")
        _core.require_moderate("X", inputs)
        _core.require_moderate("Y", values)
        shown, revealed = len(self._X) + len(inputs), len(self._Y) + len(values)
        if shown - revealed not in (0, 1):
            raise ValueError(
                f"X makes it {shown} steps and Y {revealed}; expected as many, or one y less"
            )
        if not started:
            return inputs.copy(), values.copy()
        return np.concatenate([self._X, inputs]), np.concatenate([self._Y, values])

    def _message(self, known: int, seen: int) -> Message:
        assert self._asked is not None
        X, Y = self._asked
        base = np.zeros(0) if self._initial is None else self._initial
        return {
            "first": known,
            "X": X[known:],
            "Y": Y[known:],
            "base": Y[known - 1] if known else base,
            "report": self._settled,
            "kept": self._settled if self._saved is None else self._saved,
            "digest": seen,
        }

    def ask_again(self, replies: Replies) -> dict[int, Message]:
        """Messages for clients that reply to `ask` that they lack steps before those it told.

        A client that has lost what it learnt can so take part in this exchange already: its reply
        to this message takes the place of its first one in `hear`.

        Parameters
        ----------
        replies : dict of int to dict
            Replies of the clients by their number, as for `hear`.

        Returns
        -------
        dict of int to dict
            A message for each such client, from the step on that it knows. Often none.

        Raises
        ------
        ValueError, TypeError
            As `hear`.
        """
        if self._asked is None:
            raise ValueError("ask_again was called before ask; expected replies to a question")
        X, Y = self._asked
        again = {}
        for k, reply in replies.items():
            steps, c, _ = self._check(reply, k, len(X) - self._settled, len(Y), Y.shape[1])
            if len(c) == 0 and steps < self._known[k]:
                again[k] = self._message(steps, digest(X[:steps], Y[:steps]))
        return again

    def hear(self, replies: Replies) -> Exchange:
        """Forecast, and learn, from the replies that came in time; the others are absent.

        Parameters
        ----------
        replies : dict of int to dict
            Of some or all clients, in any order: what `Client.answer` made.

        Returns
        -------
        Exchange
            Forecasts of all steps asked for. A step whose y came only now is among them again: its
            forecast is the one made before.

        Raises
        ------
        ValueError, TypeError
            If a reply is not one to this exchange; the message names the client. Nothing changes
            then, and `hear` may be called again without that client.
        """
        if self._asked is None:
            raise ValueError("hear was called before ask; expected replies to a question")
        X, Y = self._asked
        told, known = self._collect(replies, len(X) - self._settled, len(Y))
        engines = self._engines
        if engines is None:
            engines = Engines(self._params, (self._params["n_agents"], 1), Y.shape[1], 0)
            if self._initial is not None:
                engines.core.observe(self._initial)
        observed = 0 if engines.core.has_seen else 1  # the first y ever is not scored
        first, learnt = self._settled, len(Y) - self._settled
        predictions, mean_field = _core.hear(engines.core, *told, np.ascontiguousarray(Y[first:]))
        self._engines, self._X, self._Y, self._asked = engines, X, Y, None
        self._settled = len(Y)
        self._scored += told[2][observed:learnt].sum(axis=0)
        last = told[0][learnt:], told[1][learnt:], told[2][learnt:]
        self._waiting = last if len(last[0]) else None
        for k, steps in known.items():
            self._known[k] = min(steps, self._settled)
        present = tuple(sorted(k for k, reply in replies.items() if len(reply["forecasts"])))
        return Exchange(first, predictions, mean_field, learnt, present)

    def check(self, client: int, reply: Mapping[str, Any]) -> None:
        """Raise what `hear` would raise for the reply of this client, and change nothing."""
        if self._asked is None:
            raise ValueError("a reply came before ask; expected replies to a question")
        X, Y = self._asked
        self._check(reply, client, len(X) - self._settled, len(Y), Y.shape[1])

    def _collect(self, replies: Replies, n_steps: int, n_known: int) -> tuple[Told, dict[int, int]]:
        """What agents told of the steps asked for, and how many steps each client has learnt."""
        n, d = int(self._params["n_agents"]), self._asked[1].shape[1]  # type: ignore[index]
        forecasts, energies = np.zeros((n_steps, n, d)), np.zeros((n_steps, n))
        present, known = np.zeros((n_steps, n), np.uint8), {}
        starts = np.concatenate([[0], np.cumsum(self.agents)])
        for k, reply in replies.items():
            known[k], c, e = self._check(reply, k, n_steps, n_known, d)
            if len(c) == 0:  # it is behind: it can take part next time
                continue
            mine = slice(starts[k], starts[k + 1])
            forecasts[:, mine], energies[:, mine], present[:, mine] = c, e, 1
        if self._waiting is not None:  # whoever forecast it then is charged for it
            forecasts[:1], energies[:1], present[:1] = self._waiting
        return (forecasts, energies, present), known

    def _check(
        self, reply: Mapping[str, Any], k: int, n_steps: int, n_known: int, d: int
    ) -> tuple[int, Float64, Float64]:
        """A reply's number of steps, forecasts and energies; the latter empty if it is behind."""
        if k not in range(len(self.agents)):
            raise ValueError(f"a reply is of client {k!r}; expected 0 to {len(self.agents) - 1}")
        sender, size = f"client {k}", self.agents[k]
        steps, first = number(reply, "steps", sender), number(reply, "first", sender)
        c = array(reply, "forecasts", sender, "(n_steps, n_agents, n_outputs)", (None, None, None))
        if len(c) == 0:
            return steps, c, np.zeros((0, size))
        if first != self._settled or steps < n_known:
            raise ValueError(
                f"{sender} tells of steps from {first} on and has learnt {steps}; expected "
                f"{self._settled} and at least {n_known}"
            )
        shape = (n_steps, size, d)
        c = array(reply, "forecasts", sender, "(n_steps, n_agents, n_outputs)", shape)
        e = array(reply, "energies", sender, "(n_steps, n_agents)", shape[:2])
        _core.require_moderate(f"forecasts of {sender}", c)
        _core.require_moderate(f"energies of {sender}", e)
        if e.min() < 0.0:
            raise ValueError(f"energies of {sender} holds {e.min()}; expected numbers >= 0")
        return steps, c, e

    # ------------------------------------------------------------------ what was learnt

    @property
    def weights(self) -> Float64:
        """The server's present weights of the agents, shape (N,), a new array."""
        return self._learnt("weights").core.weights()

    @property
    def shares(self) -> Float64:
        """Shares in the server's forecast, shape (4, d): see `memoa.OnlineEnsemble.shares`."""
        return self._learnt("shares").core.shares()

    @property
    def mixture_weight(self) -> Float64:
        """Deprecated, use `shares`: this is ``1 - shares[3]``, shape (d,)."""
        warn_renamed("mixture_weight", "shares: this is 1 - shares[3]")
        return self._learnt("mixture_weight").core.mixture_weight()

    @property
    def costs(self) -> Float64:
        """Every agent's sum of squared errors over the steps when it was present, shape (N,)."""
        return self._learnt("costs").core.costs()

    @property
    def agent_rmse(self) -> Float64:
        """Root-mean-square error of every agent over the same steps, shape (N,); NaN for none."""
        count = self._scored * self._learnt("agent_rmse").n_outputs
        return np.sqrt(self.costs / np.where(count > 0, count, np.nan))

    @property
    def under_performer(self) -> tuple[int, int, float]:
        """The agent with the largest sum of squared errors: client, number within it, and sum."""
        costs = self.costs
        worst = int(np.argmax(costs))
        ends = np.cumsum(self.agents)
        client = int(np.searchsorted(ends, worst, side="right"))
        return client, worst - int(ends[client] - self.agents[client]), float(costs[worst])

    def _learnt(self, name: str) -> Engines:
        if self._engines is None:
            raise not_fitted(f"{name} was asked for before the first exchange")
        return self._engines

    # ------------------------------------------------------------------ state

    def to_bytes(self) -> bytes:
        """Return a checkpoint of the state as bytes, without anything executable.

        After the first checkpoint, clients keep their reports since the last one. A server restored
        from it asks again, and its results are those of a server without interruption. A call of
        `ask` without its `hear` is forgotten.

        Raises
        ------
        ValueError
            Before the first exchange, when there is nothing to save.
        """
        engines = self._learnt("to_bytes")
        note = {
            "federated": "Server",
            "agents": self.agents,
            "initial": None if self._initial is None else to_text(self._initial),
            "X": to_text(self._X),
            "Y": to_text(self._Y),
            "known": self._known,
            "scored": to_text(self._scored),
            "waiting": [to_text(np.asarray(part, float)) for part in self._waiting or ()],
        }
        state = written(lambda path: engines.save(path, json.dumps(note)))
        self._saved = self._settled
        return state

    @classmethod
    def from_bytes(cls, state: bytes, *, n_threads: int | None = None) -> Server:
        """Restore a server saved by `to_bytes`; the next results have the same bits.

        Parameters
        ----------
        state : bytes
            They need not be trusted: everything in them is checked.
        n_threads : int, optional
            Default: as saved.

        Raises
        ------
        ValueError
            If `to_bytes` did not make them.
        """
        engines, header = read(state, lambda path: Engines.load(path, n_threads, None))
        try:
            return cls._restored(engines, note_of(header, "Server"), engine_params(header))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the state is not one of a Server: {error}") from error

    @classmethod
    def _restored(cls, engines: Engines, note: Mapping[str, Any], params: dict[str, Any]) -> Server:
        names = (
            "consensus",
            "effort",
            "horizon",
            "discount",
            "aggregate",
            "follow",
            "season",
            "mixture",
            "n_threads",
        )
        made = cls(note["agents"], **{name: params[name] for name in names})
        n, d = engines.n_agents, engines.n_outputs
        sender = "the state"
        arrays = {name: from_text(note[name]) for name in ("X", "Y", "scored")}
        made._X = array(arrays, "X", sender, "(n_steps, n_inputs)", (None, None))
        made._Y = array(arrays, "Y", sender, "(n_known, n_outputs)", (None, d))
        made._scored = array(arrays, "scored", sender, "(n_agents,)", (n,))
        if note["initial"] is not None:
            made._initial = from_text(note["initial"])
            require_shape("initial of the state", made._initial, "(n_outputs,)", (d,))
        made._settled = made._saved = len(made._Y)
        made._known = [as_int("known of the state", k, 0, len(made._Y) + 1) for k in note["known"]]
        waiting = [from_text(part) for part in note["waiting"]]
        shapes = [(1, n, d), (1, n), (1, n)]
        late = len(made._X) - len(made._Y)
        if (
            made._params["n_agents"] != n
            or len(made._known) != len(made.agents)
            or late not in (0, 1)
            or [part.shape for part in waiting] != shapes[: 3 * late]
        ):
            raise ValueError("its parts do not fit each other")
        if late:
            made._waiting = waiting[0], waiting[1], waiting[2].astype(np.uint8)
        made._engines = engines
        return made
