"""Read revocations and holds from the logs of other shards, for a start with registers that may lack them.

Each process restores what its own log states. A hold or revocation in the log of a process that has not started is in
force as well: the first process to start reads it there.

Law: if the registers know nothing of a log and it cannot be read, the start fails; the log is not taken for empty.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, shown
from answerable.errors.codes.ledger import LEDGER_SHARD_UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.stored_log import StoredLog

LOOKED_FOR: Final = frozenset({Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT, Tag.REVOKED})
GIVEN: Final = frozenset(
    {
        Tag.PASSKEY,
        Tag.PASSKEY_REMOVED,
        Tag.DUTY,
        Tag.CITED,
        Tag.MANDATE_CLOSED,
        Tag.DRILL,
        Tag.WORKLOAD_ENROLLED,
        Tag.WORKLOAD_ENDED,
    }
)
"""Additional tags, read when foreign writes have overwritten the registers."""
_HOP: Final = b'"kind":"hop"'
TRIES_MAX: Final = 5
"""Its process may be writing to it."""
TRY_SECONDS: Final = 0.05

_log: Final = logging.getLogger(__name__)


async def told_elsewhere(
    mandates: MandateRegister, logs: Sequence[StoredLog], *, whole: bool = False
) -> list[tuple[str, StoredEntry]]:
    """Return the entries of these logs with tags in `LOOKED_FOR` that the registers may lack, with their log, in log
    order. `whole`: all such entries, and those of `GIVEN`.

    Raises Unavailable (`ledger.shard_unreadable`).
    """
    found: list[tuple[str, StoredEntry]] = []
    for log in logs:
        found += await _told(mandates, log, whole=whole)
    return found


async def _told(mandates: MandateRegister, log: StoredLog, *, whole: bool) -> list[tuple[str, StoredEntry]]:
    since, failed = 0, None
    wanted = LOOKED_FOR | GIVEN if whole else LOOKED_FOR
    for _ in range(TRIES_MAX):
        try:
            origin = log.origin()
            # Holds and revocations before this position were in the register before they were recorded.
            since = mandates.used_up_to(origin) if origin else 0
            entries = log.entries(0 if whole else since) if origin else ()
            return [(origin, one) for one in entries if one.tag in wanted and _is_wanted(one)]
        except AnswerableError as error:
            failed = error
            await anyio.sleep(TRY_SECONDS)
    message = failed.message if failed is not None else ""
    if not since:
        raise LEDGER_SHARD_UNREADABLE(
            f"the log of shard {shown(log.name)} cannot be read ({message}) and the registers "
            "have nothing of it: its holds and revocations would be missing; restore the log, or "
            "move its directory away"
        ) from failed
    _log.warning(
        "the log of shard %s cannot be read: %s. What it says is held or revoked and the registers do not know is put "
        "back when it starts",
        log.name,
        message,
    )
    return []


def _is_wanted(stored: StoredEntry) -> bool:
    """Whether it is no citation of another thing than a token. There are many."""
    return stored.tag != Tag.CITED or _HOP in stored.leaf
