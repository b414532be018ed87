"""A refusal at a listener, before an action existed: the listener, the reason, and all that is known of the sender."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, Literal, Protocol

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.errors import AnswerableError

Door = Literal[
    "mcp", "enrolment", "tokens", "events", "workflows", "workload_api", "control", "console", "chat"
]

UNKNOWN_SOURCE: Final = "unknown"
"""Source of a connection that reveals nothing about its peer."""
IPV6_PREFIX: Final = 64
"""Address bits that a network assigns to one customer, who can choose the lower bits freely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The sender, as described by a connection and the head of a message. headers: lower-case names; unproven. address:
    of TCP, as text."""

    channel: Channel | None = None
    address: str = ""
    port: int = 0
    headers: Iterable[tuple[bytes, bytes]] = ()

    @property
    def source(self) -> str:
        """The rate-limit key: everything that one user or one host sends shares one bound."""
        peer = self.channel.peer if self.channel is not None else None
        if peer is not None:
            return f"uid {peer.uid}"
        try:
            found = ip_address(self.address)
        except ValueError:
            return UNKNOWN_SOURCE
        if isinstance(found, IPv6Address):
            prefix = IPv6Address(int(found) >> (128 - IPV6_PREFIX) << (128 - IPV6_PREFIX))
            return f"{prefix}/{IPV6_PREFIX}"
        return str(found)

    def told(self, program: str = "") -> str:
        """Describe the sender in one line. program: the program that a local process runs, if known."""
        peer = self.channel.peer if self.channel is not None else None
        if peer is not None:
            runs = f" program {program}" if program else ""
            return f"uid {peer.uid} gid {peer.gid} pid {peer.pid}{runs}"
        if not self.address:
            return UNKNOWN_SOURCE
        shown_by = self.channel.certificate if self.channel is not None else ""
        return f"{self.address} port {self.port}" + (f" certificate {shown_by}" if shown_by else "")


def channel_of(scope: Mapping[str, Any]) -> Channel | None:
    """Return what the connection of an HTTP request proves, from its ASGI scope."""
    channel = (scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
    return channel if isinstance(channel, Channel) else None


def sender_of(scope: Mapping[str, Any]) -> Sender:
    """Return the sender of an HTTP request, from its ASGI scope."""
    client = scope.get("client")
    return Sender(
        channel=channel_of(scope),
        address=str(client[0]) if client else "",
        port=int(client[1] or 0) if client else 0,
        headers=scope.get("headers", ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRefusal:
    """One refusal, or several alike.

    code: stable. source: as `Sender.source`; empty for refusals that could not be recorded separately. peer: as
    `Sender.told`. key: RFC 7638 thumbprint of the key that the proof named, empty if it named none; possession was
    proved only if `agent` is given. agent: the agent that the listener or attestation identified, else empty.
    agent_named, mandate_named: what the message claimed. first, last: times. count: number of refusals.
    """

    door: Door
    code: str
    source: str
    first: UnixMillis
    last: UnixMillis
    count: int = 1
    peer: str = ""
    key: str = ""
    agent: str = ""
    agent_named: str = ""
    mandate_named: str = ""

    def and_then(self, later: DoorRefusal) -> DoorRefusal:
        """Merge both into one, described as the earlier one."""
        return replace(
            self,
            first=min(self.first, later.first),
            last=max(self.last, later.last),
            count=self.count + later.count,
        )


class TellRefused(Protocol):
    """The callback that a listener calls for every sender it refuses: `flows.door_desk.DoorDesk.refused` bound to the
    listener."""

    def __call__(
        self, said: AnswerableError | str, sender: Sender, *, agent: str = "", key: str = ""
    ) -> None:
        """Record a refusal. said: the error, or its code. agent: the agent that the listener identified with certainty,
        else empty. key: thumbprint of the presented key, if the error does not contain it. Never raises."""
        ...


def untold(said: AnswerableError | str, sender: Sender, *, agent: str = "", key: str = "") -> None:
    """Do nothing: the callback of a listener that runs alone."""
