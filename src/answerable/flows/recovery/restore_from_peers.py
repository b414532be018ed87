"""What stands in the logs of the other shards, for whoever starts with a register that may have lost it.

Each process puts back what its own log says. What is held or revoked in the log of one that has not started is in
force all the same: whoever starts first reads it there.

Law: where a register knows nothing of a log that cannot be read, nobody starts; it is not taken for empty.
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
    from answerable.flows.state.walk import Walk
    from answerable.ports.stored_log import StoredLog

LOOKED_FOR: Final = frozenset({Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT, Tag.REVOKED})
GIVEN: Final = frozenset({Tag.PASSKEY, Tag.PASSKEY_REMOVED, Tag.DUTY})
"""Beside these, where nothing is left of what others wrote over."""
TRIES_MAX: Final = 5
"""Its process may be writing."""
TRY_SECONDS: Final = 0.05

_log: Final = logging.getLogger(__name__)


async def told_elsewhere(
    walk: Walk, logs: Sequence[StoredLog], *, whole: bool = False
) -> list[tuple[str, StoredEntry]]:
    """Entries of LOOKED_FOR in these logs that the registers may not know, in the order of each log, with its origin.
    whole: all of them, and of GIVEN.

    Raises Unavailable (`ledger.shard_unreadable`).
    """
    found: list[tuple[str, StoredEntry]] = []
    for log in logs:
        found += await _told(walk, log, whole=whole)
    return found


async def _told(walk: Walk, log: StoredLog, *, whole: bool) -> list[tuple[str, StoredEntry]]:
    since, failed = 0, None
    wanted = LOOKED_FOR | GIVEN if whole else LOOKED_FOR
    for _ in range(TRIES_MAX):
        try:
            origin = log.origin()
            # Whoever counted up to there placed it in the register before it was written down.
            since = walk.mandates.used_up_to(origin) if origin else 0
            entries = log.entries(0 if whole else since) if origin else ()
            return [(origin, one) for one in entries if one.tag in wanted]
        except AnswerableError as error:
            failed = error
            await anyio.sleep(TRY_SECONDS)
    message = failed.message if failed is not None else ""
    if not since:
        raise LEDGER_SHARD_UNREADABLE(
            f"the registers know nothing of shard {shown(log.name)}, and its log cannot be read ({message}): what it "
            "says is held or revoked would not be. Restore it, or take its directory away"
        ) from failed
    _log.warning(
        "the log of shard %s cannot be read: %s. What it says is held or revoked and the registers do not know is put "
        "back when it starts",
        log.name,
        message,
    )
    return []
