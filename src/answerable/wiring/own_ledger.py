"""Open the log of this process once no other process has it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.errors import Unavailable
from answerable.wiring.second_key import second_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.system import SystemClock, SystemEntropy
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.shards import LogIdentity

LOCK_RETRY_SECONDS: Final = 0.05
LOCK_SAID_SECONDS: Final = 2.0

_log: Final = logging.getLogger(__name__)


async def opened_ledger(
    settings: Settings,
    own: LogIdentity,
    clock: SystemClock,
    entropy: SystemEntropy,
    *,
    wait_seconds_max: float,
) -> TlogFilesLedger:
    """Open the log. wait_seconds_max: how long to wait for another process that has it. Raises Unavailable
    (`ledger.*`), Broken."""
    return await _once_free(partial(_opened_ledger, settings, own, clock, entropy), wait_seconds_max)


def _opened_ledger(
    settings: Settings, own: LogIdentity, clock: SystemClock, entropy: SystemEntropy
) -> TlogFilesLedger:
    return TlogFilesLedger.open(
        settings.ledger.place,
        key=own.log_key,
        sign=own.key.sign,
        clock=clock,
        settings=TlogFilesSettings(
            segment_bytes=settings.ledger.segment_bytes,
            queue_bytes_max=settings.ledger.queue_bytes_max,
            queue_entries_max=settings.ledger.queue_entries_max,
            append_wait_seconds_max=settings.ledger.append_wait_seconds_max,
            allocation_retry_seconds=settings.ledger.allocation_retry_seconds,
            seal_unsealed_bytes=settings.ledger.seal_unsealed_bytes,
            unsealed_bytes_max=settings.ledger.unsealed_bytes_max,
        ),
        second=second_key(settings, own.origin, entropy),
    )


async def _once_free(opening: Callable[[], TlogFilesLedger], wait_seconds_max: float) -> TlogFilesLedger:
    """Retry while another process has the log: a command without a server ends soon."""
    say_at, give_up_at = anyio.current_time() + LOCK_SAID_SECONDS, anyio.current_time() + wait_seconds_max
    while True:
        try:
            return opening()
        except Unavailable as error:
            if error.code != "ledger.locked" or anyio.current_time() >= give_up_at:
                raise
            if anyio.current_time() >= say_at:
                say_at = give_up_at
                _log.warning("%s: waiting until it has ended", error.message)
        await anyio.sleep(LOCK_RETRY_SECONDS)
