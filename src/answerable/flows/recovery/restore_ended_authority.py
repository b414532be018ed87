"""Keep revoked and ended authority ended, from the ledger, after an older copy of the registers is restored.

Runs at every start, over the entries that the register of mandates has not counted yet. After a crash these are the
last few, which the registers know already. After a restored copy these are all later entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.recovery.recall_drills import RecalledDrills
from answerable.flows.recovery.recall_duties import RecalledDuties
from answerable.flows.recovery.recall_passkeys import RecalledPasskeys
from answerable.flows.recovery.recall_prepared import RecalledPrepared
from answerable.flows.recovery.recall_revocations import revocation_in, revoked_again
from answerable.flows.recovery.recall_tokens import RecalledTokens
from answerable.flows.recovery.restore_from_peers import told_elsewhere
from answerable.flows.recovery.restore_holds import RecalledHolds
from answerable.flows.revocation.end_instance import written
from answerable.flows.revocation.place_hold import end_held_instances
from answerable.flows.revocation.revoke_authority import end_revoked_instances
from answerable.flows.workloads.name_sub_agent import sub_agent_number
from answerable.ports.instance_register import FORGOTTEN, LostEnd
from answerable.ports.ledger import TAKES_NOTHING_NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import HoldId
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.mandate.revocation import Revocation, RevocationTarget
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.flows.workloads.change_authorities import AuthorityChanges
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.stored_log import StoredLog
    from answerable.ports.subject_keys import SubjectKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What the ledger knew and the registers lacked.

    `ends`: of instances and authorities. `revocations`: put back. `tokens`: issued tokens back in status lists.
    `nameless`: entries with revocations and holds whose target cannot be opened, in force or not. `holds`: in force
    again.
    """

    ends: int
    revocations: int
    tokens: int = 0
    nameless: tuple[int, ...] = ()
    holds: int = 0


async def restore_ended_authority(
    workloads: Workloads,
    authorities: AuthorityChanges,
    *,
    since: int,
    others: Sequence[StoredLog] = (),
    suspect: bool = False,
) -> Recalled:
    """Repeat revocations and ends that the ledger records from entry `since` on, remove removed authorities, and
    reserve the numbers of earlier sub-agents. Return what the registers lacked.

    `others`: logs of the other shards, read only for holds and revocations. `suspect`: something other than this
    product has written the registers, so that known rows are compared, too.

    For the start of a process, before anything is in flight. Raises Unavailable. If the trust domain cannot be opened,
    the removal of an authority is left to the process that opens it.
    """
    recorder, authority, asking = workloads.recorder, workloads.authority, workloads.asking
    live, verification, clock = workloads.applying.live, workloads.verification, recorder.clock
    ended: dict[SpiffeId, str] = {}
    tokens = RecalledTokens(recorder.subject_keys, authority, live, verification)
    keys: dict[SpiffeId, str] = {}
    removed: list[str] = []
    revoked: dict[RevocationTarget, Revocation] = {}
    nameless: list[int] = []
    held = RecalledHolds(recorder=recorder, authority=authority, suspect=suspect)
    drills = RecalledDrills(subject_keys=recorder.subject_keys, register=workloads.applying.drills.register)
    passkeys = RecalledPasskeys(subject_keys=recorder.subject_keys, passkeys=asking.passkeys, clock=clock)
    duties = RecalledDuties(subject_keys=recorder.subject_keys, duties=asking.duties, clock=clock)
    prepared = RecalledPrepared(ledger=recorder.ledger, prepared=verification.prepared, clock=clock)
    notes: dict[int, Callable[[StoredEntry], None]] = {
        **dict.fromkeys((Tag.CITED, Tag.MANDATE_CLOSED), tokens.note),
        **dict.fromkeys((Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT), held.note),
        **dict.fromkeys((Tag.PASSKEY, Tag.PASSKEY_REMOVED), passkeys.note),
        Tag.DRILL: drills.note,
        Tag.INTENT: prepared.note,
    }
    for stored in recorder.ledger.replay(since):
        if stored.tag == Tag.WORKLOAD_ENROLLED:
            leaf = leaf_of(stored)
            _note_number(workloads, leaf)
            if leaf.get("key") and not leaf.get("parent"):
                keys[spiffe_id(str(leaf.get("instance")))] = str(leaf.get("key"))
        elif stored.tag == Tag.WORKLOAD_ENDED:
            leaf = leaf_of(stored)
            ended[spiffe_id(str(leaf.get("instance")))] = str(leaf.get("because"))
        elif stored.tag == Tag.AUTHORITY_CHANGED and (leaf := leaf_of(stored)).get("state") == "removed":
            removed.append(str(leaf.get("authority")))
        elif (note := notes.get(stored.tag)) is not None:
            note(stored)
        elif stored.tag in (Tag.APPROVAL_ESCALATED, Tag.DUTY):
            duties.note(stored, recorder.ledger.origin)
        elif stored.tag == Tag.REVOKED:
            one = revocation_in(recorder.subject_keys.find, stored)
            if one is None:
                nameless.append(stored.index)
            else:
                revoked.setdefault(one.what, one)
    given = _Given(held=held, passkeys=passkeys, duties=duties)
    for one in await _elsewhere(recorder.subject_keys, authority.mandates, others, given, whole=suspect):
        revoked.setdefault(one.what, one)
    # Revocations before everything else: a revoked agent must not act, whatever happens to the rest. Tokens come before
    # that, so that revocations can end them.
    restored = await tokens.restored()
    again = await revoked_again(authority, live, revoked.values())
    holds = await held.restored()
    await passkeys.restored()
    await duties.restored()
    await drills.restored()
    await prepared.restored()
    await tokens.end_fallen()
    ends = await _ended_again(workloads, ended) + await _removed_again(workloads, authorities, removed)
    ends += await _lost_ends(workloads, ended, keys)
    ends += await _ended_under(workloads, revoked, held.placed)
    unnamed = tuple(sorted([*nameless, *held.nameless]))
    return Recalled(ends=ends, revocations=again, tokens=restored, nameless=unnamed, holds=holds)


