"""A signed manifest on the wire: a JWS in compact form whose header `typ` is `answerable-manifest+jwt`.

| claim      | type    | meaning                                                      |
|------------|---------|--------------------------------------------------------------|
| `iss`      | text    | the principal who answers for it; the signing key is theirs  |
| `sub`      | text    | the agent it is about; the manifest's own `agent`            |
| `iat_ms`   | integer | Unix milliseconds at which it was signed                     |
| `manifest` | object  | the canonical form, as in `manifest.form_of`                 |

Laws: all claims are there and no others; a manifest is believed only under a key that is registered now for somebody
who owns the agent now, as owner or backup owner; who loses the agent or the key loses the manifest with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import (
    PAYLOAD_DEPTH_MAX,
    TOKEN_CHARS_MAX,
    read_compact,
    signed_statement,
    verified_claims,
)
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis, agent_id, principal_id
from answerable.core.registry.manifests.manifest import form_of, manifest_digest, manifest_of
from answerable.errors import Malformed, Refused, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.registry.manifests.manifest import Manifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

MANIFEST_TYP: Final = "answerable-manifest+jwt"
STEP: Final = "manifest"

_CLAIMS: Final = frozenset({"iss", "sub", "iat_ms", "manifest"})
_LIMITS: Final = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
_CODE: Final = "manifest.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """Made by `verified_manifest`, or by `stored_manifest` from a token that was verified when it was taken in.

    key: thumbprint of the key that signed it. digest: of the manifest, hex.
    """

    manifest: Manifest
    signed_by: PrincipalId
    signed_at: UnixMillis
    key: str
    token: str
    digest: str


def manifest_claims(manifest: Manifest, *, owner: PrincipalId, at: UnixMillis) -> dict[str, JSONValue]:
    """What is signed. at: now."""
    return {"iss": owner, "sub": manifest.agent, "iat_ms": at, "manifest": form_of(manifest)}


def signed_manifest(manifest: Manifest, *, owner: PrincipalId, key: SigningKey, at: UnixMillis) -> str:
    """The manifest token. at: now. Raises Malformed (`json.*`)."""
    return signed_statement(manifest_claims(manifest, owner=owner, at=at), typ=MANIFEST_TYP, key=key)


def verified_manifest(token: str, *, current: RegistrySnapshot) -> SignedManifest:
    """Verify a manifest token against the registry as it is now.

    Raises Malformed (`manifest.*`, `name.invalid`), Unverified (step `manifest`: `manifest.type`,
    `manifest.algorithm`, `manifest.key`, `manifest.signature`, `manifest.subject`), and Refused as `standing_fault`
    says.
    """
    claims = verified_claims(
        token,
        typ=MANIFEST_TYP,
        step=STEP,
        issuer_of=lambda unverified: principal_id(_text(unverified, "iss")),
        keys_of=current.person_keys,
    )
    signed = _signed(token, claims)
    fault = standing_fault(signed, current)
    if fault is not None:
        raise fault
    return signed


def stored_manifest(token: str) -> SignedManifest:
    """Read a token that was verified when it was taken in; never one from outside.

    Raises Malformed (`manifest.*`, `name.invalid`), Unverified (`manifest.type`, `manifest.subject`).
    """
    jws = read_compact(token, step=STEP)
    if jws.header.get("typ") != MANIFEST_TYP:
        got = shown(jws.header.get("typ"), 40)
        raise Unverified(
            f"expected a token of type {MANIFEST_TYP}, got {got}", code="manifest.type", step=STEP
        )
    claims = parse(jws.payload, limits=_LIMITS)
    if not isinstance(claims, dict):
        raise Malformed("token claims are not a JSON object", code=_CODE)
    return _signed(token, claims)


def standing_fault(signed: SignedManifest, current: RegistrySnapshot) -> Refused | None:
    """Why the manifest does not stand in this registry, or None: `manifest.agent_inactive`, `manifest.not_an_owner`,
    `manifest.signer_key`, `manifest.environment`, `manifest.tier`. Without cryptography, so that it can be asked at
    every action."""
    manifest = signed.manifest
    agent = current.agents.get(manifest.agent)
    if agent is None or agent.status != "active":
        return Refused(f"agent {shown(manifest.agent)} is not active", code="manifest.agent_inactive")
    person = current.principals.get(signed.signed_by)
    owners = (agent.ownership.owner, agent.ownership.backup_owner)
    if person is None or person.status != "active" or person.name not in owners:
        return Refused(
            f"{signed.signed_by} does not own agent {shown(manifest.agent)} now: its owner or backup owner must sign",
            code="manifest.not_an_owner",
        )
    if not any(compare_digest(key.thumbprint, signed.key) for key in person.keys):
        return Refused(
            f"the key that signed this manifest is no longer {signed.signed_by}'s: sign it anew",
            code="manifest.signer_key",
        )
    if manifest.environment != agent.environment:
        return Refused(
            f"the manifest is for environment {shown(manifest.environment)}, agent {shown(manifest.agent)} is "
            f"registered in {shown(agent.environment)}",
            code="manifest.environment",
        )
    if agent.tier is not None and manifest.tier != agent.tier:
        return Refused(
            f"the manifest is of tier {manifest.tier}, agent {shown(manifest.agent)} is registered in tier "
            f"{agent.tier}",
            code="manifest.tier",
        )
    return None


def _signed(token: str, claims: Mapping[str, JSONValue]) -> SignedManifest:
    if claims.keys() != _CLAIMS:
        odd = sorted(claims.keys() ^ _CLAIMS)[0]
        what = "is not known here, so it refuses" if odd in claims else "is missing"
        raise Malformed(f"claim {shown(odd, 40)} {what}", code=_CODE)
    at = claims["iat_ms"]
    if type(at) is not int or at < 0:
        raise Malformed("claim `iat_ms` must be an integer of 0 or more", code=_CODE)
    manifest = manifest_of(claims["manifest"])
    subject: AgentId = agent_id(_text(claims, "sub"))
    if subject != manifest.agent:
        message = f"the token is about {shown(subject)}, its manifest about {shown(manifest.agent)}"
        raise Unverified(message, code="manifest.subject", step=STEP)
    return SignedManifest(
        manifest=manifest,
        signed_by=principal_id(_text(claims, "iss")),
        signed_at=UnixMillis(at),
        key=read_compact(token, step=STEP).header.get("kid", ""),
        token=token,
        digest=manifest_digest(manifest),
    )


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value
