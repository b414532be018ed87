"""Rebuild passkeys and delegations of duty from the ledger: given, and removed or ended.

One that cannot be opened, because its person was erased, is not added; its end counts all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.deputy_ids import delegation_in
from answerable.core.identity.people.passkey_form import passkey_in
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.approval import DUTY_MALFORMED
from answerable.errors.codes.people import PASSKEY_MALFORMED

if TYPE_CHECKING:
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.identity.people.passkey import Passkey
    from answerable.core.ledger.projected import Told

PASSKEY_TAGS: Final = frozenset({Tag.PASSKEY, Tag.PASSKEY_REMOVED})
DUTY_TAGS: Final = frozenset({Tag.DUTY})


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """A passkey as far as it is known. passkey: None for a row that cannot be read. removed_at: 0 before that."""

    passkey: Passkey | None
    removed_at: int = 0


@dataclass(frozen=True, slots=True)
class DutyRow:
    """A delegation as far as it is known. delegation: None for a row that was emptied or cannot be read. ended_at: 0
    before its early end."""

    delegation: DeputyStatement | None
    ended_at: int = 0


def passkeys_in(told: Told) -> tuple[str, ...]:
    """Return the passkey that an entry adds or removes, by the SHA-256 of its id, hex."""
    name = told.leaf.get("passkey")
    is_about_one = told.tag == Tag.PASSKEY_REMOVED or told.leaf.get("change") == "added"
    return (name,) if is_about_one and isinstance(name, str) else ()


def passkey_after(known: PasskeyRow | None, told: Told) -> PasskeyRow | None:
    """Return the passkey after an entry; None for an unknown one. Raises Malformed for one of no form."""
    if told.tag == Tag.PASSKEY_REMOVED:
        return known if known is None or known.removed_at else replace(known, removed_at=max(told.at, 1))
    if known is not None or told.fields is None:
        return known
    added = passkey_in(told.sealed("credential"))
    if sha256(added.id).hexdigest() != told.leaf.get("passkey"):
        raise PASSKEY_MALFORMED("it is of another id than its entry names")
    return PasskeyRow(added)


def duties_in(told: Told) -> tuple[str, ...]:
    """Return the delegation that an entry gives or ends."""
    name = told.leaf.get("delegation")
    return (name,) if isinstance(name, str) and name else ()


def duty_after(known: DutyRow | None, told: Told) -> DutyRow | None:
    """Return the delegation after an entry; None for an unknown one. Raises Malformed for one of no form."""
    if told.leaf.get("change") == "ended":
        known = known or DutyRow(None)
        return known if known.ended_at else replace(known, ended_at=max(told.at, 1))
    if known is not None or told.fields is None:
        return known
    given = delegation_in(told.sealed("kept"))
    if given.id != told.leaf.get("delegation"):
        raise DUTY_MALFORMED("it is of another id than its entry names")
    return DutyRow(replace(given, entry=told.index, leaf=told.leaf_hash, log=told.log))
