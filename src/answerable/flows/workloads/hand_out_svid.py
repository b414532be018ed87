"""Issue SVIDs to instances; each is recorded in the ledger before it is returned."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.canonical import parse
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.workload.enrolment import ec_thumbprint, spki_digest
from answerable.core.ledger import records_workload
from answerable.errors.codes.identity import SVID_ISSUE_BROKEN, SVID_MALFORMED
from answerable.flows.recording.record_entry import record_entry
from answerable.flows.workloads.compare_manifest import shown_now
from answerable.flows.workloads.enrol_workload import live_instance

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.svid.x509_svid import X509Svid
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.records_workload import SvidKind
    from answerable.flows.trust_domain.workloads import Workloads


async def x509_svid(
    workloads: Workloads,
    instance: SpiffeId,
    key: EllipticCurvePublicKey,
    *,
    broker: SpiffeId | None = None,
) -> X509Svid:
    """Issue a certificate for a live instance over a key that it proved, or that was created for it.

    `broker`: the live instance that fetches it on behalf of `instance`; recorded with it. Raises Refused (`instance.*`,
    `agent.inactive`, `workloads.pace`), Unavailable.
    """
    _admit(workloads, instance, broker)
    issued = await anyio.to_thread.run_sync(partial(workloads.issuer.x509, instance, key))
    serial, thumbprint = f"{issued.serial:x}", spki_digest(key)
    await _record(workloads, instance, "x509", serial, issued.not_after, thumbprint, broker)
    return issued


async def jwt_svid(
    workloads: Workloads, instance: SpiffeId, audience: tuple[str, ...], *, broker: SpiffeId | None = None
) -> str:
    """Issue a JWT-SVID, a bearer token, for a live instance. `broker`, and errors: as `x509_svid`."""
    shown = shown_now(workloads, _admit(workloads, instance, broker))
    token = await anyio.to_thread.run_sync(partial(workloads.issuer.jwt, instance, audience, manifest=shown))
    digest = sha256(token.encode()).hexdigest()
    await _record(workloads, instance, "jwt", digest, _end_of(token), broker=broker)
    return token


async def wit_svid(workloads: Workloads, instance: SpiffeId, key: EllipticCurvePublicKey, jwk: str) -> str:
    """Issue a WIT-SVID bound to `key`. `jwk`: the same key as text. Raises as `x509_svid`."""
    shown = shown_now(workloads, _admit(workloads, instance))
    token = await anyio.to_thread.run_sync(partial(workloads.issuer.wit, instance, jwk, manifest=shown))
    digest = sha256(token.encode()).hexdigest()
    await _record(workloads, instance, "wit", digest, _end_of(token), ec_thumbprint(key))
    return token


def _admit(workloads: Workloads, instance: SpiffeId, broker: SpiffeId | None = None) -> Instance:
    """Check the instance before anything is signed: a refusal costs neither a signature nor an entry."""
    if broker is not None:
        live_instance(workloads, broker)
    found = live_instance(workloads, instance)
    workloads.count_document(found.agent)
    return found


def _end_of(token: str) -> UnixMillis:
    """Return `exp` of a token that was just made."""
    claims = parse(read_compact(token, malformed=SVID_MALFORMED).payload)
    end = claims.get("exp") if isinstance(claims, dict) else None
    if not isinstance(end, int):
        raise SVID_ISSUE_BROKEN()
    return UnixMillis(end * 1000)


async def _record(
    workloads: Workloads,
    instance: SpiffeId,
    kind: SvidKind,
    serial: str,
    expires: UnixMillis,
    key: str = "",
    broker: SpiffeId | None = None,
) -> None:
    entry = records_workload.svid_issued(
        instance,
        at=workloads.recorder.clock.now(),
        kind=kind,
        serial=serial,
        expires=expires,
        key=key,
        broker=broker,
    )
    _, left = await record_entry(workloads.recorder, entry)
    if left is not None:
        raise left
    # The instance may have ended while the entry was written; then nothing is returned.
    live_instance(workloads, instance)
    if broker is not None:
        live_instance(workloads, broker)
