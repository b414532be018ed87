"""Stored form and bounds of delegations of duty: a delegation as one canonical JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.approval.assurance_level import AssuranceLevel
from answerable.core.approval.deputy_statement import DeputyStatement
from answerable.core.identity.names.principal import UnixMillis, principal_id
from answerable.errors import Malformed
from answerable.errors.codes.approval import DUTY_DUPLICATE, DUTY_FULL, DUTY_MALFORMED

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

DELEGATIONS_MAX: Final = 2_000
"""Maximum number of delegations not ended, including expired ones not yet removed: giving and ending delegations
repeatedly takes no space from others."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    group: str
    of: str
    to: str
    since: int
    until: int
    reason: str
    strength: AssuranceLevel
    key: str
    token: str
    credential: str
    entry: int = -1
    leaf: str = ""
    log: str = ""


def delegation_members(delegation: DeputyStatement) -> dict[str, JSONValue]:
    """Return the stored members of a delegation, all except its early end."""
    return {
        "id": delegation.id,
        "group": delegation.group,
        "of": delegation.of,
        "to": delegation.to,
        "since": delegation.since,
        "until": delegation.until,
        "reason": delegation.reason,
        "strength": delegation.strength,
        "key": delegation.key,
        "token": delegation.token,
        "credential": delegation.credential,
        "entry": delegation.entry,
        "leaf": delegation.leaf,
        "log": delegation.log,
    }


def delegation_in(members: JSONValue, *, ended_at: int = 0) -> DeputyStatement:
    """Parse what `delegation_members` returned. Raises Malformed (`duty.malformed`, `name.invalid`)."""
    try:
        row = msgspec.convert(members, _Row)
    except msgspec.ValidationError as error:
        raise DUTY_MALFORMED(f"not a delegation of duty: {error}".lower()) from None
    return DeputyStatement(
        id=row.id,
        group=row.group,
        of=principal_id(row.of),
        to=principal_id(row.to),
        since=UnixMillis(row.since),
        until=UnixMillis(row.until),
        reason=row.reason,
        strength=row.strength,
        key=row.key,
        token=row.token,
        credential=row.credential,
        entry=row.entry,
        leaf=row.leaf,
        log=row.log,
        ended_at=UnixMillis(ended_at),
    )


def duplicate_delegation() -> Malformed:
    """Build the error for an id that was used before."""
    return DUTY_DUPLICATE(
        "a delegation of duty with this id is or was registered: sign a new one with another id"
    )


def no_room(most: int) -> Malformed:
    """Build the error for too many delegations."""
    return DUTY_FULL(f"there are {most} delegations of duty, which is the limit: end some")
