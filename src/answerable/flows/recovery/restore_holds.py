"""Restore, from the ledger, holds that an older copy of the register lacks.

Laws: a hold whose lift was recorded, with all required signatures, is not in force again; a hold whose placing was
recorded is. An entry whose person cannot be named is reported, never skipped. Only a person's name is sealed; every
other target is in the leaf.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.containment.hold import HOLD_SOURCES, Agreement, Hold, HoldId, holdable
from answerable.core.containment.lift import verified_lift
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed
from answerable.flows.revocation.deny_waiting import deny_approvals
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import AuthorityRegisters, Recorder

_log: Final = logging.getLogger(__name__)

NAMELESS_PREFIX: Final = "erased:"
"""Prefix of the pseudonym of a placer whose name cannot be opened, so that they are not taken for another person."""


@dataclass(slots=True, kw_only=True)
class RecalledHolds:
    """Collects holds from entries. `nameless`: entries whose target cannot be opened.

    `elsewhere`: lifts recorded by another process, which puts them into force itself; they only keep an unknown hold
    from being placed again. `suspect`: something other than this product has written the register, so that known holds
    are compared with their entries.
    """

    recorder: Recorder
    authority: AuthorityRegisters
    suspect: bool = False
    placed: dict[HoldId, Hold] = field(default_factory=dict)
    agreed: dict[HoldId, list[Agreement]] = field(default_factory=dict)
    lifted: dict[HoldId, int] = field(default_factory=dict)
    elsewhere: dict[HoldId, int] = field(default_factory=dict)
    reported: set[HoldId] = field(default_factory=set)
    nameless: list[int] = field(default_factory=list)

    def note(self, stored: StoredEntry, *, own: bool = True) -> None:
        """Note an entry with tag `hold_placed`, `hold_lifted` or `containment_report`. `own`: it is in this process's
        log.

        Raises Broken (`ledger.leaf_malformed`).
        """
        leaf = leaf_of(stored)
        name = HoldId(str(leaf.get("hold")))
        if stored.tag == Tag.CONTAINMENT_REPORT:
            self.reported.add(name)
            return
        fields = payload_of(stored, leaf, self.recorder.subject_keys.find) or {}
        if stored.tag == Tag.HOLD_PLACED:
            hold = hold_in(name, leaf, fields)
            if hold is None:
                # For another log, its own process reports it.
                self.nameless += [stored.index] if own else []
            else:
                self.placed.setdefault(name, hold)
            return
        self.agreed.setdefault(name, []).append(_agreement(leaf, fields))
        at = leaf.get("lifted_at")
        if isinstance(at, int) and at > 0:
            (self.lifted if own else self.elsewhere)[name] = at

    async def restored(self) -> int:
        """Put missing holds back, and complete recorded lifts. Return how many holds are in force again. Raises
        Unavailable."""
        holds = self.authority.holds
        for name, at in self.lifted.items():
            known = holds.get(name)
            if known is not None and not known.lifted_at and self._is_lifted(known):
                after = replace(known, agreed=tuple(self.agreed[name]), lifted_at=at)
                await written(partial(holds.replace, after, was=known))
        missing = [self._as_recorded(one) for one in self.placed.values() if holds.get(one.id) is None]
        if missing:
            await written(partial(holds.put_back, missing))
        if self.suspect:
            changed = [one for one in map(self._as_recorded, self.placed.values()) if self._is_otherwise(one)]
            await written(partial(holds.put_right, changed))
            missing += changed
        if self.reported:
            await written(partial(holds.reported, self.reported))
        # Such a register may list approvals as waiting that the hold denied.
        for one in missing:
            await written(partial(deny_approvals, self.authority, one))
        now = self.recorder.clock.now()
        return sum(one.is_in_force(now) for one in missing)

    def _is_otherwise(self, recorded: Hold) -> bool:
        """Whether the register states another target, expiry or lift than the entry."""
        known = self.authority.holds.get(recorded.id)
        return known is None or (known.what, known.expires_at, known.lifted_at) != (
            recorded.what,
            recorded.expires_at,
            recorded.lifted_at,
        )

    def _is_lifted(self, hold: Hold) -> bool:
        """Whether enough people signed the lift of this hold. The log's statement alone releases nothing."""
        agreed = (*hold.agreed, *self.agreed.get(hold.id, ()))
        signed = {one.by for one in agreed if self._is_signed(hold, one)}
        if len(signed) >= hold.persons_to_lift:
            return True
        _log.warning(
            "hold %s stays in force: its lift on record is not signed with keys that are theirs, so lift it again",
            hold.id,
        )
        return False

    def _is_signed(self, hold: Hold, agreement: Agreement) -> bool:
        try:
            said = verified_lift(
                agreement.token,
                hold=hold,
                audience=self.recorder.ledger.origin,
                current=self.authority.registry.current,
                now=agreement.at,
            )
        except AnswerableError:
            return False
        return said.by == agreement.by

    def _as_recorded(self, hold: Hold) -> Hold:
        own = self.lifted.get(hold.id, 0)
        at = own if own and self._is_lifted(hold) else self.elsewhere.get(hold.id, 0)
        # Agreements to a lift that is not complete are dropped: people decide again.
        return replace(hold, agreed=tuple(self.agreed[hold.id]) if at else (), lifted_at=at)


def hold_in(name: HoldId, leaf: dict[str, JSONValue], fields: dict[str, JSONValue]) -> Hold | None:
    """Return the hold of an entry with tag `hold_placed`; None if its target cannot be opened."""
    kind, since, expires = str(leaf.get("kind")), leaf.get("since"), leaf.get("expires_at")
    source = next((one for one in HOLD_SOURCES if one == leaf.get("source")), None)
    # The leaf has a person's pseudonym, which matches no name in a request.
    held = fields.get("person") if kind == "owner" else leaf.get("name")
    if (
        not isinstance(held, str)
        or not isinstance(since, int)
        or not isinstance(expires, int)
        or source is None
    ):
        return None
    by = fields.get("by")
    try:
        return Hold(
            id=name,
            what=holdable(kind, held),
            at=UnixMillis(since),
            by=by if isinstance(by, str) else f"{NAMELESS_PREFIX}{leaf.get('by')}",
            reason=str(fields.get("reason") or ""),
            expires_at=expires,
            source=source,
            rule=str(leaf.get("rule") or ""),
        )
    except Malformed:
        return None


def _agreement(leaf: dict[str, JSONValue], fields: dict[str, JSONValue]) -> Agreement:
    at = leaf.get("at")
    return Agreement(
        by=PrincipalId(str(fields.get("by") or f"{NAMELESS_PREFIX}{leaf.get('by')}")),
        key=str(leaf.get("key") or ""),
        reason=str(fields.get("reason") or ""),
        at=UnixMillis(at if isinstance(at, int) else 0),
        token=str(fields.get("token") or ""),
    )
