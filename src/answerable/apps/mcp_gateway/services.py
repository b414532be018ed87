"""Declare what the MCP gateway needs from the rest of the system, and its limits. Wiring and tests provide it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from answerable.core.identity.proof.door_refusal import untold
from answerable.wiring.loop_share import LoopShare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from answerable.core.action.request import ActionRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.core.identity.proof.http_signature import SignedRequest
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.ledger.answer import Answer
    from answerable.errors import Refused, Unverified
    from answerable.flows.tokens.verify_caller import OpenedSession
    from answerable.ports.upstream import Progress

BODY_BYTES_MAX: Final = 262_144
MEMBERS_MAX: Final = 5_000
MESSAGE_DEPTH_MAX: Final = 32
BODY_BYTES_PER_SECOND: Final = 1_048_576


class Head(Protocol):
    """The head of a message whose sender is proved. request: without its body. agent, identity, key: of the sender."""

    @property
    def request(self) -> SignedRequest: ...
    @property
    def agent(self) -> AgentId: ...
    @property
    def identity(self) -> CallerIdentity: ...
    @property
    def key(self) -> str: ...
    @property
    def certificate(self) -> str: ...

    def over(self, digest: bytes) -> VerifiedCaller:
        """Return the caller of the message with this body digest, once. Raises Unverified, Unavailable."""
        ...

    def use_up(self) -> None:
        """Use up the proof of a message that is refused unread, so that it cannot be replayed. Raises Unverified,
        Unavailable."""
        ...


class Prover(Protocol):
    """As flows.verify_caller.CallerVerifier."""

    def head_of(
        self,
        method: str,
        target: bytes,
        headers: Collection[tuple[bytes, bytes]],
        channel: Channel | None = None,
    ) -> Head:
        """Verify the head's proof and return its sender. Raises Unverified, Unavailable."""
        ...

    def opened_by(self, head: Any, body: bytes) -> OpenedSession:
        """Answer a signed handshake whose head this prover verified. Raises Unverified, Malformed."""
        ...

    def refusal_fields(self, error: Unverified, path: str) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of a 401 at this path: the failed step, and what a client needs to try again."""
        ...

    def answer_fields(self, headers: Collection[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of any answer to a request with these fields."""
        ...


class Govern(Protocol):
    """As flows.govern_action.govern_action, with the walk bound."""

    async def __call__(
        self, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        """Govern one request. Raises the errors of the family and nothing else."""
        ...


class Visible(Protocol):
    """Returns what a caller's mandate, or its hops, could ever allow on a server, without I/O.

    Pairs of method and target as in capabilities: `tools/call` and a tool's name, `resources/read` and a URI or URI
    template. Empty for a mandate that is unknown, closed or somebody else's. Never raises.
    """

    def __call__(
        self, caller: VerifiedCaller, mandate_id: str, server: str, *, delegation: str = ""
    ) -> Collection[tuple[str, str]]:
        """Return the pairs."""
        ...


class RefuseHeld(Protocol):
    """As flows.refuse_held.refuse_held, with the walk bound."""

    def __call__(self, caller: VerifiedCaller, mandate_id: str, server: str, *, delegation: str = "") -> None:
        """Check that this caller, its task and this server are not held. Raises Refused (`held.*`), Unavailable."""
        ...


class OpenStream(Protocol):
    """As flows.refuse_held.open_stream, with the walk bound."""

    def __call__(
        self,
        caller: VerifiedCaller,
        mandate_id: str,
        server: str,
        *,
        delegation: str = "",
        cut: Callable[[], None],
        listens: bool = False,
    ) -> Callable[[], None]:
        """Register a stream to be cut when it is held; return what unregisters it. Raises as RefuseHeld."""
        ...


class Watch(Protocol):
    """One caller's subscription to changes at one upstream."""

    def add(self, uri: str) -> bool:
        """Request updates of a resource; False when there are too many."""
        ...

    def drop(self, uri: str) -> None:
        """Stop requesting updates of a resource."""
        ...

    def close(self) -> None:
        """Stop receiving; idempotent."""
        ...


class Offers(Protocol):
    """What the upstreams offer, as adapters.mcp_upstream.McpUpstream reports it."""

    def serves(self, server: str) -> bool:
        """Whether a server of this exact name is registered."""
        ...

    def capabilities(self, server: str) -> Mapping[str, JSONValue]:
        """Return what the server declared at its last connection, empty before."""
        ...

    def instructions(self, server: str) -> str:
        """Return the server's instructions on its use."""
        ...

    async def entries(self, server: str, method: str) -> list[dict[str, JSONValue]] | None:
        """Return all entries of a list method whose names may be offered; None while the server is not known yet."""
        ...

    async def settled(self, server: str, *, tools: bool) -> None:
        """Wait briefly for the first lists of a server that is being connected. tools: also for tools that it has
        announced and that are not read yet."""
        ...

    def input_schema(self, server: str, tool: str) -> JSONValue:
        """Return a tool's input schema, None if the tool is not offered."""
        ...

    def watch(self, server: str, listener: Callable[[str, str], None]) -> Watch | None:
        """Subscribe to changes: the listener gets the notification's method and the resource URI."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayServices:
    """The gateway's dependencies.

    approval_page: returns the address where people answer this approval; empty if there is none. waits: whether an
    approval requested here is still open. asked: whether this agent requested the approval with this id. standing: why
    a caller is not in force now; None if it is. share: shares the event loop's time between agents. refused: called for
    each message that was refused before there was an action. unregistered: called for each unregistered server that an
    authenticated agent asked for.
    """

    prover: Prover
    govern: Govern
    visible: Visible
    offers: Offers
    refuse_held: RefuseHeld
    open_stream: OpenStream
    approval_page: Callable[[str], str] = lambda _approval: ""
    waits: Callable[[str], bool] = lambda _approval: True
    asked: Callable[[AgentId, str], bool] = lambda _agent, _approval: False
    standing: Callable[[Head], Refused | None] = lambda _head: None
    share: LoopShare = field(default_factory=LoopShare)
    refused: TellRefused = untold
    unregistered: Callable[[VerifiedCaller, str], None] = lambda _caller, _server: None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """The gateway's limits. hosts: names accepted in Host besides loopback, without port. origins: accepted browser
    origins.

    body_bytes_max, members_max, depth_max: of one message; members and items in total. body_seconds_max: to send a
    body. body_bytes_per_second: of one agent. bodies_bytes_max: of all incoming messages together.
    requests_per_agent_max: concurrent, open streams included. sessions_per_agent_max: above it the least recently used
    session ends. session_idle_seconds: after which a session ends. listens_per_agent_max: event streams.
    uris_per_listen_max: resources in one stream. events_waiting_max: per stream; above it the stream ends.
    approval_wait_seconds: how long a call waits for an approval if its client asks for progress, or repeats it after it
    received the address where people answer.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    members_max: int = MEMBERS_MAX
    depth_max: int = MESSAGE_DEPTH_MAX
    body_bytes_per_second: int = BODY_BYTES_PER_SECOND
    body_seconds_max: float = 30.0
    bodies_bytes_max: int = 64 * 1024 * 1024
    requests_per_agent_max: int = 1024
    sessions_per_agent_max: int = 64
    session_idle_seconds: float = 1800.0
    listens_per_agent_max: int = 16
    uris_per_listen_max: int = 64
    events_waiting_max: int = 256
    approval_wait_seconds: float = 25.0
