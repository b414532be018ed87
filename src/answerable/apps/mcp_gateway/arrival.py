"""Carry a received message's strictly parsed value and verified caller alongside the SDK's own parse of the same
bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.mandate.delegation_transport_terms import MEMBER, MEMBER_CHARS_MAX
from answerable.errors.codes.mandate import DELEGATION_MALFORMED
from answerable.errors.codes.services import GATEWAY_OTHER_MESSAGE
from answerable.sdk.gateway_address import SHIM_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.apps.mcp_gateway.admission import Aside
    from answerable.apps.mcp_gateway.exchange import Exchange
    from answerable.apps.mcp_gateway.sessions import Session
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller

SCOPE_KEY: Final = "answerable.arrival"


@dataclass(slots=True)
class Read:
    """What is known of a message so far. agent: the authenticated sender. exchange: of its HTTP request. is_plain:
    whether its answer needs none of the fields that the front adds."""

    exchange: Exchange
    is_plain: bool
    id: JSONValue = None
    agent: str = ""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A received message. message: parsed strictly from the bytes that the proof covers; empty for GET and DELETE.

    mandate_id, chain: from the fields `Answerable-Mandate` and `Answerable-Delegation`, which the proof covers.
    session: of the session-based era. aside: runs work outside the event loop; None if the message is small. reached:
    holds the method once the gate has the message and records refusals itself. scope: of the HTTP request, to identify
    the sender.
    """

    message: dict[str, JSONValue]
    caller: VerifiedCaller
    mandate_id: str
    chain: str = ""
    session: Session | None = None
    aside: Aside | None = None
    reached: list[str] = []
    scope: Mapping[str, Any] = {}

    @property
    def params(self) -> dict[str, JSONValue]:
        """The request's parameters; empty if absent."""
        params = self.message.get("params", {})
        return params if isinstance(params, dict) else {}

    @property
    def on_stdio(self) -> bool:
        """Whether the message claims to come through a shim. Affects only the wording of answers."""
        return (b"user-agent", SHIM_AGENT.encode()) in self.scope.get("headers", ())

    @property
    def task(self) -> tuple[VerifiedCaller, str, str]:
        """The caller, its mandate and its hops, to check later which events it may still receive."""
        return self.caller, self.mandate_id, self.delegation

    @property
    def delegation(self) -> str:
        """The hops that the caller names, root first, joined by `~`: from the header field or a member of `_meta`.

        Raises Malformed (`delegation.malformed`) if both are present and differ.
        """
        meta = self.params.get("_meta")
        said = meta.get(MEMBER, "") if isinstance(meta, dict) else ""
        if not isinstance(said, str) or len(said) > MEMBER_CHARS_MAX:
            raise DELEGATION_MALFORMED(f"`{MEMBER}` must be text of at most {MEMBER_CHARS_MAX} characters")
        if said and self.chain and said != self.chain:
            raise DELEGATION_MALFORMED(f"`{MEMBER}` and the Answerable-Delegation field name different hops")
        return said or self.chain


def arrival_of(request: Any, method: str, request_id: str | int | None) -> Arrival:
    """Return the arrival of the request that the SDK is about to run. Raises Broken (`gateway.other_message`)."""
    scope: Mapping[str, Any] = request.scope if request is not None else {}
    arrival = scope.get(SCOPE_KEY)
    if not isinstance(arrival, Arrival):
        raise GATEWAY_OTHER_MESSAGE("a message reached the gate without its proof being checked")
    if arrival.message.get("method") != method or arrival.message.get("id") != request_id:
        raise GATEWAY_OTHER_MESSAGE("the SDK parsed another message than the one whose proof was checked")
    return arrival
