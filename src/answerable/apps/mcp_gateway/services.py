"""What this door needs of the product around it. Wiring hands it over; tests hand over their own."""

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
        """The caller of the message with this body, once. Raises Unverified, Unavailable."""
        ...

    def use_up(self) -> None:
        """Of a message that is refused unread: it is no copy of another. Raises Unverified, Unavailable."""
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
        """Who sent this head. Raises Unverified, Unavailable."""
        ...

    def opened_by(self, head: Any, body: bytes) -> OpenedSession:
        """Answer a signed handshake, whose head this prover proved. Raises Unverified, Malformed."""
        ...

    def refusal_fields(self, error: Unverified, path: str) -> tuple[tuple[bytes, bytes], ...]:
        """Fields of a 401 at this path: what failed, and what a client needs to try again."""
        ...

    def answer_fields(self, headers: Collection[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
        """Fields of any answer to a request with these."""
        ...


class Govern(Protocol):
    """As flows.govern_action.govern_action, with the walk bound."""

    async def __call__(
        self, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        """Raises the errors of the family, nothing else."""
        ...


class Visible(Protocol):
    """What a mandate of this caller, or what was handed on to it, could ever allow on a server, without I/O.

    Pairs of method and target as capabilities name them: `tools/call` and a tool's name, `resources/read` and a URI or
    URI template. Empty for a mandate that is unknown, closed or somebody else's. Never raises.
    """

    def __call__(
        self, caller: VerifiedCaller, mandate_id: str, server: str, *, delegation: str = ""
    ) -> Collection[tuple[str, str]]:
        """The pairs."""
        ...


class RefuseHeld(Protocol):
    """As flows.refuse_held.refuse_held, with the walk bound."""

    def __call__(self, caller: VerifiedCaller, mandate_id: str, server: str, *, delegation: str = "") -> None:
        """Raises Refused (`held.*`) when this caller, its task or this server is held; Unavailable."""
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
        """Have a stream cut once it is held; returns what ends that. Raises as RefuseHeld."""
        ...


class Watch(Protocol):
    """One caller waiting for changes on one upstream."""

    def add(self, uri: str) -> bool:
        """Want updates of a resource; False when there are too many."""
        ...

    def drop(self, uri: str) -> None:
        """Want them no longer."""
        ...

    def close(self) -> None:
        """Hear nothing more; idempotent."""
        ...


class Offers(Protocol):
    """What the upstreams offer, as adapters.mcp_upstream.McpUpstream says it."""

    def serves(self, server: str) -> bool:
        """Whether a server of this exact name is registered."""
        ...

    def capabilities(self, server: str) -> Mapping[str, JSONValue]:
        """What the server declared when it was last connected, empty before."""
        ...

    def instructions(self, server: str) -> str:
        """What the server says about its use."""
        ...

    async def entries(self, server: str, method: str) -> list[dict[str, JSONValue]] | None:
        """All entries of a list method under names that may be offered; None while the server is not known yet."""
        ...

    async def settled(self, server: str) -> None:
        """Wait a moment for tools that the server has announced and that were not read yet."""
        ...

    def input_schema(self, server: str, tool: str) -> JSONValue:
        """A tool's input schema, None when it is not offered."""
        ...

    def watch(self, server: str, listener: Callable[[str, str], None]) -> Watch | None:
        """Hear of changes: method of the notification and resource URI."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayServices:
    """The product as this door sees it.

    approval_page: where people answer this approval, an address; empty where there is no such page. waits: whether an
    approval that was asked for here is still open. asked: whether an approval of this id was asked for by this agent.
    standing: why nothing of a caller is done now; None where it stands. share: of the event loop's time.
    refused: hears of each message that was refused before there was an action.
    unregistered: hears of each server that a proved agent asked for and nobody registered.
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
    """hosts: names this gateway answers to besides loopback ones, without port. origins: browser origins let in.

    body_bytes_max, members_max, depth_max: of one message; members and items in all. body_seconds_max: for sending it.
    body_bytes_per_second: of one agent. bodies_bytes_max: of all messages that are still coming in, whoever sends them.
    requests_per_agent_max: at a time, open streams included.
    sessions_per_agent_max: past it the least recently used one ends. session_idle_seconds: after which a
    session ends. listens_per_agent_max: event streams. uris_per_listen_max: resources in one of them.
    events_waiting_max: per stream; past it the stream ends. approval_wait_seconds: how long a call waits for people
    whose client asks for progress, or repeats it after it was told where people answer.
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
