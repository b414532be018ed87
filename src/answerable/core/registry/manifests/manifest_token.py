"""Sign and verify manifest tokens: compact JWS whose header `typ` is `answerable-manifest+jwt`.

Laws: all claims are present and no others; a manifest is accepted only under a key that is registered now for the
agent's current owner or backup owner; an owner who loses the agent or the key invalidates the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import (
    PAYLOAD_DEPTH_MAX,
    TOKEN_CHARS_MAX,
    TokenCodes,
    read_compact,
)
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, agent_id, principal_id
from answerable.core.registry.manifests.manifest import form_of, manifest_digest, manifest_of
from answerable.core.statement import Kind
from answerable.errors import Refused, shown
from answerable.errors.codes.registry import (
    MANIFEST_AGENT_INACTIVE,
    MANIFEST_ALGORITHM,
    MANIFEST_ENVIRONMENT,
    MANIFEST_KEY,
    MANIFEST_MALFORMED,
    MANIFEST_NOT_AN_OWNER,
    MANIFEST_SIGNATURE,
    MANIFEST_SIGNER_KEY,
    MANIFEST_SUBJECT,
    MANIFEST_TIER,
    MANIFEST_TYPE,
)

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.registry.manifests.manifest import Manifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

MANIFEST_TYP: Final = "answerable-manifest+jwt"

_LIMITS: Final = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)


class ManifestClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that the answerable owner signs. manifest: as `manifest_of` reads it."""

    iss: Annotated[str, Meta(description="the principal who signed; the key is theirs")]
    sub: Annotated[str, Meta(description="the agent; the same as `manifest.agent`")]
    iat_ms: Annotated[int, Meta(ge=0, description="Unix milliseconds at which it was signed")]
    manifest: Annotated[Any, Meta(description="the form")]


MANIFEST: Final = Kind(
    typ=MANIFEST_TYP,
    codes=TokenCodes(
        malformed=MANIFEST_MALFORMED,
        type=MANIFEST_TYPE,
        algorithm=MANIFEST_ALGORITHM,
        key=MANIFEST_KEY,
        signature=MANIFEST_SIGNATURE,
    ),
    what="the manifest",
    form=ManifestClaims,
    missing="claim {claim} is missing",
    unknown="claim {claim} is unknown, so the token is refused",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A verified manifest token; made by `verified_manifest`, or by `stored_manifest` from a token that was verified on
    receipt.

    key: thumbprint of the key that signed it. digest: of the manifest, hex.
    """

    manifest: Manifest
    signed_by: PrincipalId
    signed_at: UnixMillis
    key: str
    token: str
    digest: str


def manifest_claims(manifest: Manifest, *, owner: PrincipalId, at: UnixMillis) -> ManifestClaims:
    """Return the claims to sign. at: the current time."""
    return ManifestClaims(iss=owner, sub=manifest.agent, iat_ms=at, manifest=form_of(manifest))


def signed_manifest(manifest: Manifest, *, owner: PrincipalId, key: SigningKey, at: UnixMillis) -> str:
    """Sign a manifest token. at: the current time. Raises Malformed (`json.*`)."""
    return MANIFEST.sign(manifest_claims(manifest, owner=owner, at=at), key)


def verified_manifest(token: str, *, current: RegistrySnapshot) -> SignedManifest:
    """Verify a manifest token against the current registry.

    Raises Malformed (`manifest.*`, `name.invalid`), Unverified (step `manifest`: `manifest.type`, `manifest.algorithm`,
    `manifest.key`, `manifest.signature`, `manifest.subject`), and Refused as listed for `standing_fault`.
    """
    signed = _signed(token, MANIFEST.verified(token, current.person_keys))
    fault = standing_fault(signed, current)
    if fault is not None:
        raise fault
    return signed


def stored_manifest(token: str) -> SignedManifest:
    """Read a token that was verified on receipt; never use it for untrusted input.

    Raises Malformed (`manifest.*`, `name.invalid`), Unverified (`manifest.type`, `manifest.subject`).
    """
    jws = read_compact(token, malformed=MANIFEST_MALFORMED)
    if jws.header.get("typ") != MANIFEST_TYP:
        got = shown(jws.header.get("typ"), 40)
        raise MANIFEST_TYPE(f"expected a token of type {MANIFEST_TYP}, got {got}")
    claims = parse(jws.payload, limits=_LIMITS)
    if not isinstance(claims, dict):
        raise MANIFEST_MALFORMED("token claims are not a JSON object")
    return _signed(token, MANIFEST.read(claims))


def standing_fault(signed: SignedManifest, current: RegistrySnapshot) -> Refused | None:
    """Return why the manifest is not in force in this registry, or None: `manifest.agent_inactive`,
    `manifest.not_an_owner`, `manifest.signer_key`, `manifest.environment`, `manifest.tier`. Uses no cryptography, so
    that it can be called at every action."""
    manifest = signed.manifest
    agent = current.agents.get(manifest.agent)
    if agent is None or agent.status != "active":
        return MANIFEST_AGENT_INACTIVE(f"agent {shown(manifest.agent)} is not active")
    person = current.principals.get(signed.signed_by)
    owners = (agent.ownership.owner, agent.ownership.backup_owner)
    if person is None or person.status != "active" or person.name not in owners:
        return MANIFEST_NOT_AN_OWNER(
            f"{signed.signed_by} does not own agent {shown(manifest.agent)} now: its owner or backup owner must sign"
        )
    if not any(compare_digest(key.thumbprint, signed.key) for key in person.keys):
        return MANIFEST_SIGNER_KEY(
            f"the key that signed this manifest is no longer {signed.signed_by}'s: sign it anew"
        )
    if manifest.environment != agent.environment:
        return MANIFEST_ENVIRONMENT(
            f"the manifest is for environment {shown(manifest.environment)}, agent {shown(manifest.agent)} is "
            f"registered in {shown(agent.environment)}"
        )
    if agent.tier is not None and manifest.tier != agent.tier:
        return MANIFEST_TIER(
            f"the manifest is of tier {manifest.tier}, agent {shown(manifest.agent)} is registered in tier "
            f"{agent.tier}"
        )
    return None


def _signed(token: str, claims: ManifestClaims) -> SignedManifest:
    manifest = manifest_of(claims.manifest)
    subject = agent_id(claims.sub)
    if subject != manifest.agent:
        raise MANIFEST_SUBJECT(
            f"the token is about {shown(subject)}, its manifest about {shown(manifest.agent)}"
        )
    return SignedManifest(
        manifest=manifest,
        signed_by=principal_id(claims.iss),
        signed_at=UnixMillis(claims.iat_ms),
        key=MANIFEST.key_of(token),
        token=token,
        digest=manifest_digest(manifest),
    )
