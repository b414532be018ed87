"""Rebuild signed agent manifests and pinned tool definitions from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest_token import verified_manifest
from answerable.core.registry.tools.tool_approval import verified_approval
from answerable.core.registry.tools.tool_pin import ToolPin
from answerable.errors.codes.registry import MANIFEST_MALFORMED, TOOL_MALFORMED

if TYPE_CHECKING:
    from answerable.core.ledger.projected import Told
    from answerable.core.registry.manifests.manifest_token import SignedManifest

MANIFEST_TAGS: Final = frozenset({Tag.MANIFEST_REGISTERED})
PIN_TAGS: Final = frozenset({Tag.TOOL_PINNED})

Manifests = tuple["SignedManifest", ...]
Pins = tuple[ToolPin, ...]


def manifests_after(known: Manifests, told: Told) -> Manifests:
    """Return the manifests of one agent after an entry, the one in force last.

    Raises Unverified, Refused, Malformed for one that the owner at that time did not sign, or that cannot be decrypted.
    """
    if any(one.digest == told.leaf.get("manifest") for one in known if told.fields is None):
        return known
    told.sealed("token")
    token = told.text("token")
    if any(one.token == token for one in known):
        return known
    signed = verified_manifest(token, current=told.world.registry)
    if (signed.manifest.agent, signed.digest) != (told.leaf.get("agent"), told.leaf.get("manifest")):
        raise MANIFEST_MALFORMED("its token is of another manifest than its entry names")
    if known and signed.signed_at <= known[-1].signed_at:
        return known
    return (*known, signed)


def pins_after(known: Pins, told: Told) -> Pins:
    """Return the pinned definitions of one tool after an entry, the one in force last. A definition pinned at first
    sight counts only as the first one, because nobody signed it.

    Raises Unverified, Refused, Malformed for one that the owner at that time did not sign.
    """
    token = told.text("token")
    if any(_is_of(one, told) for one in known):
        return known
    text = told.sealed("text")
    server, tool = str(told.leaf.get("server")), str(told.leaf.get("tool"))
    definition, written = str(told.leaf.get("definition")), encode(text)
    if not token:
        at = UnixMillis(told.whole("at"))
        first = ToolPin(server=server, tool=tool, definition=definition, text=written, at=at)
        return known or (first,)
    said = verified_approval(token, current=told.world.registry)
    if (said.server, said.tool, said.definition) != (server, tool, definition):
        raise TOOL_MALFORMED("its token is of another tool than its entry names")
    if known and said.signed_at <= known[-1].at:
        return known
    pin = ToolPin(
        server=server,
        tool=tool,
        definition=definition,
        text=written,
        at=said.signed_at,
        signed_by=said.signed_by,
        key=said.key,
        token=token,
    )
    return (*known, pin)


def _is_of(pin: ToolPin, told: Told) -> bool:
    token = told.text("token")
    if told.fields is None:
        return pin.definition == told.leaf.get("definition")
    if token:
        return pin.token == token
    return (pin.token, pin.definition) == ("", told.leaf.get("definition"))
