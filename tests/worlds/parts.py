"""What several flows are given, from a walk."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.wiring.search_settings import SearchSettings
from answerable.wiring.search_side import SearchSide
from answerable.wiring.walk import Walk
from tests.worlds.asked_index import IndexAtHand

NO_SEARCHES: Final = SearchSide(SearchSettings(), SimpleNamespace(size=0))
"""Those of a server whose process for searches never runs, as in every command without a server."""


def to_compare(walk: Walk) -> tuple[Any, Any]:
    """To compare tools with what servers offer."""
    return walk.authority.registry, walk.verification.upstream


def to_end(walk: Walk) -> tuple[Any, Any, Any]:
    """To revoke and to hold."""
    return walk.recorder, walk.authority, walk.live


def to_hold(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To place a hold."""
    return walk.recorder, walk.authority, walk.live, walk.counters.cuts


def to_govern(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To govern an action, and to set up a drill."""
    return walk.recorder, walk.planning, walk.deciding, walk.live


def to_plan(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To find a plan, and to verify a request."""
    return walk.planning, walk.counters.quota, walk.recorder.ledger, walk.limits


def to_decide(walk: Walk) -> tuple[Any, Any, Any]:
    """To decide."""
    return walk.recorder, walk.planning, walk.deciding


def to_list(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To list capabilities."""
    return walk.recorder.ledger, walk.planning, walk.deciding, walk.live.link


def to_issue(walk: Walk) -> tuple[Any, Any, Any]:
    """To issue a mandate."""
    return walk.recorder, walk.authority, walk.asking


def to_apply(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To apply documents, and to publish policies."""
    return walk.recorder, walk.authority, walk.asking, walk.applying


def to_approve(walk: Walk) -> tuple[Any, Any, Any]:
    """To approve a tool."""
    return walk.recorder, walk.planning, walk.asking.under_way


def to_refuse(walk: Walk) -> dict[str, Any]:
    """To note refusals at listeners."""
    return {
        "authority": walk.authority,
        "counters": walk.counters,
        "entropy": walk.entropy,
        "sightings": walk.verification.sightings,
    }


def to_settle(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To end what an earlier process left open."""
    return walk.recorder, walk.authority, walk.counters, walk.limits


def to_follow(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To follow registers."""
    return walk.authority.registry, walk.counters.history, walk.policies, walk.limits


def to_open(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To open an approval for an answer."""
    return walk.recorder.ledger, walk.authority, walk.asking.openings, walk.entropy


def to_show(walk: Walk) -> tuple[Any, Any, Any]:
    """To show tools."""
    return walk.authority, walk.verification, walk.limits


def to_sign_in(walk: Walk) -> tuple[Any, Any]:
    """To sign in, and to enrol."""
    return walk.authority, walk.asking.passkeys


def to_simulate(walk: Walk) -> tuple[Any, Any, Any, Any, Any, Any]:
    """To simulate a policy."""
    searches, clock = IndexAtHand(walk.recorder), walk.recorder.clock
    return searches, walk.authority.registry, walk.policies, walk.drills, walk.limits, clock


def to_shadow(walk: Walk) -> tuple[Any, Any, Any, Any, Any]:
    """To follow the ledger with a policy set in the shadow."""
    return walk.recorder, walk.authority, walk.policies, walk.drills, walk.limits


def to_measure(walk: Walk) -> tuple[Any, Any, Any]:
    """To send or print metrics."""
    return walk.recorder, walk.authority, walk.deciding


def to_oversee(walk: Walk) -> tuple[Any, Any, Any, Any]:
    """To report on oversight."""
    return walk.recorder, walk.authority.registry, walk.asking.figures, walk.policies


async def revoked(walk: Walk, what: RevocationTarget, *, by: str) -> None:
    """Revoke without giving a reason."""
    await revoke_authority(*to_end(walk), what, by=by, reason="")
