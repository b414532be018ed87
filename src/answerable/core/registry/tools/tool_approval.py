"""An owner's yes to a tool on the wire: a JWS in compact form whose header `typ` is `answerable-tool+jwt`.

| claim        | type    | meaning                                                               |
|--------------|---------|-----------------------------------------------------------------------|
| `iss`        | text    | the principal who answers for it; the signing key is theirs           |
| `iat_ms`     | integer | Unix milliseconds at which it was signed                              |
| `server`     | text    | registered name of the server                                         |
| `tool`       | text    | the tool, as its server names it                                      |
| `definition` | text    | SHA-256 of the definition's canonical JSON, hex                       |
| `previous`   | text    | that of the definition in force until then; empty where there is none |

Laws: all claims are there and no others; it is believed only under a key that is registered now for somebody who owns a
capability of this very tool now, as owner or backup owner; it changes one definition into one other, so that an old one
that somebody kept brings nothing back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.keys.compact_jws import read_compact, signed_statement, verified_claims
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, checked_name, principal_id
from answerable.core.registry.documents.public_name import checked_plain_target
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import Malformed, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

TOOL_TYP: Final = "answerable-tool+jwt"
STEP: Final = "tool"

_CLAIMS: Final = frozenset({"iss", "iat_ms", "server", "tool", "definition", "previous"})
_CODE: Final = "tool.malformed"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolApproval:
    """Made by `verified_approval`. key: thumbprint of the key that signed it."""

    server: str
    tool: str
    definition: str
    previous: str
    signed_by: PrincipalId
    signed_at: UnixMillis
    key: str
    token: str


def approval_claims(
    server: str, tool: str, *, definition: str, previous: str, owner: PrincipalId, at: UnixMillis
) -> dict[str, JSONValue]:
    """What is signed. at: now."""
    return {
        "iss": owner,
        "iat_ms": at,
        "server": server,
        "tool": tool,
        "definition": definition,
        "previous": previous,
    }


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
    """The token. at: now. Raises Malformed (`json.*`)."""
    claims = approval_claims(server, tool, definition=definition, previous=previous, owner=owner, at=at)
    return signed_statement(claims, typ=TOOL_TYP, key=key)


def verified_approval(token: str, *, current: RegistrySnapshot) -> ToolApproval:
    """Verify a token against the registry as it is now.

    Raises Malformed (`tool.malformed`, `name.invalid`), Unverified (step `tool`: `tool.type`, `tool.algorithm`,
    `tool.key`, `tool.signature`), Refused (`tool.not_an_owner`, `tool.unregistered`).
    """
    claims = verified_claims(
        token,
        typ=TOOL_TYP,
        step=STEP,
        issuer_of=lambda unverified: principal_id(_text(unverified, "iss")),
        keys_of=current.person_keys,
    )
    approval = _approval(token, claims)
    fault = owner_fault(approval, current)
    if fault is not None:
        raise fault
    return approval


def owner_fault(approval: ToolApproval, current: RegistrySnapshot) -> Refused | None:
    """Why this person cannot say yes to this tool now, or None: `tool.not_an_owner`, `tool.unregistered`."""
    found = [*capabilities_of(current, approval.server, approval.tool)]
    if not found:
        return Refused(
            f"no capability stands for tool {shown(approval.tool)} of server {shown(approval.server)}, so nobody "
            "answers for it: register one first, `answerable capability propose` writes it",
            code="tool.unregistered",
        )
    person = current.principals.get(approval.signed_by)
    owners = {name for one in found for name in (one.ownership.owner, one.ownership.backup_owner)}
    if person is None or person.status != "active" or person.name not in owners:
        named = " or ".join(sorted(name for name in owners if name)) or "nobody yet"
        return Refused(
            f"{approval.signed_by} does not own tool {shown(approval.tool)} now: {named} must sign",
            code="tool.not_an_owner",
        )
    return None


def capabilities_of(current: RegistrySnapshot, server: str, tool: str) -> Iterator[Capability]:
    """The capabilities that stand for a tool, in force or not."""
    for capability in (*current.capabilities.values(), *current.idle.values()):
        if (capability.server, capability.method, capability.target) == (server, TOOLS_CALL, tool):
            yield capability


def _approval(token: str, claims: Mapping[str, JSONValue]) -> ToolApproval:
    if claims.keys() != _CLAIMS:
        odd = sorted(claims.keys() ^ _CLAIMS)[0]
        what = "is not known here, so it refuses" if odd in claims else "is missing"
        raise Malformed(f"claim {shown(odd, 40)} {what}", code=_CODE)
    at = claims["iat_ms"]
    if type(at) is not int or at < 0:
        raise Malformed("claim `iat_ms` must be an integer of 0 or more", code=_CODE)
    definition, previous = _text(claims, "definition"), _text(claims, "previous")
    if not _DIGEST.fullmatch(definition) or (previous and not _DIGEST.fullmatch(previous)):
        raise Malformed("claims `definition` and `previous` are SHA-256 digests in hex", code=_CODE)
    return ToolApproval(
        server=checked_name(_text(claims, "server"), what="server"),
        tool=_checked_tool(_text(claims, "tool")),
        definition=definition,
        previous=previous,
        signed_by=principal_id(_text(claims, "iss")),
        signed_at=UnixMillis(at),
        key=read_compact(token, step=STEP).header.get("kid", ""),
        token=token,
    )


def _checked_tool(name: str) -> str:
    checked_plain_target(name, what="tool")
    return name


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value
