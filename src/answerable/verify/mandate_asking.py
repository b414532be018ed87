"""Evaluate a recorded question against its mandate, the session behind the mandate and the delegated hops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.mandate.authority import failure, limits_of
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.mandate import shortfall
from answerable.core.mandate.session_claims import session_of, session_shortfall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.asked import Asked
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate, Shortfall


def short_of(
    asked: Asked, attempt: Attempt, mandate: Mandate, hops: tuple[Authority, ...] = ()
) -> Shortfall | None:
    """Return why the mandate, its session or a delegated hop does not cover the question; None if all do. Sums that a
    hop limits are counted in accounts, which are not evaluated again."""
    task = asked.context["task"]
    state: Any = asked.mandate_state
    short = shortfall(
        mandate, attempt=attempt, state=state, calls_used=task["calls_used"], now=asked.context["now"]
    )
    short = short or session_shortfall(session_of(mandate), attempt)
    for authority in () if short else hops:
        short = short or failure(authority, attempt, reserved=limits_of(authority).keys())
    return short


def attempt_of(asked: Asked, arguments: Mapping[str, Any]) -> Attempt:
    """Return the facts that the rules of a mandate read."""
    capability, destination = asked.context["capability"], asked.context["destination"]
    return Attempt(
        capability=asked.action.id,
        environment=capability["environment"],
        resource_type=asked.resource.type,
        resource_id=asked.resource.id,
        arguments=arguments,
        kind=asked.action.kind,
        server=capability["server"],
        sensitivity=capability["sensitivity"],
        destination_type=destination["type"],
        destinations=tuple(destination["names"]),
    )
