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
    from answerable.wiring.setting_tree import LedgerSettings, Settings
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
        settings=log_limits(settings.ledger),
        second=second_key(settings, own.origin, entropy),
    )


def log_limits(wanted: LedgerSettings) -> TlogFilesSettings:
    """Return the limits of the log. Raises Malformed (`settings.ledger`) where they do not fit together."""
    return TlogFilesSettings(
        segment_bytes=wanted.segment_bytes,
        queue_bytes_max=wanted.queue_bytes_max,
        queue_entries_max=wanted.queue_entries_max,
        append_wait_seconds_max=wanted.append_wait_seconds_max,
        allocation_retry_seconds=wanted.allocation_retry_seconds,
        seal_unsealed_bytes=wanted.seal_unsealed_bytes,
        unsealed_bytes_max=wanted.unsealed_bytes_max,
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
