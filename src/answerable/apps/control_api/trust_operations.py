"""This server's trust domain: its authorities, bundle, key rotation, mass revocation, and federated domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import COUNT, FLAG, INSTANT, TEXT, nullable, record
from answerable.core.canonical import parse
from answerable.core.identity.svid.trust_bundle import encoded_bundle
from answerable.errors.codes.identity import AUTHORITY_NONE, IDENTITY_OFF
from answerable.flows.workloads.change_authorities import known_authority

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.svid.authority import Authority
    from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
    from answerable.flows.workloads.change_authorities import AuthorityChanges
    from answerable.flows.workloads.follow_bundles import BundleFollowing, SourceState


class _Identity(Protocol):
    @property
    def desk(self) -> TrustDomainState: ...

    @property
    def federation(self) -> BundleFollowing: ...


class _Trusting(Protocol):
    """What these operations need of the product in addition to `Product`."""

    @property
    def identity(self) -> _Identity: ...

    @property
    def authorities(self) -> AuthorityChanges: ...


async def show_trust_domain(call: Call) -> Answer:
    """Return the name, sequence, authorities and federated domains."""
    identity = _trusting(call).identity
    bundle = identity.desk.bundle(identity.desk.domain)
    return {
        "trust_domain": identity.desk.domain,
        "sequence": bundle.sequence if bundle is not None else None,
        "open": bundle is not None,
        "authorities": [_authority(one) for one in identity.desk.authorities()],
        "federated": [_source(one) for one in identity.federation.states()],
    }


async def show_bundle(call: Call) -> Answer:
    """Return the bundle of this trust domain, as its endpoint serves it (SPIFFE Trust Domain and Bundle, section 4)."""
    desk = _trusting(call).identity.desk
    bundle = desk.bundle(desk.domain)
    if bundle is None:
        raise AUTHORITY_NONE("the trust domain is not open", port="trust_source")
    return cast("Answer", parse(encoded_bundle(bundle)))


async def rotate_authority(call: Call) -> Answer:
    """Begin the next generation of signing keys; with `activate` they sign at once."""
    activate = call.members("activate").flag("activate")
    await _trusting(call).authorities.rotate(activate=activate)
    return await show_trust_domain(call)


async def remove_authority(call: Call) -> Answer:
    """Revoke everything that this authority signed: clients that fetch the bundle no longer accept it."""
    trusting = _trusting(call)
    await trusting.authorities.remove(known_authority(trusting.identity.desk, call.path["id"]))
    return await show_trust_domain(call)


def _authority(one: Authority) -> JSONValue:
    return {
        "id": one.id,
        "state": one.state,
        "not_before": instant(one.not_before),
        "not_after": instant(one.not_after),
        "since": instant(one.since),
    }


def _source(one: SourceState) -> JSONValue:
    return {
        "trust_domain": one.trust_domain,
        "profile": one.profile,
        "address": one.address,
        "state": one.state,
        "sequence": one.sequence,
        "fault": one.reason,
    }


def _trusting(call: Call) -> _Trusting:
    """Return the product with its identity. Raises Unavailable (`identity.off`) if the product has no trust domain."""
    if getattr(call.product, "authorities", None) is None:
        raise IDENTITY_OFF()
    return cast("_Trusting", call.product)


COMPONENTS: Final[dict[str, Schema]] = {
    "TrustDomain": record(
        {
            "trust_domain": TEXT,
            "sequence": nullable(COUNT),
            "open": FLAG,
            "authorities": {
                "type": "array",
                "items": record(
                    {"id": TEXT, "state": TEXT, "not_before": INSTANT, "not_after": INSTANT, "since": INSTANT}
                ),
            },
            "federated": {
                "type": "array",
                "items": record(
                    {
                        "trust_domain": TEXT,
                        "profile": TEXT,
                        "address": TEXT,
                        "state": TEXT,
                        "sequence": nullable(COUNT),
                        "fault": TEXT,
                    }
                ),
            },
        }
    ),
    "Bundle": {"type": "object"},
    "Rotation": record({"activate": FLAG}, optional=("activate",)),
}

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="show_trust_domain",
        method="GET",
        path="/v1/trust-domain",
        summary="Our trust domain: authorities, sequence, federated domains",
        answer="TrustDomain",
        run=show_trust_domain,
    ),
    Operation(
        id="show_bundle",
        method="GET",
        path="/v1/trust-domain/bundle",
        summary="The SPIFFE trust bundle of our domain",
        answer="Bundle",
        run=show_bundle,
    ),
    Operation(
        id="rotate_authority",
        method="POST",
        path="/v1/trust-domain/rotate",
        summary="Begin the next generation of signing keys",
        body="Rotation",
        answer="TrustDomain",
        run=rotate_authority,
    ),
    Operation(
        id="remove_authority",
        method="POST",
        path="/v1/trust-domain/authorities/{id}/remove",
        summary="Revoke everything that one authority signed",
        body="Nothing",
        answer="TrustDomain",
        run=remove_authority,
    ),
)
