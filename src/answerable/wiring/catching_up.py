"""Keep the registers consistent with the ledger: bring them up at the start, report differences, and confirm
positions."""

from __future__ import annotations

import logging
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.adapters.sqlite import SqliteAuthorityRegister, SqliteProjections
from answerable.core.ledger.told_authorities import told_authorities
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.flows.recording.rounds import until_round
from answerable.flows.recovery.project_ledger import NAMED_MAX, CaughtUp, Log, catch_up, confirm
from answerable.wiring.shards import other_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.ledger.opened import FindKey
    from answerable.core.ledger.told_authorities import ToldAuthorities
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.projection import Difference
    from answerable.wiring.setting_tree import Settings

OTHERS_WRITE_MS: Final = 60_000
"""For this time, entries of another process are left to that process to put into the registers."""
BEHIND_ROUNDS_MAX: Final = 20
"""Rounds in which a register may lag before the next start must bring it up."""

MADE_ANEW: Final = {
    "duty_marks": "marks of who saw an approval",
    "events": "events waiting to be sent",
    "federated": "bundles of other trust domains",
    "invitations": "unused invitations",
    "inventory": "sightings of what is not registered",
    "join_tokens": "unused join tokens",
    "messages": "messages to people",
    "openings": "openings of approvals",
    "prepared": "prepared objects",
    "push_devices": "devices",
}
"""Altered registers that the ledger cannot restore, as people know them."""

AUTHORITIES: Final = "authorities"
"""The register's name among those that another program has written."""
DOMAIN_UNREADABLE: Final = (
    "of the trust domain could not be read and was restored from the ledger: %s; check the disk of the "
    "registers"
)
DOMAIN_ALTERED: Final = (
    "of the trust domain was changed by another program and restored from the ledger: %s; find out what "
    "wrote it"
)
BEHIND: Final = (
    "the registers differ from the ledger, since they could not be written for a while: the next start updates "
    "them"
)

_log: Final = logging.getLogger(__name__)


async def brought_up(
    settings: Settings, store: SqliteStore, ledger: Ledger, find: FindKey, clock: Clock
) -> KeptRegisters:
    """Bring the registers up to the ledger before anything is read from them. find: keys of the subjects in entries'
    fields. Raises Broken and Unavailable as `catch_up`."""
    kept = KeptRegisters(settings, store, ledger, find)
    await to_thread.run_sync(kept.bring_up, clock)
    return kept


async def mended_trust_domain(
    settings: Settings, store: SqliteStore, ledger: Ledger, clock: Clock, *, altered: Collection[str]
) -> None:
    """Repair the trust domain before its authorities are read: rebuild unreadable ones from the ledger, and log their
    names. altered: registers that another program wrote; if this is one, everything in it is compared. Raises
    Unavailable, and Broken as `told_authorities`."""
    is_altered = AUTHORITIES in altered

    def read_told() -> ToldAuthorities:
        logs = (log.entries(0) for log in other_shards(settings) if is_altered and log.origin())
        return told_authorities(chain(ledger.replay(), *logs))

    mend = partial(SqliteAuthorityRegister(store).mend, read_told, now=clock.now(), altered=is_altered)
    done = await to_thread.run_sync(mend)
    if done.made:
        _log.warning(DOMAIN_ALTERED if is_altered else DOMAIN_UNREADABLE, ", ".join(map(shown, done.made)))
    for name in done.dropped:
        _log.warning(
            "authority %s was removed from the trust domain, as no entry of the ledger has it: find out what wrote it",
            shown(name),
        )
    for name in done.left:
        _log.error(
            "authority %s cannot be read, and no entry of the ledger has its keys: restore `answerable.db` from a "
            "backup, or remove it with `answerable trust remove`, after which nothing that it signed is believed",
            shown(name),
        )


