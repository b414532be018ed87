"""Operations of the control API on the subject `person`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.members import Page
from answerable.api.person_answers import Invited, InviteRequest, Passkey
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given, items_of, segment


def invite_person(
    control: Transport, name: str, body: InviteRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> Invited:
    """Invite a registered person to bring in a passkey; the code is shown once."""
    return control.answer_as(
        Invited, "POST", f"/v1/people/{segment(name)}/invite", body=body, seconds_max=seconds_max
    )


def list_passkeys(control: Transport, *, person: str | None = None) -> Iterator[Passkey]:
    """Passkeys in force."""
    return items_of(control, Page[Passkey], "/v1/passkeys", query=given(person=person))


def remove_passkey(control: Transport, id: str, *, seconds_max: float = WAIT_SECONDS_MAX) -> Passkey:
    """Remove a passkey permanently: sessions that it opened end."""
    return control.answer_as(Passkey, "POST", f"/v1/passkeys/{segment(id)}/remove", seconds_max=seconds_max)
