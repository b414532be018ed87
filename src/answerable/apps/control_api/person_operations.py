"""Console access of people: invitations, and the passkeys enrolled with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import person_answers as answers
from answerable.api.members import Nothing, Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.identity.people.invitation import LIFETIME_SECONDS, LIFETIME_SECONDS_MAX
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.people.invite_person import invite_person
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.identity.people.passkey import Passkey


@operation(
    "POST",
    "/v1/people/{name}/invite",
    id="invite_person",
    summary="Invite a registered person to bring in a passkey; the code is shown once",
    answer=answers.Invited,
    body=answers.InviteRequest,
)
async def invite(call: Call) -> answers.Invited:
    """Return an invitation code for one registered person; it is returned here and never again."""
    seconds = _seconds(call)
    invited = await invite_person(
        call.walk.recorder,
        call.walk.authority,
        call.walk.asking.passkeys,
        call.path["name"],
        by=call.by,
        seconds=seconds,
    )
    origins = desk_of(call.walk.asking.passkeys).origins
    return answers.Invited(
        person=invited.invitation.person,
        code=invited.code,
        # In the fragment (`#`), which browsers send to nobody, so that no proxy logs the code.
        url=f"{origins[0]}/enrol#{invited.code}" if origins else "",
        expires_at=instant(invited.invitation.expires_at),
    )


@operation(
    "GET",
    "/v1/passkeys",
    id="list_passkeys",
    summary="Passkeys in force",
    answer=Page[answers.Passkey],
    query=(("person", TEXT, "only of this person"),),
)
async def list_passkeys(call: Call) -> Page[answers.Passkey]:
    """List passkeys in force, oldest first."""
    person = call.query.get("person", "")
    found = [one for one in desk_of(call.walk.asking.passkeys).register.all() if person in ("", one.person)]
    return page_of(call, found, name=lambda one: one.name, render=_passkey)


@operation(
    "POST",
    "/v1/passkeys/{id}/remove",
    id="remove_passkey",
    summary="Remove a passkey permanently: sessions that it opened end",
    answer=answers.Passkey,
    body=Nothing,
)
async def remove(call: Call) -> answers.Passkey:
    """Remove a passkey for good."""
    return _passkey(
        await remove_passkey(call.walk.recorder, call.walk.asking.passkeys, call.path["id"], by=call.by)
    )


def _passkey(one: Passkey) -> answers.Passkey:
    return answers.Passkey(
        id=one.name,
        person=one.person,
        label=one.label,
        key=one.key,
        rp_id=one.rp_id,
        aaguid=one.aaguid,
        attested=one.attested,
        backup_eligible=one.backup_eligible,
        transports=tuple(one.transports),
        sign_count=one.sign_count,
        created_at=instant(one.created_at),
    )


def _seconds(call: Call) -> int:
    call.members("seconds")
    value = call.body.get("seconds", LIFETIME_SECONDS) if isinstance(call.body, dict) else LIFETIME_SECONDS
    if type(value) is not int or not 1 <= value <= LIFETIME_SECONDS_MAX:
        raise REQUEST_BODY(f"/seconds: a whole number of 1 to {LIFETIME_SECONDS_MAX}")
    return value


OPERATIONS: Final[tuple[Operation, ...]] = (
    invite,
    list_passkeys,
    remove,
)
