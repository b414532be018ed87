"""This server's trust domain: its authorities, bundle, key rotation, mass revocation, and federated domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from answerable.api import trust_answers as answers
from answerable.api.members import Nothing
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.canonical import parse
from answerable.core.identity.svid.trust_bundle import encoded_bundle
from answerable.errors.codes.identity import AUTHORITY_NONE, IDENTITY_OFF
from answerable.flows.workloads.change_authorities import known_authority

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
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


@operation(
    "GET",
    "/v1/trust-domain",
    id="show_trust_domain",
    summary="Our trust domain: authorities, sequence, federated domains",
    answer=answers.TrustDomain,
)
async def show_trust_domain(call: Call) -> answers.TrustDomain:
    """Return the name, sequence, authorities and federated domains."""
    return _trust_domain(call)


def _trust_domain(call: Call) -> answers.TrustDomain:
    identity = _trusting(call).identity
    bundle = identity.desk.bundle(identity.desk.domain)
    return answers.TrustDomain(
        trust_domain=identity.desk.domain,
        sequence=bundle.sequence if bundle is not None else None,
        open=bundle is not None,
        authorities=tuple(_authority(one) for one in identity.desk.authorities()),
        federated=tuple(_source(one) for one in identity.federation.states()),
    )


async def show_bundle(call: Call) -> Answer:
    """Return the bundle of this trust domain, as its endpoint serves it (SPIFFE Trust Domain and Bundle, section 4)."""
    desk = _trusting(call).identity.desk
    bundle = desk.bundle(desk.domain)
    if bundle is None:
        raise AUTHORITY_NONE("the trust domain is not open", port="trust_source")
    return cast("Answer", parse(encoded_bundle(bundle)))


@operation(
    "POST",
    "/v1/trust-domain/rotate",
    id="rotate_authority",
    summary="Begin the next generation of signing keys",
    answer=answers.TrustDomain,
    body=answers.Rotation,
)
async def rotate_authority(call: Call) -> answers.TrustDomain:
    """Begin the next generation of signing keys; with `activate` they sign at once."""
    activate = call.members("activate").flag("activate")
    await _trusting(call).authorities.rotate(activate=activate)
    return _trust_domain(call)


@operation(
    "POST",
    "/v1/trust-domain/authorities/{id}/remove",
    id="remove_authority",
    summary="Revoke everything that one authority signed",
    answer=answers.TrustDomain,
    body=Nothing,
)
async def remove_authority(call: Call) -> answers.TrustDomain:
    """Revoke everything that this authority signed: clients that fetch the bundle no longer accept it."""
    trusting = _trusting(call)
    await trusting.authorities.remove(known_authority(trusting.identity.desk, call.path["id"]))
    return _trust_domain(call)


def _authority(one: Authority) -> answers.AuthorityRow:
    return answers.AuthorityRow(
        id=one.id,
        state=one.state,
        not_before=instant(one.not_before),
        not_after=instant(one.not_after),
        since=instant(one.since),
    )


def _source(one: SourceState) -> answers.FederatedDomain:
    return answers.FederatedDomain(
        trust_domain=one.trust_domain,
        profile=one.profile,
        address=one.address,
        state=one.state,
        sequence=one.sequence,
        fault=one.reason,
    )


def _trusting(call: Call) -> _Trusting:
    """Return the product with its identity. Raises Unavailable (`identity.off`) if the product has no trust domain."""
    if getattr(call.product, "authorities", None) is None:
        raise IDENTITY_OFF()
    return cast("_Trusting", call.product)


OPERATIONS: Final[tuple[Operation, ...]] = (
    show_trust_domain,
    # A document of SPIFFE, passed on as it is: its members are not declared here.
    Operation(
        id="show_bundle",
        method="GET",
        path="/v1/trust-domain/bundle",
        summary="The SPIFFE trust bundle of our domain",
        answer="Bundle",
        run=show_bundle,
    ),
    rotate_authority,
    remove_authority,
)
