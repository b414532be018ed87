"""A message that has come in: its strict value and its proved caller, beside what the SDK makes of the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from answerable.core.mandate.delegation_transport_terms import MEMBER, MEMBER_CHARS_MAX
from answerable.errors.codes.mandate import DELEGATION_MALFORMED
from answerable.errors.codes.services import GATEWAY_OTHER_MESSAGE
from answerable.sdk.gateway_address import SHIM_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.apps.mcp_gateway.admission import Aside
    from answerable.apps.mcp_gateway.sessions import Session
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller

SCOPE_KEY: Final = "answerable.arrival"


@dataclass(slots=True)
class Read:
    """What is known of a message by now. agent: whose it was proved to be."""

    id: JSONValue = None
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """message: parsed strictly from the bytes that the proof covers; empty for GET and DELETE.

    mandate_id, chain: from the fields `Answerable-Mandate` and `Answerable-Delegation`, which the proof covers.
    session: of the session-based era.
    aside: does one thing beside the event loop; None where the message is not large enough for that.
    reached: has the method in it once the gate has the message, which then notes refusals itself. scope: of the
    HTTP request, for who sent it.
    """

    message: dict[str, JSONValue]
    caller: VerifiedCaller
    mandate_id: str
    chain: str = ""
    session: Session | None = None
    aside: Aside | None = None
    reached: list[str] = field(default_factory=list)
    scope: Mapping[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, JSONValue]:
        """The request's parameters; absent ones are empty."""
        params = self.message.get("params", {})
        return params if isinstance(params, dict) else {}

    @property
    def on_stdio(self) -> bool:
        """Whether it says that it comes through a shim: good for words alone."""
        return (b"user-agent", SHIM_AGENT.encode()) in self.scope.get("headers", ())

    @property
    def task(self) -> tuple[VerifiedCaller, str, str]:
        """Who asks, and under what: to ask again later what it may still hear."""
        return self.caller, self.mandate_id, self.delegation

    @property
    def delegation(self) -> str:
        """The hops that the caller names, root first, joined by `~`: by field, or as a member of `_meta`.

        Raises Malformed (`delegation.malformed`) where both are there and differ.
        """
        meta = self.params.get("_meta")
        said = meta.get(MEMBER, "") if isinstance(meta, dict) else ""
        if not isinstance(said, str) or len(said) > MEMBER_CHARS_MAX:
            raise DELEGATION_MALFORMED(f"`{MEMBER}` must be text of at most {MEMBER_CHARS_MAX} characters")
        if said and self.chain and said != self.chain:
            raise DELEGATION_MALFORMED(f"`{MEMBER}` and the Answerable-Delegation field name different hops")
        return said or self.chain


def arrival_of(request: Any, method: str, request_id: str | int | None) -> Arrival:
    """The arrival that belongs to what the SDK is about to run. Raises Broken (`gateway.other_message`)."""
    scope: Mapping[str, Any] = request.scope if request is not None else {}
    arrival = scope.get(SCOPE_KEY)
    if not isinstance(arrival, Arrival):
        raise GATEWAY_OTHER_MESSAGE("a message reached the gate without passing the front")
    if arrival.message.get("method") != method or arrival.message.get("id") != request_id:
        raise GATEWAY_OTHER_MESSAGE("the sdk reads another message than the one that was proved")
    return arrival
