"""Verify and record a person's signed agreement to lift a hold, and lift it once enough people agree.

The signature covers exactly the hold that was placed. The person who placed it cannot agree. Two people must agree
where the placer is known only as a machine account, because one of them could be the placer. Actions denied meanwhile
stay denied, and ended instances return only by a new attestation.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.core.containment.hold import HoldId
from answerable.core.containment.lift import lifted, verified_lift
from answerable.core.ledger import records_holds
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.subject import principal_subject
from answerable.core.ledger.tags import Tag
from answerable.errors import shown
from answerable.errors.codes.containment import HOLD_CHANGED_MEANWHILE, HOLD_UNKNOWN
from answerable.flows.counters.note_uses import first_entry_since
from answerable.flows.counters.trigger_rules import forget_counted
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.end_instance import written
from answerable.flows.revocation.hold_flooding import lifted_quota
from answerable.flows.validity.holds_beside_quota import QUOTA
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from answerable.core.containment.hold import Agreement, Hold
    from answerable.core.ledger.entry import Receipt
    from answerable.core.ledger.records_keys import KeyFile
    from answerable.flows.state.parts import AuthorityRegisters, Counters, InProgress, Recorder
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

ENTRIES_READ_MAX: Final = 100_000
"""Entries read after a rule's hold to find the entry that names the owner who passed the limit; it follows shortly."""


async def lift_hold(
    recorder: Recorder,
    authority: AuthorityRegisters,
    under_way: InProgress,
    counters: Counters,
    hold: str,
    token: str,
) -> Hold:
    """Verify a person's signed agreement, record it, and lift the hold once enough people agree. Return the hold
    afterwards.

    Raises the exceptions of `verified_lift` and `lifted`; Refused (`hold.unknown`, `hold.changed_meanwhile`,
    `revoked.*`, `held.*` for a signer who is held); Unavailable.
    """
    found = await anyio.to_thread.run_sync(authority.holds.get, HoldId(hold))
    if found is None:
        raise HOLD_UNKNOWN(f"there is no hold {shown(hold)}: see `answerable hold list`")
    current = authority.registry.current
    agreement = verified_lift(
        token, hold=found, audience=recorder.ledger.origin, current=current, now=recorder.clock.now()
    )
    signed_with = await key_file(recorder, authority.registry, under_way, agreement.by, agreement.key)
    fault = signer_fault(authority, agreement.by, agreement.key)
    if fault is not None:
        raise fault
    after = lifted(found, agreement, current=current)
    lifting = under_way.lifting
    if found.id in lifting:
        # Two agreements checked against the same state would both be recorded, and only one would count.
        raise HOLD_CHANGED_MEANWHILE()
    lifting.add(found.id)
    try:
        # The hold may have been changed or fully lifted, by a call that has left `lifting`, since it was read.
        if await anyio.to_thread.run_sync(authority.holds.get, found.id) != found:
            raise HOLD_CHANGED_MEANWHILE()
        # 1. On record before it counts. After a crash here, the hold is lifted at the next start, if enough people
        # agreed.
        left = await _record(recorder, authority.registry, counters, after, agreement, signed_with)
        # 2. The agreement counts only if the hold is still the one that was checked.
        if not await written(lambda: authority.holds.replace(after, was=found)):
            raise HOLD_CHANGED_MEANWHILE()
        lifted_quota(authority.mandates, counters.quota, after)
    finally:
        lifting.discard(found.id)
    if left is not None:
        raise left
    return after


async def _record(
    recorder: Recorder,
    registry: RegistryStore,
    counters: Counters,
    hold: Hold,
    agreement: Agreement,
    signed_with: KeyFile,
) -> BaseException | None:
    about_person = hold.what.kind == "owner"
    owner = ""
    if hold.source == "rule" and hold.rule != QUOTA and hold.lifted_at:
        owner = await anyio.to_thread.run_sync(_rule_owner, recorder.ledger, hold)
    entry = records_holds.hold_lifted(
        hold,
        agreement,
        at=agreement.at,
        sealing=sealing_for(recorder, principal_subject(agreement.by)),
        by=pseudonym_of(recorder, agreement.by),
        person=pseudonym_of(recorder, hold.what.name) if about_person else "",
        key_file=signed_with,
        rule_owner=owner,
    )

    def forget(_: Receipt) -> None:
        # In the same event-loop turn as the entry's place: only what follows the entry in the log counts.
        if owner:
            forget_counted(registry, counters, hold.rule, owner)

    _, left = await record_entry(recorder, entry, then=forget)
    return left


def _rule_owner(ledger: Ledger, hold: Hold) -> str:
    """Return the owner who passed the limit, from the entry that follows the hold; empty if there is none."""
    size = ledger.size
    for stored in islice(ledger.replay(first_entry_since(ledger, hold.at, size)), ENTRIES_READ_MAX):
        if stored.tag == Tag.RULE_FIRED:
            leaf = leaf_of(stored)
            if leaf.get("hold") == hold.id:
                return str(leaf.get("owner"))
    return ""
