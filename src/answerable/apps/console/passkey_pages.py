"""A person's own passkeys and sessions: list them, remove or end one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.console.desk import see_other
from answerable.errors.codes.services import CONSOLE_GONE
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.apps.console.sessions import Session


async def passkeys(asked: Asked) -> Response:
    """Show the person's passkeys and sessions."""
    session, person = asked.who
    own = desk_of(asked.walk.asking.passkeys).register.of(person.name)
    labels = {one.id: f"passkey {one.label}" for one in own}

    def opened_by(one: Session) -> str:
        return one.oidc[0] if one.oidc is not None else labels.get(one.passkey, "a passkey that was removed")

    return asked.page(
        "passkeys.html",
        passkeys=own,
        sessions=asked.console.sessions.of(person.name),
        current=session.passkey,
        opened_by=opened_by,
    )


async def remove(asked: Asked) -> Response:
    """Remove one of the person's passkeys; sessions that it opened end with it."""
    fields = await asked.form()
    asked.require_fresh()
    _, person = asked.who
    await remove_passkey(
        asked.walk.recorder,
        asked.walk.asking.passkeys,
        fields.get("id", ""),
        by=person.name,
        person=person.name,
    )
    return see_other("/passkeys")


async def end_session(asked: Asked) -> Response:
    """End one of the person's sessions."""
    fields = await asked.form()
    _, person = asked.who
    if not asked.console.sessions.end_called(person.name, fields.get("name", "")):
        raise CONSOLE_GONE("this session has ended already")
    return see_other("/passkeys")
