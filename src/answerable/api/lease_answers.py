"""Leases of credentials at targets."""

from __future__ import annotations

from typing import Annotated

from answerable.api.members import Component, Count, Part, Texts, words
from answerable.core.lease.lease import LeaseEnd, LeaseState
from answerable.core.registry.documents.lease_template import LeaseWindow


class Lease(Component, frozen=True, kw_only=True):
    """A lease. Times are empty for none."""

    name: str
    target: str
    window: LeaseWindow
    state: LeaseState
    account: str
    agent: str
    mandate: str
    capability: str
    log: str
    intent: Count
    issued_at: str
    expires_at: str
    used_at: str
    uses: Count
    ended_at: str
    end: LeaseEnd
    why: str
    fault: str
    attempts: Count
    next_try_at: str
    sessions_cut: Count
    left: Texts
    live_until: str


class LeaseEndRequest(Component, frozen=True, kw_only=True):
    """Name of a lease, or of a target for all leases there."""

    name: str


class LeasesEnded(Component, frozen=True, kw_only=True):
    """Leases that were ended and those that could not be revoked. more: others that are being ended."""

    ended: tuple[Lease, ...]
    unrevoked: tuple[Lease, ...]
    more: Count


class BrokerTarget(Component, frozen=True, kw_only=True):
    """A target of the broker and what can be enforced there."""

    name: str
    kind: str
    boundary: Annotated[str, words("target", "broker", "nobody")]
    ends_by: Annotated[str, words("target", "broker")]
    revocable: bool
    cuts_sessions: bool


class Boundary(Component, frozen=True, kw_only=True):
    """Who keeps the credential of a capability to its task."""

    capability: str
    server: str
    target: str
    tier: Count
    boundary: Annotated[str, words("target", "broker", "nobody", "unknown")]
    ends_by: Annotated[str, words("target", "broker", "unknown")]


class Stray(Part, frozen=True, kw_only=True):
    """An account of ours that no open lease explains."""

    target: str
    lease: str
    known: bool


class TargetNotAsked(Part, frozen=True, kw_only=True):
    """A target that could not be asked."""

    target: str
    why: str


class Strays(Component, frozen=True, kw_only=True):
    """Accounts of ours that no open lease explains."""

    strays: tuple[Stray, ...]
    not_asked: tuple[TargetNotAsked, ...]


class DueSecret(Part, frozen=True, kw_only=True):
    """A secret that is to be replaced."""

    name: str
    why: str
    targets: Texts


class DueSecrets(Component, frozen=True, kw_only=True):
    """Standing secrets that are to be replaced."""

    due: tuple[DueSecret, ...]
