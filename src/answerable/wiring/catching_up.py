"""Registers that the ledger is ahead of, at a start and ever after: brought up, told of, and confirmed."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.adapters.sqlite import SqliteAuthorityRegister, SqliteProjections
from answerable.core.ledger.told_authorities import told_authorities
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.flows.recovery.project_ledger import NAMED_MAX, CaughtUp, Log, catch_up, confirm
from answerable.wiring.shards import other_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.ledger.opened import FindKey
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.projection import Difference
    from answerable.wiring.setting_tree import Settings

OTHERS_WRITE_MS: Final = 60_000
"""For so long what another process wrote down is left to it to put into the registers."""
BEHIND_ROUNDS_MAX: Final = 20
"""Rounds in which a register may be behind before the reader waits for the next start."""

BEHIND: Final = (
    "the registers are not as the ledger says, since they could not be written for a while: the next start brings them "
    "up"
)

_log: Final = logging.getLogger(__name__)


async def brought_up(
    settings: Settings, store: SqliteStore, ledger: Ledger, find: FindKey, clock: Clock
) -> KeptRegisters:
    """The registers as the ledger says, before anything of them is read. find: keys of the subjects whose fields
    entries have. Raises Broken and Unavailable as `catch_up`."""
    kept = KeptRegisters(settings, store, ledger, find)
    await to_thread.run_sync(kept.bring_up, clock)
    return kept


async def mended_trust_domain(store: SqliteStore, ledger: Ledger, clock: Clock) -> None:
    """Before its authorities are read: those that cannot be are as the ledger says, and named. Raises Unavailable, and
    Broken as `told_authorities`."""
    mend = partial(
        SqliteAuthorityRegister(store).mend, lambda: told_authorities(ledger.replay()), now=clock.now()
    )
    done = await to_thread.run_sync(mend)
    if done.made:
        _log.warning(
            "of the trust domain could not be read and is as the ledger says again: %s; look at the disk of the "
            "registers",
            ", ".join(map(shown, done.made)),
        )
    for name in done.left:
        _log.error(
            "authority %s cannot be read, and no entry of the ledger says its keys: put a copy of `answerable.db` "
            "back, or remove it with `answerable trust remove`, after which nothing that it signed is believed",
            shown(name),
        )


class KeptRegisters:
    """The registers that are projections of the ledger. caught_up: what the start did to them."""

    def __init__(self, settings: Settings, store: SqliteStore, ledger: Ledger, find: FindKey) -> None:
        """find: as above."""
        self._projections = SqliteProjections(store, settings.registers.database)
        self._settings, self._find = settings, find
        self._own = Log(ledger.origin, ledger.replay)
        self._behind = 0
        self.caught_up = CaughtUp()

    def is_behind(self) -> bool:
        """Whether a register is not as the ledger says, so that the next start brings it up."""
        return self._behind >= BEHIND_ROUNDS_MAX

    def told(self) -> tuple[str, ...]:
        """What was not as the ledger says, at the start or since."""
        return (*told(self.caught_up), *((BEHIND,) if self.is_behind() else ()))

    def bring_up(self, clock: Clock) -> None:
        """As above."""
        others = [
            Log(origin, log.entries, until=clock.now() - OTHERS_WRITE_MS)
            for log in other_shards(self._settings)
            if (origin := _readable(log.origin))
        ]
        is_complete = len(others) == len(other_shards(self._settings))
        done = self.caught_up = catch_up(
            self._projections, (self._own, *others), self._find, is_complete=is_complete
        )
        for line in told(done):
            _log.warning("%s", line)

    async def settled(self) -> None:
        """What other hands wrote into any register is as the ledger says again. Raises Unavailable."""
        if self.caught_up.recalled:
            await to_thread.run_sync(self._projections.cleared)

    async def confirm_always(self, seconds: float) -> None:
        """For ever, each so many seconds."""
        while True:
            await anyio.sleep(seconds)
            await self.confirm()

    async def confirm(self) -> None:
        """Move the positions on. Nothing ends where the registers cannot be written: the next start reads more."""
        if self.is_behind():
            return
        try:
            if await to_thread.run_sync(partial(confirm, self._projections, self._own, self._find)):
                self._behind = 0
                return
        except Unavailable as failed:
            _log.warning("it is not kept for now up to where the registers are true: %s", failed.message)
            return
        self._behind += 1
        if self.is_behind():
            _log.warning("%s", BEHIND)


def told(done: CaughtUp) -> list[str]:
    """What a start did to the registers, a line for each kind; nothing where they were as the ledger says."""
    lines = []
    if done.rows:
        counts = ", ".join(f"{count} of {name}" for name, count in sorted(done.rows.items()))
        lines.append(f"the registers were behind the ledger: {counts} are as it says again")
    if done.damaged:
        named = ", ".join(shown(name) for name in done.damaged[:NAMED_MAX])
        lines.append(
            f"{len(done.damaged)} documents could not be read and were made again from the ledger, {named}: look at "
            "the disk of the registers"
        )
    if done.mended:
        lines.append(
            f"the registers were written by other hands than this server's: {_named(done.mended)} are as the ledger "
            "says again; find out who wrote them"
        )
    if done.recalled:
        lines.append(
            "the registers were written by other hands than this server's: "
            f"{', '.join(done.recalled)} are as the ledger says again; find out who wrote them"
        )
    if done.left_out:
        named = ", ".join(
            f"{one.register} {shown(one.row)} of entry {one.entry} ({one.code})"
            for one in done.left_out[:NAMED_MAX]
        )
        lines.append(
            f"{len(done.left_out)} rows are not in force, as what gives them was not signed with a key of its giver's "
            f"of then, or cannot be read: {named}"
        )
    return lines


def _named(rows: Sequence[Difference]) -> str:
    named = ", ".join(f"{one.register} {shown(one.row)}" for one in rows[:NAMED_MAX])
    return named if len(rows) <= NAMED_MAX else f"{named} and {len(rows) - NAMED_MAX} more"


def _readable(origin: Callable[[], str]) -> str:
    """The name of another process's log; empty where it has none yet, or cannot be read, of which
    `restore_ended_authority` tells or lets nobody start."""
    try:
        return origin()
    except AnswerableError:
        return ""
