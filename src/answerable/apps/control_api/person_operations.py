"""Console access of people: invitations, and the passkeys enrolled with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import COUNT, FLAG, INSTANT, TEXT, TEXTS, record
from answerable.core.identity.people.invitation import LIFETIME_SECONDS, LIFETIME_SECONDS_MAX
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.people.invite_person import invite_person
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.identity.people.passkey import Passkey


async def invite(call: Call) -> Answer:
    """Return an invitation code for one registered person; it is returned here and never again."""
    seconds = _seconds(call)
    invited = await invite_person(call.walk, call.path["name"], by=call.by, seconds=seconds)
    origins = desk_of(call.walk).origins
    return {
        "person": invited.invitation.person,
        "code": invited.code,
        # In the fragment (`#`), which browsers send to nobody, so that no proxy logs the code.
        "url": f"{origins[0]}/enrol#{invited.code}" if origins else "",
        "expires_at": instant(invited.invitation.expires_at),
    }


async def list_passkeys(call: Call) -> Answer:
    """List passkeys in force, oldest first."""
    person = call.query.get("person", "")
    found = [one for one in desk_of(call.walk).register.all() if person in ("", one.person)]
    return page_of(call, found, name=lambda one: one.name, render=_passkey)


async def remove(call: Call) -> Answer:
    """Remove a passkey for good."""
    return _passkey(await remove_passkey(call.walk, call.path["id"], by=call.by))


def _passkey(one: Passkey) -> Answer:
    return {
        "id": one.name,
        "person": one.person,
        "label": one.label,
        "key": one.key,
        "rp_id": one.rp_id,
        "aaguid": one.aaguid,
        "attested": one.attested,
        "backup_eligible": one.backup_eligible,
        "transports": [*one.transports],
        "sign_count": one.sign_count,
        "created_at": instant(one.created_at),
    }


def _seconds(call: Call) -> int:
    call.members("seconds")
    value = call.body.get("seconds", LIFETIME_SECONDS) if isinstance(call.body, dict) else LIFETIME_SECONDS
    if type(value) is not int or not 1 <= value <= LIFETIME_SECONDS_MAX:
        raise REQUEST_BODY(f"/seconds: a whole number of 1 to {LIFETIME_SECONDS_MAX}")
    return value


COMPONENTS: Final[dict[str, Schema]] = {
    "InviteRequest": record(
        {"seconds": {**COUNT, "minimum": 1, "maximum": LIFETIME_SECONDS_MAX}}, optional=("seconds",)
    ),
    "Invited": record({"person": TEXT, "code": TEXT, "url": TEXT, "expires_at": INSTANT}),
    "Passkey": record(
        {
            "id": TEXT,
            "person": TEXT,
            "label": TEXT,
            "key": TEXT,
            "rp_id": TEXT,
            "aaguid": TEXT,
            "attested": FLAG,
            "backup_eligible": FLAG,
            "transports": TEXTS,
            "sign_count": COUNT,
            "created_at": INSTANT,
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="invite_person",
        method="POST",
        path="/v1/people/{name}/invite",
        summary="Invite a registered person to bring in a passkey; the code is shown once",
        body="InviteRequest",
        answer="Invited",
        run=invite,
    ),
    Operation(
        id="list_passkeys",
        method="GET",
        path="/v1/passkeys",
        summary="Passkeys in force",
        answer="Passkey",
        page=True,
        query=(("person", TEXT, "only of this person"),),
        run=list_passkeys,
    ),
    Operation(
        id="remove_passkey",
        method="POST",
        path="/v1/passkeys/{id}/remove",
        summary="Remove a passkey permanently: sessions that it opened end",
        body="Nothing",
        answer="Passkey",
        run=remove,
    ),
)
