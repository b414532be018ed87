"""Compare granted with used rights: list what leases grant, count what actions used, and narrow grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.api import lease_use_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.canonical import parse
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import LEASE_TEMPLATE
from answerable.errors.codes.registry import SERVER_UNKNOWN
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.leases.count_lease_use import (
    count_lease_use,
    leased,
    leased_capabilities,
    other_logs,
    rights_of,
    with_grants,
)
from answerable.flows.revocation.look_at_leases import broker_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.members import AnyObject
    from answerable.apps.control_api.call import Call
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.use import Right

PLACES_MAX: Final = 2_000


@operation(
    "GET",
    "/v1/leases/rights",
    id="list_lease_rights",
    summary="What the lease of each capability grants, right by right",
    answer=Page[answers.LeaseRights],
)
async def list_rights(call: Call) -> Page[answers.LeaseRights]:
    """List what the lease of each capability grants. A target unknown to the broker is reported as a fault and does not
    hide the others."""
    found: list[answers.LeaseRights] = []
    for name, one in leased_capabilities(call.walk.authority.registry).items():
        rights: Sequence[Right] = ()
        fault = ""
        try:
            rights = await rights_of(call.walk.live.leases, one)
        except Unavailable as failed:
            if failed.code == "broker.unreachable":
                raise
            fault = failed.message
        found.append(
            answers.LeaseRights(
                capability=name,
                target=one.target,
                window=one.lease.window,
                template=one.template,
                rights=tuple(_right(right) for right in rights),
                fault=fault,
            )
        )
    return page_of(call, found, name=lambda one: one.capability, render=lambda one: one)


@operation(
    "POST",
    "/v1/leases/use",
    id="count_lease_use",
    summary="What actions used of the grants of their leases, page by page; changes nothing",
    answer=answers.LeaseUsePage,
    body=answers.LeaseUseRequest,
    of_index=True,
)
async def count_use(call: Call) -> answers.LeaseUsePage:
    """Return one page of counted use."""
    body = call.members("since", "start", "log")
    registry, leases = call.walk.authority.registry, call.walk.live.leases
    known = leased_capabilities(registry)
    others = other_logs(leases)
    found = await count_lease_use(
        call.product.searches,
        known.values(),
        leases,
        since=_number(body.text("since", chars_max=16)) if body.has("since") else 0,
        start=_number(body.text("start", chars_max=16)) if body.has("start") else None,
        log=body.text("log", chars_max=256) if body.has("log") else "",
    )
    return answers.LeaseUsePage(
        start=found.start,
        end=found.end,
        size=found.size,
        more=found.end < found.size,
        tallies=found.tallies,
        templates={name: one.template for name, one in known.items()},
        others=others,
    )


@operation(
    "POST",
    "/v1/leases/narrow",
    id="narrow_lease",
    summary="A capability's document with these rights alone, to be proposed; changes nothing",
    answer=answers.LeaseNarrowed,
    body=answers.LeaseNarrowRequest,
)
async def narrow(call: Call) -> answers.LeaseNarrowed:
    """Return a capability's document with only these rights; it is a proposal, and nothing changes."""
    body = call.members("capability", "template", "kept")
    name = body.text("capability", chars_max=256)
    template, kept = body.text("template", chars_max=64), body.items("kept")
    one = leased(call.walk.authority.registry, name)
    if template != one.template:
        raise LEASE_TEMPLATE("the lease of this capability was changed meanwhile: count again")
    if len(kept) > PLACES_MAX or not all(isinstance(place, str) for place in kept):
        raise REQUEST_BODY(f"/kept: a list of at most {PLACES_MAX} places")
    asks = broker_of(call.walk.live.leases).asks
    grants = await asks.narrowed(one.target, one.lease.grants.thaw(), [str(place) for place in kept])
    stored = call.walk.authority.registry.documents()[f"Capability/{name}"]
    document = with_grants(parse(stored), grants) if grants is not None else None
    return answers.LeaseNarrowed(document=cast("AnyObject | None", document))


@operation(
    "POST",
    "/v1/leases/rights",
    id="tell_lease_rights",
    summary="What the leases of Capability documents would grant, right by right",
    answer=answers.DocumentRights,
    body=answers.LeaseRightsRequest,
)
async def tell_rights(call: Call) -> answers.DocumentRights:
    """Return the rights that the leases in these documents grant, whether or not they are registered."""
    found: list[answers.DocumentLease] = []
    for document in call.members("documents").items("documents"):
        name, server, grants = _lease_in(document)
        known = call.walk.authority.registry.current.servers.get(server)
        if known is None or not known.target:
            raise SERVER_UNKNOWN(f"no broker acts for server {shown(server)}")
        rights = await broker_of(call.walk.live.leases).asks.rights(known.target, grants)
        found.append(
            answers.DocumentLease(
                capability=name, target=known.target, rights=tuple(_right(right) for right in rights)
            )
        )
    return answers.DocumentRights(leases=tuple(found))


def _lease_in(document: JSONValue) -> tuple[str, str, JSONValue]:
    """Return the name, server and grants in a Capability document."""
    spec = document.get("spec") if isinstance(document, dict) else None
    metadata = document.get("metadata") if isinstance(document, dict) else None
    lease = spec.get("lease") if isinstance(spec, dict) else None
    grants = lease.get("grants") if isinstance(lease, dict) else None
    if not isinstance(spec, dict) or not isinstance(grants, dict):
        raise REQUEST_BODY("/documents: each must be a Capability with `spec.lease.grants`")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    return str(name), str(spec.get("server")), grants


def _right(one: Right) -> answers.GrantedRight:
    return answers.GrantedRight(place=one.place, text=one.text, is_told=one.is_told, group=one.group)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise REQUEST_BODY(f"{shown(text)} is not a whole number")
    return int(text)


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_rights,
    tell_rights,
    count_use,
    narrow,
)
