"""Operations of the control API on the subject `lease`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.lease_answers import (
    Boundary,
    BrokerTarget,
    DueSecrets,
    Lease,
    LeaseEndRequest,
    LeasesEnded,
    Strays,
)
from answerable.api.members import Page
from answerable.client.transport import READ_SECONDS_MAX, WAIT_SECONDS_MAX, Transport, given, items_of


def list_leases(
    control: Transport, *, which: str | None = None, target: str | None = None
) -> Iterator[Lease]:
    """Leases: what is live at which target, and what could not be revoked."""
    return items_of(control, Page[Lease], "/v1/leases", query=given(which=which, target=target))


def end_lease(
    control: Transport, body: LeaseEndRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> LeasesEnded:
    """End a lease now, or all at a target."""
    return control.answer_as(LeasesEnded, "POST", "/v1/leases/end", body=body, seconds_max=seconds_max)


def list_targets(control: Transport) -> Iterator[BrokerTarget]:
    """What the broker acts on, and what can be enforced there."""
    return items_of(control, Page[BrokerTarget], "/v1/targets")


def list_boundaries(control: Transport) -> Iterator[Boundary]:
    """Who keeps the credential of each capability to its task."""
    return items_of(control, Page[Boundary], "/v1/boundaries")


def list_strays(control: Transport, *, seconds_max: float = WAIT_SECONDS_MAX) -> Strays:
    """Accounts of ours at targets that no open lease explains."""
    return control.answer_as(Strays, "GET", "/v1/strays", seconds_max=seconds_max)


def list_due_secrets(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> DueSecrets:
    """Standing secrets of the broker that are to be replaced."""
    return control.answer_as(DueSecrets, "GET", "/v1/secrets/due", seconds_max=seconds_max)
