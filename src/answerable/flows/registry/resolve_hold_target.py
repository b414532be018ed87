"""Resolve a bare name to the target of a hold: anything of exactly that name, of any kind, if it is unique.

Laws: an ambiguous name stops nothing until a kind is given, as `KIND:NAME` or beside it. Nothing is guessed from part
of a name. A name that is not known yet can be held by giving its kind. What is called `KIND:NAME` itself comes first.
"""

from __future__ import annotations

from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING, Final

from answerable.core.containment.hold import EVERYTHING, HOLD_KINDS, HoldKind, HoldTarget, described, holdable
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, shown
from answerable.errors.codes.containment import HOLD_AMBIGUOUS
from answerable.errors.codes.registry import HOLDABLE_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.flows.state.parts import AuthorityRegisters

NAME_CHARS_MAX: Final = 2_048
"""Maximum length of a target's name; a SPIFFE ID is the longest."""

_DOCUMENTS: Final[dict[str, HoldKind]] = {
    "Agent": "agent",
    "Server": "server",
    "Capability": "capability",
    "Principal": "owner",
}


def resolve_hold_target(authority: AuthorityRegisters, name: str, kind: str = "") -> HoldTarget:
    """Return the target called `name`, of this kind or, without one, of the only kind that has such a name.

    Raises Malformed (as `holdable`), Refused: `holdable.unknown`, and `hold.ambiguous`, whose reasons are the commands
    for each candidate.
    """
    if kind:
        return holdable(kind, name)
    found = tuple(dict.fromkeys(_called(authority, name)))
    before, colon, rest = name.partition(":")
    if not found and colon and before in HOLD_KINDS:
        return holdable(before, rest)
    if not found:
        raise HOLDABLE_UNKNOWN(
            f"nothing is registered as {shown(name)}: see `answerable registry list`, or name its "
            "kind with --kind"
        )
    if len(found) > 1:
        meant = ", ".join(described(one) for one in found)
        raise HOLD_AMBIGUOUS(
            f"nothing was stopped: {shown(name)} may be {meant}; choose one with --kind",
            reasons=tuple(f"answerable stop --kind {one.kind} {quote(one.name)}" for one in found),
        )
    return found[0]


def _called(authority: AuthorityRegisters, name: str) -> Iterator[HoldTarget]:
    """Yield every target of exactly this name."""
    current = authority.registry.current
    if name == EVERYTHING.kind:
        yield EVERYTHING
    if name[: len(SCHEME)].lower() == SCHEME:
        yield from _as("instance", name)
        return
    server, slash, _ = name.partition("/")
    if slash and server in current.servers:
        yield from _as("tool", name)
    documents = authority.registry.documents()
    for document, kind in _DOCUMENTS.items():
        # Active or not: a document that comes into force later is then held.
        if f"{document}/{name}" in documents:
            yield from _as(kind, name)
    if authority.mandates.find(MandateId(name)) is not None:
        yield from _as("mandate", name)
    yield from _said_of(authority, name)


def _said_of(authority: AuthorityRegisters, name: str) -> Iterator[HoldTarget]:
    """Yield targets named in the documents of agents, servers and capabilities."""
    current = authority.registry.current
    agents, servers = current.agents.values(), current.servers.values()
    capabilities = current.capabilities.values()
    if name in {*(one.environment for one in agents), *(one.environment for one in capabilities)}:
        yield from _as("environment", name)
    if name and name in {*(one.tenant for one in agents), *(one.tenant for one in servers)}:
        yield from _as("tenant", name)
    vendors = {vendor for one in agents for vendor in one.vendors}
    if name and name in {*vendors, *(one.vendor for one in servers)}:
        yield from _as("vendor", name)
    for agent in current.agents:
        signed = authority.manifests.current(agent)
        if signed is not None and signed.digest == name:
            yield from _as("manifest", name)
    keys = {key.thumbprint for one in agents for key in one.keys}
    if name in keys or any(
        key.thumbprint == name for person in current.principals for key in current.person_keys(person)
    ):
        yield from _as("key", name)


def _as(kind: HoldKind, name: str) -> Iterator[HoldTarget]:
    with suppress(Malformed):
        yield holdable(kind, name)
