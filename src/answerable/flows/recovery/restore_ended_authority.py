"""Keep revoked and ended authority ended, from the ledger, after an older copy of the registers is restored.

Runs at every start, over the entries that the register of mandates has not counted yet. After a crash these are the
last few, which the registers know already. After a restored copy these are all later entries.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.counters.door_desk import note_again
from answerable.flows.recovery.check_instances import CheckedInstances
from answerable.flows.recovery.recall_drills import RecalledDrills
from answerable.flows.recovery.recall_duties import RecalledDuties
from answerable.flows.recovery.recall_passkeys import RecalledPasskeys
from answerable.flows.recovery.recall_prepared import RecalledPrepared
from answerable.flows.recovery.recall_receivers import RecalledReceivers
from answerable.flows.recovery.recall_revocations import revocation_in, revoked_again
from answerable.flows.recovery.recall_tokens import RecalledTokens
from answerable.flows.recovery.restore_from_peers import told_elsewhere
from answerable.flows.recovery.restore_holds import RecalledHolds
from answerable.flows.revocation.end_instance import end_instances, written
from answerable.flows.revocation.place_hold import end_held_instances
from answerable.flows.revocation.revoke_authority import end_revoked_instances
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.workloads.name_sub_agent import sub_agent_number
from answerable.ports.instance_register import ALTERED, FORGOTTEN, LostEnd
from answerable.ports.ledger import TAKES_NOTHING_NOW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import HoldId
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.mandate.revocation import Revocation, RevocationTarget
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.flows.workloads.change_authorities import AuthorityChanges
    from answerable.ports.stored_log import StoredLog

INSTANCES: Final = "instances"
"""The register's name among those that another program has written."""

_log: Final = logging.getLogger(__name__)


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
    suspect: Collection[str] = (),
) -> Recalled:
    """Repeat revocations and ends that the ledger records from entry `since` on, remove removed authorities, and
    reserve the numbers of earlier sub-agents. Return what the registers lacked.

    `others`: logs of the other shards, read only for holds and revocations. `suspect`: registers that something other
    than this product has written, so that known rows are compared, too, and more of the other logs is read.

    For the start of a process, before anything is in flight. Raises Unavailable. If the trust domain cannot be opened,
    the removal of an authority is left to the process that opens it.
    """
    recorder, authority = workloads.recorder, workloads.authority
    read = _Read.beginning(workloads, suspect)
    for stored in recorder.ledger.replay(since):
        read.note(stored)
    for origin, stored in await told_elsewhere(authority.mandates, others, whole=bool(suspect)):
        read.note_elsewhere(stored, origin)
    # Revocations before everything else: a revoked agent must not act, whatever happens to the rest. Tokens come before
    # that, so that revocations can end them.
    restored = await read.tokens.restored()
    again = await revoked_again(authority, workloads.applying.live, read.revoked.values())
    holds = await read.held.restored()
    await read.passkeys.restored()
    await read.duties.restored()
    await read.drills.restored()
    await read.prepared.restored()
    await read.receivers.restored()
    await read.tokens.end_fallen()
    ends = await _ended_again(workloads, read.ended) + await _removed_again(
        workloads, authorities, read.removed
    )
    ends += await _lost_ends(workloads, read.ended, read.keys)
    ends += await _ended_under(workloads, read.revoked, read.held.placed, read.instances.altered())
    unnamed = tuple(sorted([*read.nameless, *read.held.nameless]))
    return Recalled(ends=ends, revocations=again, tokens=restored, nameless=unnamed, holds=holds)


class _Ended(NamedTuple):
    """How an instance ended. by: the operator who ended it; empty for any other end, and where it cannot be opened."""

    because: str
    by: str


