"""State and helpers shared by the flows that announce and deliver events; wiring puts the state together."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from answerable.core.identity.names.principal import AgentId
from answerable.core.incident.security_event import SET_TYP, set_claims
from answerable.errors.codes.events import EVENT_STREAM_BUSY, EVENT_STREAM_KEY
from answerable.flows.validity.refuse_revoked import agent_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.event_key import EventKey
    from answerable.core.incident.event_stream import EventStream
    from answerable.errors import AnswerableError
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.ports.event_post import EventPost
    from answerable.ports.event_register import EventRegister

P = ParamSpec("P")
T = TypeVar("T")

CHANGES_MAX: Final = 8
"""Tries to change a stream that other callers change at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimits:
    """Limits. waiting_max: events queued in one stream. streams_max: streams of one receiver. answer_seconds_max:
    longest wait for one answer.

    retry_seconds_max: longest pause between two tries. poll_seconds_max: how long a poll may wait for events.
    """

    waiting_max: int = 10_000
    streams_max: int = 8
    answer_seconds_max: float = 10.0
    retry_seconds_max: int = 300
    poll_seconds_max: float = 25.0


@dataclass(slots=True, kw_only=True)
class EventState:
    """State of event streams in one process. issuer: the token service's name, known once it listens. receivers: agents
    that may have streams, each with the endpoints to which events may be pushed. webhooks: their secrets, by name. key:
    signs events; None where there is no receiver. read_to: up to which entry this process has read its log; None before
    the first round. polls: number of waiting polls, by stream. refusals: by stream, the event that its receiver refused
    last, and how often in this process. recorded: by receiver, the start of its current counting period (monotonic
    seconds), and the ledger bytes of its stream changes since then. creating: held while streams are counted.
    fault: why nothing can be sent; None where it can.
    """

    recorder: Recorder
    authority: AuthorityRegisters
    register: EventRegister
    post: EventPost
    issuer: Callable[[], str]
    receivers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    webhooks: Mapping[str, bytes] = field(default_factory=dict)
    key: EventKey | None = None
    limits: EventLimits = field(default_factory=EventLimits)
    read_to: int | None = None
    news: anyio.Event = field(default_factory=anyio.Event)
    polls: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, tuple[str, int]] = field(default_factory=dict)
    recorded: dict[str, tuple[float, int]] = field(default_factory=dict)
    creating: anyio.Lock = field(default_factory=anyio.Lock)
    fault: AnswerableError | None = None

    def tell(self) -> None:
        """Wake the tasks of this process that wait for events."""
        news, self.news = self.news, anyio.Event()
        news.set()

    def jwks(self) -> list[Mapping[str, JSONValue]]:
        """Return the public keys that events are signed with (RFC 7517)."""
        return [self.key.public_jwk()] if self.key is not None else []

    def may_hear(self, stream: EventStream) -> bool:
        """Whether the receiver may be sent anything now: it is still listed and not revoked."""
        if stream.method == "webhook":
            return stream.receiver in self.webhooks
        allowed = self.receivers.get(stream.receiver)
        if allowed is None or (stream.method == "push" and stream.endpoint not in allowed):
            return False
        return self.authority.revocations.find(agent_names(self.authority, AgentId(stream.receiver))) is None

    def signed(self, stream: EventStream, content: Mapping[str, JSONValue], *, identity: str, at: int) -> str:
        """Return one Security Event Token for one receiver. Raises Broken (`event_stream.key`)."""
        if self.key is None:
            raise EVENT_STREAM_KEY()
        claims = set_claims(content, issuer=self.issuer(), audience=stream.receiver, identity=identity, at=at)
        return self.key.signed(claims, typ=SET_TYP)


async def in_register(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the register in a thread. A call that has begun completes even if the caller is cancelled. Raises
    Unavailable."""
    with anyio.CancelScope(shield=True):
        found = await anyio.to_thread.run_sync(partial(call, *args, **kwargs))
    return found  # noqa: RET504 - a scope may swallow an exception, as far as mypy knows


async def changed(
    desk: EventState,
    stream: str,
    change: Callable[[EventStream], EventStream | None],
    *,
    record: Callable[[EventStream], Awaitable[BaseException | None]] | None = None,
) -> EventStream | None:
    """Change the stream's current state. Return None if the stream no longer exists, or if `change` returns None.
    record: called with the new state, where it differs, before it is stored; returns the cancellation of a caller who
    left. Raises Unavailable (`event_stream.busy`, `register.*`), and the exceptions of `change` and `record`."""
    for _ in range(CHANGES_MAX):
        found = await in_register(desk.register.find, stream)
        wanted = change(found) if found is not None else None
        if wanted is None:
            return None
        left = await record(wanted) if record is not None and wanted != found else None
        is_put = await in_register(desk.register.put, wanted)
        if left is not None:
            raise left
        if is_put:
            return wanted
    raise EVENT_STREAM_BUSY(f"the event stream was changed {CHANGES_MAX} times at the same moment: try again")
