"""Sign and verify an owner's approval of a tool definition: a compact JWS whose header `typ` is `answerable-tool+jwt`.

Laws: all claims are present and no others; an approval is accepted only under a key that is registered now for the
current owner or backup owner of a capability of this tool; it replaces one definition by one other, so that an old
approval cannot be replayed to restore an earlier definition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, checked_name
from answerable.core.registry.documents.public_name import checked_plain_target
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.core.statement import Kind
from answerable.errors import Refused, shown
from answerable.errors.codes.registry import (
    TOOL_ALGORITHM,
    TOOL_KEY,
    TOOL_MALFORMED,
    TOOL_NOT_AN_OWNER,
    TOOL_SIGNATURE,
    TOOL_TYPE,
    TOOL_UNREGISTERED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

TOOL_TYP: Final = "answerable-tool+jwt"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class ToolClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that an owner signs to approve a definition."""

    iss: Annotated[str, Meta(description="registered name of the person")]
    iat_ms: Annotated[int, Meta(ge=0, description="Unix milliseconds at which it was signed")]
    server: Annotated[str, Meta(description="registered name of the server")]
    tool: Annotated[str, Meta(description="the tool, as its server names it")]
    definition: Annotated[
        str,
        Meta(
            description="SHA-256, hex, of the canonical JSON (RFC 8785) of the tool's whole entry in the list of tools"
        ),
    ]
    previous: Annotated[
        str,
        Meta(description="that of the definition in force until then; empty where there is none"),
    ]


TOOL: Final = Kind(
    typ=TOOL_TYP,
    codes=TokenCodes(
        malformed=TOOL_MALFORMED,
        type=TOOL_TYPE,
        algorithm=TOOL_ALGORITHM,
        key=TOOL_KEY,
        signature=TOOL_SIGNATURE,
    ),
    what="the approval",
    form=ToolClaims,
    missing="claim {claim} is missing",
    unknown="claim {claim} is unknown, so the token is refused",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolApproval:
    """A verified approval; made by `verified_approval`. key: thumbprint of the key that signed it."""

    server: str
    tool: str
    definition: str
    previous: str
    signed_by: PrincipalId
    signed_at: UnixMillis
    key: str
    token: str


def signed_approval(
    server: str,
    tool: str,
    *,
    definition: str,
    previous: str,
    owner: PrincipalId,
    key: SigningKey,
    at: UnixMillis,
) -> str:
    """Sign an approval token. at: the current time. Raises Malformed (`json.*`)."""
    claims = ToolClaims(
        iss=owner, iat_ms=at, server=server, tool=tool, definition=definition, previous=previous
    )
    return TOOL.sign(claims, key)


def verified_approval(token: str, *, current: RegistrySnapshot) -> ToolApproval:
    """Verify a token against the current registry.

    Raises Malformed (`tool.malformed`, `name.invalid`), Unverified (step `tool`: `tool.type`, `tool.algorithm`,
    `tool.key`, `tool.signature`), Refused (`tool.not_an_owner`, `tool.unregistered`).
    """
    claims = TOOL.verified(token, current.person_keys)
    approval = _approval(token, claims)
    fault = owner_fault(approval, current)
    if fault is not None:
        raise fault
    return approval


def owner_fault(approval: ToolApproval, current: RegistrySnapshot) -> Refused | None:
    """Return why this person cannot approve this tool now, or None: `tool.not_an_owner`, `tool.unregistered`."""
    found = [*capabilities_of(current, approval.server, approval.tool)]
    if not found:
        return TOOL_UNREGISTERED(
            f"tool {shown(approval.tool)} of server {shown(approval.server)} has no capability, so it "
            "has no owner: register one first, `answerable capability propose` writes it"
        )
    person = current.principals.get(approval.signed_by)
    owners = {name for one in found for name in (one.ownership.owner, one.ownership.backup_owner)}
    if person is None or person.status != "active" or person.name not in owners:
        named = " or ".join(sorted(name for name in owners if name)) or "nobody yet"
        return TOOL_NOT_AN_OWNER(
            f"{approval.signed_by} does not own tool {shown(approval.tool)} now: {named} must sign"
        )
    return None


def capabilities_of(current: RegistrySnapshot, server: str, tool: str) -> Iterator[Capability]:
    """Yield the capabilities for a tool, in force or not."""
    for capability in (*current.capabilities.values(), *current.idle.values()):
        if (capability.server, capability.method, capability.target) == (server, TOOLS_CALL, tool):
            yield capability


def _approval(token: str, claims: ToolClaims) -> ToolApproval:
    definition, previous = claims.definition, claims.previous
    if not _DIGEST.fullmatch(definition) or (previous and not _DIGEST.fullmatch(previous)):
        raise TOOL_MALFORMED("claims `definition` and `previous` are SHA-256 digests in hex")
    return ToolApproval(
        server=checked_name(claims.server, what="server"),
        tool=_checked_tool(claims.tool),
        definition=definition,
        previous=previous,
        signed_by=PrincipalId(claims.iss),
        signed_at=UnixMillis(claims.iat_ms),
        key=TOOL.key_of(token),
        token=token,
    )


def _checked_tool(name: str) -> str:
    checked_plain_target(name, what="tool")
    return name