@dataclass(slots=True, kw_only=True)
class _Read:
    """What the entries say. ended, keys: how instances ended, and their keys. removed: authorities. nameless: own
    entries with revocations whose target cannot be opened. known: whose keys are whose, once somebody was refused."""

    workloads: Workloads
    tokens: RecalledTokens
    held: RecalledHolds
    drills: RecalledDrills
    passkeys: RecalledPasskeys
    duties: RecalledDuties
    prepared: RecalledPrepared
    receivers: RecalledReceivers
    instances: CheckedInstances
    ended: dict[SpiffeId, _Ended] = field(default_factory=dict)
    keys: dict[SpiffeId, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    revoked: dict[RevocationTarget, Revocation] = field(default_factory=dict)
    nameless: list[int] = field(default_factory=list)
    known: KnownCallers | None = None

    @classmethod
    def beginning(cls, workloads: Workloads, suspect: Collection[str]) -> _Read:
        """Begin before any log is read. Raises Unavailable."""
        recorder, authority, asking = workloads.recorder, workloads.authority, workloads.asking
        live, verification, clock = workloads.applying.live, workloads.verification, recorder.clock
        keys = recorder.subject_keys
        checked = workloads.instances.live() if INSTANCES in suspect else ()
        return cls(
            workloads=workloads,
            tokens=RecalledTokens(keys, authority, live, verification),
            held=RecalledHolds(recorder=recorder, authority=authority, suspect=bool(suspect)),
            drills=RecalledDrills(subject_keys=keys, register=workloads.applying.drills.register),
            passkeys=RecalledPasskeys(subject_keys=keys, passkeys=asking.passkeys, clock=clock),
            duties=RecalledDuties(subject_keys=keys, duties=asking.duties, clock=clock),
            prepared=RecalledPrepared(ledger=recorder.ledger, prepared=verification.prepared, clock=clock),
            receivers=RecalledReceivers(mandates=authority.mandates),
            instances=CheckedInstances(keys, checked),
        )

    def note(self, stored: StoredEntry) -> None:
        """Note an entry of this process's log. Raises Broken (`ledger.leaf_malformed`)."""
        if stored.tag == Tag.INTENT:
            self.prepared.note(stored)
            self.receivers.note(stored)
        elif stored.tag == Tag.WORKLOAD_ENROLLED:
            leaf = leaf_of(stored)
            _note_number(self.workloads, leaf)
            if leaf.get("key") and not leaf.get("parent"):
                self.keys[spiffe_id(str(leaf.get("instance")))] = str(leaf.get("key"))
            self.instances.note(stored)
        elif stored.tag == Tag.WORKLOAD_ENDED:
            leaf = leaf_of(stored)
            self.ended[spiffe_id(str(leaf.get("instance")))] = self._end_in(stored, leaf)
        elif stored.tag == Tag.AUTHORITY_CHANGED and (leaf := leaf_of(stored)).get("state") == "removed":
            self.removed.append(str(leaf.get("authority")))
        elif stored.tag == Tag.REVOKED:
            one = revocation_in(self.workloads.recorder.subject_keys.find, stored)
            if one is None:
                self.nameless.append(stored.index)
            else:
                self.revoked.setdefault(one.what, one)
        elif stored.tag in (Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT):
            self.held.note(stored)
        elif stored.tag == Tag.DOOR_REFUSAL:
            self._note_refused(stored)
        else:
            self._note_given(stored, self.workloads.recorder.ledger.origin)

    def note_elsewhere(self, stored: StoredEntry, origin: str) -> None:
        """Note an entry of another process's log. Raises Broken (`ledger.leaf_malformed`)."""
        if stored.tag == Tag.REVOKED:
            one = revocation_in(self.workloads.recorder.subject_keys.find, stored)
            if one is not None:
                self.revoked.setdefault(one.what, one)
        elif stored.tag == Tag.WORKLOAD_ENROLLED:
            self.instances.note(stored)
        elif stored.tag == Tag.WORKLOAD_ENDED:
            leaf = leaf_of(stored)
            self.ended.setdefault(spiffe_id(str(leaf.get("instance"))), self._end_in(stored, leaf))
        elif stored.tag in (Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT):
            self.held.note(stored, own=False)
        else:
            self._note_given(stored, origin)

    def _note_refused(self, stored: StoredEntry) -> None:
        work = self.workloads
        if self.known is None:
            self.known = KnownCallers(registry=work.authority.registry, instances=work.instances)
        note_again(work.verification.sightings, self.known, work.recorder.subject_keys.find, stored)

    def _end_in(self, stored: StoredEntry, leaf: dict[str, JSONValue]) -> _Ended:
        fields = payload_of(stored, leaf, self.workloads.recorder.subject_keys.find) or {}
        return _Ended(str(leaf.get("because")), str(fields.get("by", "")))

    def _note_given(self, stored: StoredEntry, origin: str) -> None:
        if stored.tag in (Tag.CITED, Tag.MANDATE_CLOSED):
            self.tokens.note(stored)
        elif stored.tag in (Tag.PASSKEY, Tag.PASSKEY_REMOVED):
            self.passkeys.note(stored)
        elif stored.tag in (Tag.APPROVAL_ESCALATED, Tag.DUTY):
            self.duties.note(stored, origin)
        elif stored.tag == Tag.DRILL:
            self.drills.note(stored)


def _note_number(workloads: Workloads, leaf: dict[str, JSONValue]) -> None:
    parent = leaf.get("parent")
    if not parent:
        return
    above, name = spiffe_id(str(parent)), spiffe_id(str(leaf.get("instance")))
    known = workloads.sub_numbers.get(above, 0)
    workloads.sub_numbers[above] = max(known, sub_agent_number(name))


async def _ended_again(workloads: Workloads, ended: dict[SpiffeId, _Ended]) -> int:
    count = 0
    for identity, (because, by) in ended.items():
        found = workloads.instances.find(identity)
        if found is None or found.state != "live":
            continue
        again = await written(partial(workloads.instances.end, identity, because=because, by=by))
        # The ledger has these ends one by one, including those of sub-agents.
        await written(partial(workloads.instances.recorded, [one.id for one in again if one.id in ended]))
        count += len(again)
    return count


async def _ended_under(
    workloads: Workloads,
    revoked: Iterable[RevocationTarget],
    held: Iterable[HoldId],
    altered: Sequence[SpiffeId],
) -> int:
    """End the instances under what was revoked or is held, if the original flow had no room to write their ends; and
    altered ones."""
    for one in altered:
        _log.warning(
            "instance %s is not as the ledger has it, and ends: find out what wrote the registers", one
        )
    now, count = workloads.recorder.clock.now(), 0
    holds = [
        one for one in map(workloads.authority.holds.get, held) if one is not None and one.is_in_force(now)
    ]
    try:
        for what in revoked:
            count += len(await end_revoked_instances(workloads, what))
        for hold in holds:
            count += len(await end_held_instances(workloads, hold))
        count += len(await end_instances(workloads, altered, because=ALTERED))
    except Unavailable as failed:
        # They have ended; a later round records it.
        if failed.code not in TAKES_NOTHING_NOW:
            raise
    return count


async def _lost_ends(workloads: Workloads, ended: dict[SpiffeId, _Ended], keys: dict[SpiffeId, str]) -> int:
    """Restore the ends of instances that came and ended after the copy: otherwise a sidecar of one could enrol again as
    lost."""
    lost = [
        LostEnd(identity, keys[identity], because)
        for identity, (because, _) in ended.items()
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
