"""Build the contents of answers: SVIDs with fresh keys, bundles and claims.

Laws: a key is generated for one answer and no reference to it is kept; nothing here writes a key anywhere else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from answerable.core.identity.svid.trust_bundle import encoded_jwt_bundle, encoded_wit_bundle
from answerable.errors.codes.workloads import WORKLOAD_API_NO_BUNDLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.apps.workload_api.services import Identity, WorkloadServices
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain

HINT_BYTES_MAX: Final = 1024
"""Longest hint (Workload API, section 8)."""
JITTER: Final = 0.1
"""Share of half a lifetime, in either direction: workloads started together do not all renew together."""
RENEW_MILLIS_MIN: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The input of an answer; a different sight means a different answer. bundles: as on the wire, by trust domain ID.

    broker: who fetches it, if not the workload itself.
    """

    identities: tuple[Identity, ...]
    bundles: Mapping[str, bytes]
    broker: SpiffeId | None = None


def x509_bundles(needs: WorkloadServices) -> dict[str, bytes]:
    """Return concatenated DER certificates by domain. Raises Unavailable without this domain's bundle."""
    return _keyed(needs, {domain: b"".join(one.x509_authorities) for domain, one in needs.bundles().items()})


def jwt_bundles(needs: WorkloadServices) -> dict[str, bytes]:
    """Return JWK Sets by domain. Raises Unavailable without this domain's bundle."""
    return _keyed(needs, {domain: encoded_jwt_bundle(one) for domain, one in needs.bundles().items()})


def wit_bundles(needs: WorkloadServices) -> dict[str, bytes]:
    """Return JWK Sets of the WIT-SVID keys by domain. Raises Unavailable without this domain's bundle."""
    return _keyed(needs, {domain: encoded_wit_bundle(one) for domain, one in needs.bundles().items()})


async def fill_x509(answer: Any, sight: Sight, needs: WorkloadServices) -> UnixMillis:
    """Fill in X.509-SVIDs with keys and bundles; return when to send them again. For messages of both APIs."""
    own = f"spiffe://{needs.domain}"
    ends = []
    for identity in sight.identities:
        key = ec.generate_private_key(ec.SECP256R1())
        issued = await needs.x509_svid(identity.id, key.public_key(), broker=sight.broker)
        answer.svids.add(
            spiffe_id=str(identity.id),
            x509_svid=b"".join((issued.leaf, *issued.chain)),
            x509_svid_key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            bundle=sight.bundles[own],
            hint=identity.hint,
        )
        ends.append(issued.not_after)
    for domain, bundle in sight.bundles.items():
        if domain != own:
            answer.federated_bundles[domain] = bundle
    return renewal(min(ends), needs)


async def fill_jwt(
    answer: Any,
    identities: tuple[Identity, ...],
    audience: tuple[str, ...],
    needs: WorkloadServices,
    broker: SpiffeId | None = None,
) -> None:
    """Fill in JWT-SVIDs. For messages of both APIs. broker: as in `Sight`."""
    for identity in identities:
        svid = await needs.jwt_svid(identity.id, audience, broker=broker)
        answer.svids.add(spiffe_id=str(identity.id), svid=svid, hint=identity.hint)


async def fill_wit(answer: Any, sight: Sight, needs: WorkloadServices) -> UnixMillis:
    """Fill in WIT-SVIDs with keys; return when to send them again."""
    ends = []
    for identity in sight.identities:
        key = ec.generate_private_key(ec.SECP256R1())
        issued = await needs.wit_svid(identity.id, key.public_key())
        answer.svids.add(
            spiffe_id=str(identity.id), wit_svid=issued.token, wit_svid_key=_key_text(key), hint=identity.hint
        )
        ends.append(issued.expires_at)
    return renewal(min(ends), needs)


def renewal(end: UnixMillis, needs: WorkloadServices) -> UnixMillis:
    """Return the time at half of the remaining lifetime, with a tenth of jitter."""
    chance = int.from_bytes(needs.entropy(4), "big") / 2**32
    now = needs.now()
    half = (end - now) / 2 * (1 - JITTER + 2 * JITTER * chance)
    return type(end)(now + max(RENEW_MILLIS_MIN, int(half)))


def with_unique_hints(identities: tuple[Identity, ...]) -> tuple[Identity, ...]:
    """Return the same identities; a hint that repeats another or is too long is left out."""
    seen: set[str] = set()
    kept = []
    for identity in identities:
        hint = identity.hint
        if hint in seen or len(hint.encode()) > HINT_BYTES_MAX:
            kept.append(type(identity)(id=identity.id))
            continue
        kept.append(identity)
        if hint:
            seen.add(hint)
    return tuple(kept)


def check_ready(needs: WorkloadServices) -> None:
    """Check that this domain's bundle exists. Raises Unavailable (`workload_api.no_bundle`): callers then retry."""
    if needs.domain not in needs.bundles():
        raise WORKLOAD_API_NO_BUNDLE()


def _keyed(needs: WorkloadServices, sets: Mapping[TrustDomain, bytes]) -> dict[str, bytes]:
    if not sets.get(needs.domain):
        raise WORKLOAD_API_NO_BUNDLE()
    return {f"spiffe://{domain}": encoded for domain, encoded in sets.items() if encoded}


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return json.dumps(ECKey.import_key(pem).as_dict(private=True) | {"alg": "ES256"})