class KeptRegisters:
    """The registers that are projections of the ledger. caught_up: what the start did to them."""

    def __init__(self, settings: Settings, store: SqliteStore, ledger: Ledger, find: FindKey) -> None:
        """find: as in `brought_up`."""
        self._projections = SqliteProjections(store, settings.registers.database)
        self._settings, self._find = settings, find
        self._own = Log(ledger.origin, ledger.replay)
        self._behind = 0
        self.caught_up = CaughtUp()

    def is_behind(self) -> bool:
        """Whether a register differs from the ledger, so that the next start must bring it up."""
        return self._behind >= BEHIND_ROUNDS_MAX

    def told(self) -> tuple[str, ...]:
        """Return the differences from the ledger found at the start or since."""
        return (*told(self.caught_up), *((BEHIND,) if self.is_behind() else ()))

    def bring_up(self, clock: Clock) -> None:
        """Bring the registers up to the ledger, as `brought_up`."""
        found = [(_readable(log.origin), log.entries) for log in other_shards(self._settings)]
        until = clock.now() - OTHERS_WRITE_MS
        others = [Log(origin, entries, until=until) for origin, entries in found if origin]
        # A folder without a log has no entries: it must not keep what was altered from being compared.
        is_complete = all(origin is not None for origin, _ in found)
        done = self.caught_up = catch_up(
            self._projections, (self._own, *others), self._find, is_complete=is_complete
        )
        for line in told(done):
            _log.warning("%s", line)

    async def settled(self) -> None:
        """Clear the registers' marks of foreign changes, once they match the ledger again. Raises Unavailable."""
        if self.caught_up.recalled:
            await to_thread.run_sync(self._projections.cleared)

    async def confirm_always(self, seconds: float) -> None:
        """Confirm periodically, forever."""
        while True:
            await anyio.sleep(until_round(seconds))
            await self.confirm()

    async def confirm(self) -> None:
        """Advance the confirmed positions. If the registers cannot be written, nothing ends: the next start reads
        more."""
        if self.is_behind():
            return
        try:
            if await to_thread.run_sync(partial(confirm, self._projections, self._own, self._find)):
                self._behind = 0
                return
        except Unavailable as failed:
            _log.warning("the confirmed position of the registers cannot be stored now: %s", failed.message)
            return
        self._behind += 1
        if self.is_behind():
            _log.warning("%s", BEHIND)


def told(done: CaughtUp) -> list[str]:
    """Return what a start did to the registers, one line per kind; empty if they matched the ledger."""
    lines = []
    if done.rows:
        counts = ", ".join(f"{count} of {name}" for name, count in sorted(done.rows.items()))
        lines.append(f"the registers were behind the ledger: {counts} were restored from it")
    if done.damaged:
        named = ", ".join(shown(name) for name in done.damaged[:NAMED_MAX])
        lines.append(
            f"{len(done.damaged)} documents could not be read and were restored from the ledger, {named}: check "
            "the disk of the registers"
        )
    if done.mended:
        lines.append(
            f"the registers were changed by another program: {_named(done.mended)} were restored from the ledger; "
            "find out what wrote them"
        )
    if restored := [one for one in done.recalled if one not in MADE_ANEW]:
        lines.append(
            "the registers were changed by another program: "
            f"{', '.join(restored)} were restored from the ledger; find out what wrote them"
        )
    if anew := [MADE_ANEW[one] for one in done.recalled if one in MADE_ANEW]:
        lines.append(
            f"the registers were changed by another program: {', '.join(anew)} were removed, as the ledger does not "
            "say what they allow; find out what wrote them, and make those anew that are needed"
        )
    if done.left_out:
        named = ", ".join(
            f"{one.register} {shown(one.row)} of entry {one.entry} ({one.code})"
            for one in done.left_out[:NAMED_MAX]
        )
        lines.append(
            f"{len(done.left_out)} rows are not in force, because their statement was not signed with a key that its "
            f"signer had then, or cannot be read: {named}"
        )
    return lines


def _named(rows: Sequence[Difference]) -> str:
    named = ", ".join(f"{one.register} {shown(one.row)}" for one in rows[:NAMED_MAX])
    return named if len(rows) <= NAMED_MAX else f"{named} and {len(rows) - NAMED_MAX} more"


def _readable(origin: Callable[[], str]) -> str | None:
    """Return the name of another process's log, empty if it has none yet; None if it cannot be read, which
    `restore_ended_authority` reports or refuses to start with."""
    try:
        return origin()
    except AnswerableError:
        return None
