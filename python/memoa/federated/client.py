"""The client of a federated ensemble: agents whose state never leaves the process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from memoa import _core
from memoa._engines import Engines, check, draw_seed
from memoa._estimator import not_fitted
from memoa._saved import engine_params
from memoa._validate import Float64
from memoa.encoder import Encoders, RandomFeatures, precomputed
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

SERVER = "the server"
Told = tuple[int, Float64, Float64]  # first step, forecasts and energies


class Client:
    """Agents of a federated ensemble. Their encoder and state never leave this process.

    The agents are those of `memoa.OnlineEnsemble`. A client knows nothing of their game: it sends
    each agent's forecast, and the squared norm of its features, to the server, which does the
    rest. An engine: it owns what was learnt.

    Parameters
    ----------
    n_agents : int
        Number of agents of this client.
    encoder : RandomFeatures, EchoState or Linear, or sequence of them
        Encoder of this client; other clients may use others. One for all of its agents, or one per
        type.
    forgetting, ridge : float or sequence of float
        As in `memoa.OnlineEnsemble`: one for all of its agents, or one per type.
    lags, season, bounded
        As in `memoa.OnlineEnsemble`: which past values the agents see, and whether what they learn
        and forecast is bounded.
    n_threads : int, optional
        Default: all that the process may use.
    random_state : int, None, numpy.random.Generator or numpy.random.RandomState
        Seed of the agents' encoders. None, the default, draws one that nobody else knows.

    Notes
    -----
    Theory section 6, docs/theory.md, steps 1 and 2. Local learning does not use the other agents.
    A client that was away therefore catches up exactly: the server sends it the missed steps.

    Examples
    --------
    >>> import memoa
    >>> from memoa.federated import Client, Server
    >>> series = memoa.datasets.logistic_map()
    >>> clients = [Client(n_agents=8, random_state=k) for k in range(3)]
    >>> server = Server([8, 8, 8]).observe(series.initial)
    >>> messages = server.ask(series.X[:16], series.Y[:16])
    >>> replies = {k: client.answer(messages[k]) for k, client in enumerate(clients)}
    >>> server.hear(replies).predictions.shape
    (16, 1)
    """

    def __init__(
        self,
        n_agents: int = 8,
        encoder: Encoders = RandomFeatures(16, "wave", n_raw=4, n_columns=2),  # noqa: B008 - immutable
        *,
        forgetting: float | Sequence[float] = (0.95, 0.99, 0.998),
        ridge: float | Sequence[float] = (0.001, 0.01, 0.1),
        lags: int = 6,
        season: Literal["auto"] | int | None = "auto",
        bounded: bool = True,
        n_threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        if precomputed(encoder):
            raise ValueError(f"encoder is {encoder!r}; expected one that encodes the server's x")
        self._params: dict[str, Any] = {
            "n_agents": n_agents,
            "encoder": encoder,
            "forgetting": forgetting,
            "ridge": ridge,
            "lags": lags,
            "season": season,
            "bounded": bounded,
            "n_threads": n_threads,
            "random_state": random_state,
            # an agent's local forecast is all that anybody else needs of it
            "policy": "greedy",
            "aggregate": "mean",
            "mixture": Mixture(window=0, fallback=False, rivals=False),
            "consensus": 0.0,
            "effort": 1.0,
            "horizon": 1,
            "discount": 0.0,
            "dtype": "float64",
        }
        self.n_agents = int(check(self._params)["n_agents"])
        self._seed = draw_seed(random_state)
        self._engines: Engines | None = None
        self._steps = 0
        self._digest = 0  # of the steps learnt
        self._told: Told | None = None  # first step, and what was told

    @property
    def steps(self) -> int:
        """Number of steps learnt, including the one that was only observed."""
        return self._steps

    # ------------------------------------------------------------------ an exchange

    def answer(self, message: Mapping[str, Any]) -> Message:
        """Learn the steps in a message of the server, and return the agents' forecasts.

        Each step is forecast before its y is used. Steps that were learnt before are not learnt
        again, and their forecasts are sent again: a message may come twice, and a server may have
        been restarted from an older checkpoint.

        Parameters
        ----------
        message : dict
            One of `Server.ask`.

        Returns
        -------
        dict
            For `Server.hear`. If the message begins after the steps that this client knows, the
            reply only says how many it knows, and the server sends the others next time.

        Raises
        ------
        ValueError, TypeError
            If the message is not one of `Server.ask`, or if its steps differ from those learnt.
            Nothing is learnt then.
        """
        first = number(message, "first", SERVER)
        if first > self._steps:
            return self._reply(self._steps, None)
        x = array(message, "X", SERVER, "(n_steps, n_inputs)", (None, self._width("n_inputs")))
        y = array(message, "Y", SERVER, "(n_known, n_outputs)", (None, self._width("n_outputs")))
        if len(x) - len(y) not in (0, 1):
            raise ValueError(
                f"Y of {SERVER} has {len(y)} steps; expected those of X, {len(x)}, or one less"
            )
        report = number(message, "report", SERVER, first)
        self._require_kept(report)
        known = self._steps - first  # steps of the message that are learnt already
        if known > len(y):  # it is the server that is behind
            return self._reply(report, self._told, first + len(x))
        seen = digest(x[:known], y[:known], number(message, "digest", SERVER))
        if seen != self._digest:
            raise ValueError(
                f"the steps of {SERVER} before step {self._steps} are not those learnt here"
            )
        kept = min(number(message, "kept", SERVER), report)
        engines, base = self._engines_for(message, x.shape[1], y.shape[1])
        _core.require_moderate(f"X of {SERVER}", x)
        _core.require_moderate(f"Y of {SERVER}", y)
        if base is not None and not engines.core.has_seen:
            engines.core.observe(base)
        forecasts, energies = _core.tell(engines.core, x[known:].copy(), y[known:].copy())
        told = self._with_told(forecasts, energies)
        self._engines = engines
        self._digest = digest(x[known:], y[known:], seen)
        self._steps = first + len(y)
        self._keep(told, kept)
        return self._reply(report, told, first + len(x))

    def _width(self, name: str) -> int | None:
        if self._engines is None:
            return None
        inputs, outputs = self._engines.input_shape[0], self._engines.n_outputs
        return inputs if name == "n_inputs" else outputs

    def _engines_for(
        self, message: Mapping[str, Any], n_inputs: int, n_outputs: int
    ) -> tuple[Engines, Float64 | None]:
        """Return the engines, created now if needed, and the base that they start from."""
        if self._engines is not None:
            return self._engines, None
        base = array(message, "base", SERVER, "(n_outputs,)", (None,))
        if base.size not in (0, n_outputs):
            raise ValueError(
                f"base of {SERVER} has shape {base.shape}; expected ({n_outputs},), or none"
            )
        _core.require_moderate(f"base of {SERVER}", base)
        for name, size in (("X", n_inputs), ("Y", n_outputs)):
            if size == 0:
                raise ValueError(f"{name} of {SERVER} has no columns; expected at least one")
        engines = Engines(self._params, (n_inputs,), n_outputs, self._seed)
        return engines, base if base.size and not self._steps else None

    def _require_kept(self, report: int) -> None:
        """Check that the forecasts of the learnt steps from `report` on are still kept."""
        if report < self._steps and (self._told is None or report < self._told[0]):
            raise ValueError(
                f"{SERVER} asks for step {report} again, of which nothing is kept here; expected "
                "steps from its last checkpoint on"
            )

    def _with_told(self, forecasts: Float64, energies: Float64) -> Told:
        """Join the forecasts that were sent before and those that are sent now."""
        if self._told is None:
            return self._steps, forecasts, energies
        first, c, e = self._told
        return first, np.concatenate([c, forecasts]), np.concatenate([e, energies])

    def _keep(self, told: Told, kept: int) -> None:
        """Keep the forecasts of learnt steps from `kept` on: the server may ask for them again."""
        first = min(max(told[0], kept), self._steps)
        rows = slice(first - told[0], self._steps - told[0])
        self._told = first, told[1][rows].copy(), told[2][rows].copy()

    def _reply(self, report: int, told: Told | None, until: int = 0) -> Message:
        if told is None:
            forecasts, energies = np.zeros((0, self.n_agents, 0)), np.zeros((0, self.n_agents))
        else:
            rows = slice(report - told[0], until - told[0])
            forecasts, energies = told[1][rows], told[2][rows]
        return {
            "steps": self._steps,
            "first": report,
            "forecasts": forecasts,
            "energies": energies,
        }

    # ------------------------------------------------------------------ state

    def to_bytes(self) -> bytes:
        """Return everything learnt as the bytes of a state file. It contains nothing executable.

        It contains the seed of the encoders, so keep it secret if the encoders are.

        Raises
        ------
        ValueError
            Before the first answer, when there is nothing to save.
        """
        if self._engines is None or self._told is None:
            raise not_fitted("to_bytes was called before the first answer")
        first, forecasts, energies = self._told
        note = {
            "federated": "Client",
            "steps": self._steps,
            "digest": self._digest,
            "first": first,
            "forecasts": to_text(forecasts),
            "energies": to_text(energies),
        }
        engines = self._engines
        return written(lambda path: engines.save(path, json.dumps(note)))

    @classmethod
    def from_bytes(cls, state: bytes, *, n_threads: int | None = None) -> Client:
        """Return the client that `to_bytes` saved: same bits from here on, on any x86-64 machine.

        Parameters
        ----------
        state : bytes
            May come from anybody: everything in it is checked.
        n_threads : int, optional
            Default: as saved.

        Raises
        ------
        ValueError
            If `state` was not made by `to_bytes`.
        """
        engines, header = read(state, lambda path: Engines.load(path, n_threads, None))
        note, params = note_of(header, "Client"), engine_params(header)
        names = ("forgetting", "ridge", "lags", "season", "bounded", "n_threads")
        made = cls(
            engines.n_agents,
            engines.encoder,
            random_state=engines.seed,
            **{name: params[name] for name in names},
        )
        made._engines = engines
        made._steps, made._digest = number(note, "steps", "the state"), note["digest"]
        forecasts, energies = from_text(note["forecasts"]), from_text(note["energies"])
        if forecasts.shape != (len(energies), made.n_agents, engines.n_outputs):
            raise ValueError(f"the state: forecasts has shape {forecasts.shape}")
        made._told = number(note, "first", "the state"), forecasts, energies
        return made