class _Given(NamedTuple):
    """Recall objects that also take entries of other logs."""

    held: RecalledHolds
    passkeys: RecalledPasskeys
    duties: RecalledDuties


async def _elsewhere(
    subject_keys: SubjectKeys,
    mandates: MandateRegister,
    logs: Sequence[StoredLog],
    given: _Given,
    *,
    whole: bool,
) -> list[Revocation]:
    """Note the entries of the other shards' logs. Return the revocations."""
    revoked: list[Revocation] = []
    for origin, stored in await told_elsewhere(mandates, logs, whole=whole):
        if stored.tag == Tag.REVOKED:
            one = revocation_in(subject_keys.find, stored)
            revoked += [] if one is None else [one]
        elif stored.tag in (Tag.PASSKEY, Tag.PASSKEY_REMOVED):
            given.passkeys.note(stored)
        elif stored.tag == Tag.DUTY:
            given.duties.note(stored, origin)
        else:
            given.held.note(stored, own=False)
    return revoked


def _note_number(workloads: Workloads, leaf: dict[str, JSONValue]) -> None:
    parent = leaf.get("parent")
    if not parent:
        return
    above, name = spiffe_id(str(parent)), spiffe_id(str(leaf.get("instance")))
    known = workloads.sub_numbers.get(above, 0)
    workloads.sub_numbers[above] = max(known, sub_agent_number(name))


async def _ended_again(workloads: Workloads, ended: dict[SpiffeId, str]) -> int:
    count = 0
    for identity, because in ended.items():
        found = workloads.instances.find(identity)
        if found is None or found.state != "live":
            continue
        again = await written(partial(workloads.instances.end, identity, because=because))
        # The ledger has these ends one by one, including those of sub-agents.
        await written(partial(workloads.instances.recorded, [one.id for one in again if one.id in ended]))
        count += len(again)
    return count


async def _ended_under(
    workloads: Workloads, revoked: Iterable[RevocationTarget], held: Iterable[HoldId]
) -> int:
    """End the instances under what was revoked or is held, if the original flow had no room to write their ends."""
    now, count = workloads.recorder.clock.now(), 0
    holds = [
        one for one in map(workloads.authority.holds.get, held) if one is not None and one.is_in_force(now)
    ]
    try:
        for what in revoked:
            count += len(await end_revoked_instances(workloads, what))
        for hold in holds:
            count += len(await end_held_instances(workloads, hold))
    except Unavailable as failed:
        # They have ended; a later round records it.
        if failed.code not in TAKES_NOTHING_NOW:
            raise
    return count


async def _lost_ends(workloads: Workloads, ended: dict[SpiffeId, str], keys: dict[SpiffeId, str]) -> int:
    """Restore the ends of instances that came and ended after the copy: otherwise a sidecar of one could enrol again as
    lost."""
    lost = [
        LostEnd(identity, keys[identity], because)
        for identity, because in ended.items()
        if because not in FORGOTTEN and identity in keys and workloads.instances.find(identity) is None
    ]
    return await written(partial(workloads.instances.take_lost, lost)) if lost else 0


async def _removed_again(workloads: Workloads, authorities: AuthorityChanges, removed: list[str]) -> int:
    count = 0
    published = {one.id for one in workloads.trust.authorities() if one.is_published}
    for authority in removed:
        if authority in published:
            published.discard(authority)
            await authorities.remove(authority)
            count += 1
    return count
