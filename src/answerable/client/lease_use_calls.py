"""Operations of the control API on the subject `lease_use`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.lease_use_answers import (
    DocumentRights,
    LeaseNarrowed,
    LeaseNarrowRequest,
    LeaseRights,
    LeaseRightsRequest,
    LeaseUsePage,
    LeaseUseRequest,
)
from answerable.api.members import Page
from answerable.client.transport import INDEX_SECONDS_MAX, WAIT_SECONDS_MAX, Transport, items_of


def list_lease_rights(control: Transport) -> Iterator[LeaseRights]:
    """What the lease of each capability grants, right by right."""
    return items_of(control, Page[LeaseRights], "/v1/leases/rights")


def tell_lease_rights(
    control: Transport, body: LeaseRightsRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> DocumentRights:
    """What the leases of Capability documents would grant, right by right."""
    return control.answer_as(DocumentRights, "POST", "/v1/leases/rights", body=body, seconds_max=seconds_max)


def count_lease_use(
    control: Transport, body: LeaseUseRequest, *, seconds_max: float = INDEX_SECONDS_MAX
) -> LeaseUsePage:
    """What actions used of the grants of their leases, page by page; changes nothing."""
    return control.answer_as(LeaseUsePage, "POST", "/v1/leases/use", body=body, seconds_max=seconds_max)


def narrow_lease(
    control: Transport, body: LeaseNarrowRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> LeaseNarrowed:
    """A capability's document with these rights alone, to be proposed; changes nothing."""
    return control.answer_as(LeaseNarrowed, "POST", "/v1/leases/narrow", body=body, seconds_max=seconds_max)
