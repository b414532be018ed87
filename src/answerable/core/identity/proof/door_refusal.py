"""What was refused at a door before there was an action: by which door, why, and all that is known of who sent it."""

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
"""Of a connection that says nothing about its other end."""
IPV6_PREFIX: Final = 64
"""Bits of an address that one customer of a network is given; below them anybody has as many as it likes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What a connection and the head of a message say about who sent it. headers: lower-case names; nothing in them is
    proved. address: of TCP, as text."""

    channel: Channel | None = None
    address: str = ""
    port: int = 0
    headers: Iterable[tuple[bytes, bytes]] = ()

    @property
    def source(self) -> str:
        """Whose room it takes: all that one user or one host sends is bounded together."""
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
        """In one line. program: that a local process runs, where it is known."""
        peer = self.channel.peer if self.channel is not None else None
        if peer is not None:
            runs = f" program {program}" if program else ""
            return f"uid {peer.uid} gid {peer.gid} pid {peer.pid}{runs}"
        if not self.address:
            return UNKNOWN_SOURCE
        shown_by = self.channel.certificate if self.channel is not None else ""
        return f"{self.address} port {self.port}" + (f" certificate {shown_by}" if shown_by else "")


def sender_of(scope: Mapping[str, Any]) -> Sender:
    """Who sent an HTTP request, as its ASGI scope has it."""
    channel = (scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
    client = scope.get("client")
    return Sender(
        channel=channel if isinstance(channel, Channel) else None,
        address=str(client[0]) if client else "",
        port=int(client[1] or 0) if client else 0,
        headers=scope.get("headers", ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRefusal:
    """One refusal, or several that are alike.

    code: stable. source: as `Sender.source`; empty for all that there was no room to tell apart. peer: as
    `Sender.told`. key: RFC 7638 thumbprint of the key that the proof named, empty where it named none; only where
    `agent` is given was it proved to be the sender's. agent: whom door or attestation knew it to be, empty for nobody.
    agent_named, mandate_named: what the message claimed. first, last: when. count: in all.
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
        """Both in one, told as the earlier."""
        return replace(
            self,
            first=min(self.first, later.first),
            last=max(self.last, later.last),
            count=self.count + later.count,
        )


class TellRefused(Protocol):
    """What a door calls with everybody that it refuses: `flows.door_desk.DoorDesk.refused` at this door."""

    def __call__(
        self, said: AnswerableError | str, sender: Sender, *, agent: str = "", key: str = ""
    ) -> None:
        """said: the error, or its code. agent: whom the door knew for sure; empty for nobody. key: thumbprint of the
        key that was shown, where the error does not say. Never raises."""
        ...


def untold(said: AnswerableError | str, sender: Sender, *, agent: str = "", key: str = "") -> None:
    """At a door that stands alone nobody is told."""
