"""Restore, from the ledger, escalation steps and deputies that an older copy of the register of duties lacks.

Laws: a recorded step is not recorded again; at worst its notification is sent again. A delegation whose end was
recorded does not come back. A delegation that cannot be opened, because its person was erased, does not either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.deputy_ids import delegation_in
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import AnswerableError, Malformed
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.duty_desk import OnCallState
    from answerable.ports.clock import Clock
    from answerable.ports.duty_register import DutyRegister
    from answerable.ports.subject_keys import SubjectKeys


@dataclass(slots=True, kw_only=True)
class RecalledDuties:
    """Collects duties from entries."""

    subject_keys: SubjectKeys
    duties: OnCallState
    clock: Clock
    given: list[DeputyStatement] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def note(self, stored: StoredEntry, origin: str) -> None:
        """Note an entry with tag `approval_escalated` or `duty` of the log `origin`. Raises Broken
        (`ledger.leaf_malformed`)."""
        leaf = leaf_of(stored)
        if stored.tag == Tag.APPROVAL_ESCALATED:
            step = leaf.get("step")
            place = (
                ApprovalId(str(leaf.get("approval"))),
                str(leaf.get("group")),
                step if isinstance(step, int) else 0,
            )
            self.duties.recorded.add(place)
            return
        if leaf.get("change") == "ended":
            self.ended.add(str(leaf.get("delegation")))
            return
        fields = payload_of(stored, leaf, self.subject_keys.find) or {}
        try:
            one = delegation_in(fields.get("kept"))
        except AnswerableError:
            return
        hashed = leaf_hash(stored.leaf).hex()
        self.given.append(replace(one, entry=stored.index, leaf=hashed, log=origin))

    async def restored(self) -> int:
        """Bring the register up to the entries. Return how many delegations it lacked. Raises Unavailable."""
        register = self.duties.register
        if register is None:
            return 0
        told = {place for place in self.duties.recorded if (place[1], place[2]) in register.told(place[0])}
        self.duties.recorded -= told
        return await written(lambda: self._restored(register))

    def _restored(self, register: DutyRegister) -> int:
        now, count = self.clock.now(), 0
        for one in self.given:
            if one.until <= now:
                continue
            try:
                register.delegate(one)
            except Malformed:
                continue
            count += 1
        for name in self.ended:
            register.end(name, now)
        return count
