"""Console access of people."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import Component, Count, Instant, Texts


class InviteRequest(Component, frozen=True, kw_only=True):
    """How long an invitation lasts."""

    seconds: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 86400})] | UnsetType = UNSET


class Invited(Component, frozen=True, kw_only=True):
    """An invitation. url: empty where the console has no address."""

    person: str
    code: str
    url: str
    expires_at: Instant


class Passkey(Component, frozen=True, kw_only=True):
    """A passkey in force."""

    id: str
    person: str
    label: str
    key: str
    rp_id: str
    aaguid: str
    attested: bool
    backup_eligible: bool
    transports: Texts
    sign_count: Count
    created_at: Instant
