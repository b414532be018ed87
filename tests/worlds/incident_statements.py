"""Incidents on a bench: what people sign of them, recorded, and what the index tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.incident.incident_duties import IncidentRules
from answerable.core.incident.incident_statement import IncidentChange, incident_claims
from answerable.flows.containment.record_incident import Recorded, record_incident
from answerable.flows.forensics.answer_questions import answered_incident
from answerable.ports.search_process import IncidentQuestion
from answerable.sdk.signing import signed_incident
from answerable.testing.samples import AUDIENCE, signing_key
from tests.worlds.stories import teller_of

if TYPE_CHECKING:
    from answerable.api.incident_answers import IncidentAnswer
    from answerable.testing.builders import Bench


def incident_token(
    bench: Bench,
    by: str,
    text: str,
    change: IncidentChange,
    *,
    log: str = AUDIENCE,
    key: str = "",
    **more: Any,
) -> str:
    """What somebody signs of an incident."""
    at = bench.clock.now()
    random = bench.walk.entropy.bytes(16)
    claims = incident_claims(by, log, text, at=at, random=random, change=change, **more)
    return signed_incident(claims, key=signing_key(key or by))


async def recorded(
    bench: Bench,
    token: str,
    change: IncidentChange,
    incident: str = "",
    rules: IncidentRules | None = None,
) -> Recorded:
    """A statement, on record."""
    return await record_incident(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        rules or IncidentRules(),
        token,
        change=change,
        incident=incident,
    )


async def opened(
    bench: Bench, kind: str, name: str = "", *, by: str = "bob", text: str = "it is odd", **more: Any
) -> Recorded:
    """An incident that somebody opened."""
    return await recorded(
        bench, incident_token(bench, by, text, "opened", kind=kind, name=name, **more), "opened"
    )


async def noted(
    bench: Bench,
    incident: Recorded,
    text: str,
    *,
    by: str = "bob",
    change: IncidentChange = "noted",
    **more: Any,
) -> Recorded:
    """A note to it, or its end."""
    place = {"incident": incident.incident, "entry": incident.entry}
    return await recorded(bench, incident_token(bench, by, text, change, **place, **more), change)


def incident_of(bench: Bench, incident: Recorded, *, with_keys: bool = True) -> IncidentAnswer:
    """What the index tells of it."""
    with teller_of(bench.recorder, with_keys=with_keys) as teller:
        return answered_incident(teller, IncidentQuestion(name=incident.incident))
