"""Duty page: who is on call, gaps in coverage, delegations of duty; a person delegates their own duty here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from answerable.apps.console.ceremonies import request_options
from answerable.apps.console.desk import answer_json, see_other
from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.approval.deputy_statement import REASON_CHARS_MAX
from answerable.core.base64url import to_base64url
from answerable.core.identity.people.passkey import assertion_in, octets_in
from answerable.errors.codes.people import PASSKEY_UNKNOWN
from answerable.errors.codes.services import CONSOLE_GONE, REQUEST_BODY
from answerable.flows.approval.notify_on_call import gaps_ahead, on_call_now, standing_delegations
from answerable.flows.escalation.appoint_deputy import delegate_by_passkey, end_duty, open_duty
from answerable.flows.validity.deputy_validity import may_stand_in
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.ports.registry_store import RegistryStore

GAP_DAYS: Final = 7
GAPS_SHOWN_MAX: Final = 5
PEOPLE_SHOWN_MAX: Final = 500
HOURS_MAX: Final = 90 * 24
HOUR_MS: Final = 3_600_000


async def duty(asked: Asked) -> Response:
    """Show the whole page."""
    walk, (_, person) = asked.walk, asked.who
    now = walk.clock.now()
    gaps: dict[str, list[str]] = {}
    for gap in gaps_ahead(walk.authority, walk.asking, days=GAP_DAYS):
        gaps.setdefault(gap.group, []).append(gap.text)
    mine = [group for group in person.groups if group in walk.authority.registry.current.duties]
    return asked.page(
        "duty.html",
        duties=on_call_now(walk.authority, walk.asking, now),
        gaps=gaps,
        gaps_max=GAPS_SHOWN_MAX,
        delegations=_delegations(walk.authority, walk.asking, person),
        mine=mine,
        people=_deputies(walk.authority.registry, person, mine),
        reason_max=REASON_CHARS_MAX,
        hours_max=HOURS_MAX,
        has_passkey=bool(desk_of(walk.asking.passkeys).register.of(person.name)),
    )


async def open_one(asked: Asked) -> Response:
    """Return what the device is to sign: the terms exactly as they will be stored, and the challenge over them."""
    body = await asked.members(signed_in=True)
    walk, (_, person) = asked.walk, asked.who
    desk = desk_of(walk.asking.passkeys)
    own = desk.register.of(person.name)
    if not own:
        raise PASSKEY_UNKNOWN("you have no passkey yet: add one under Passkeys")
    now = walk.clock.now()
    claims: dict[str, JSONValue] = {
        "iss": person.name,
        "group": body.get("group", ""),
        "to": body.get("to", ""),
        "from_ms": now,
        "until_ms": now + _hours(body) * HOUR_MS,
        "reason": body.get("reason", ""),
    }
    terms, nonce, challenge = open_duty(
        walk.recorder.ledger, walk.authority, walk.asking, walk.entropy, claims
    )
    return answer_json(
        {
            "claims": terms.claims(),
            "nonce": to_base64url(nonce),
            "options": request_options(desk, challenge, own),
        }
    )


async def give(asked: Asked) -> Response:
    """Record a delegation that a passkey signed."""
    body = await asked.members(signed_in=True)
    _, person = asked.who
    claims = body.get("claims")
    if not isinstance(claims, dict):
        raise REQUEST_BODY("`claims` is an object")
    one = await delegate_by_passkey(
        asked.walk.recorder,
        asked.walk.authority,
        asked.walk.asking,
        claims,
        person=person.name,
        nonce=octets_in(body, "nonce", NONCE_BYTES),
        assertion=assertion_in(body.get("assertion")),
    )
    # The device has just verified the person.
    asked.has_shown()
    return answer_json({"id": one.id, "until": one.until})


async def end(asked: Asked) -> Response:
    """End a delegation that this person gave or received."""
    fields = await asked.form()
    asked.require_fresh()
    walk, (_, person) = asked.walk, asked.who
    name = fields.get("id", "")
    register = walk.asking.duties.register
    found = register.find(name) if register is not None else None
    if found is None or person.name not in (found.of, found.to):
        raise CONSOLE_GONE("you have no such delegation of duty")
    await end_duty(walk.recorder, walk.asking.duties, name, by=person.name)
    return see_other("/duty")


def _delegations(
    authority: AuthorityRegisters, asking: AskingState, person: Principal
) -> list[dict[str, Any]]:
    register = asking.duties.register
    standing, now = standing_delegations(authority, asking), authority.clock.now()
    return [
        {
            "id": one.id,
            "group": one.group,
            "of": one.of,
            "to": one.to,
            "since": one.since,
            "until": one.until,
            "reason": one.reason,
            "counts": one.id in standing,
            "is_later": one.since > now,
            "mine": person.name in (one.of, one.to),
        }
        for one in (register.delegations() if register is not None else ())
        if one.until > now
    ]


def _deputies(registry: RegistryStore, person: Principal, groups: list[str]) -> list[Principal]:
    """Return the people whom this person may appoint as deputy in any of their groups."""
    current = registry.current
    duties = [current.duties[one] for one in groups]
    found = [
        one
        for one in current.principals.values()
        if one.name != person.name and any(may_stand_in(duty, one) for duty in duties)
    ]
    return sorted(found, key=lambda one: one.name)[:PEOPLE_SHOWN_MAX]


def _hours(body: dict[str, JSONValue]) -> int:
    hours = body.get("hours")
    if type(hours) is not int or not 1 <= hours <= HOURS_MAX:
        raise REQUEST_BODY(f"`hours` is a whole number of 1 to {HOURS_MAX}")
    return hours
