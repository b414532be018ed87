"""Detect that the wall clock was set back, log a warning, and end what had expired before.

Sequences, serials, uses and ends are durable and do not go back with the clock, and expired instances and invitations
are ended before their time comes again. A clock set back can still make an expired SVID valid again in this process,
and prevents signing with keys that are not valid yet.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import anyio

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.revocation.end_instance import end_instances, end_lapsed, written

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger

LOOK_SECONDS: Final = 5.0
LOOKED_AT: Final = 1_000
"""Last entries that are read."""
SET_BACK_MILLIS: Final = 2_000
"""Smaller steps are normal corrections by a time server."""
ADVICE: Final = (
    "until then, keys that are not valid yet sign nothing, and expired credentials such as a "
    "JWT-SVID may be accepted again: set it right, and keep it in step with a time server"
)

_log: Final = logging.getLogger(__name__)


async def watch_clock(
    workloads: Workloads, *, sleep: Callable[[float], Awaitable[None]] = anyio.sleep
) -> NoReturn:
    """Log a warning if the wall clock is behind the newest ledger entry, and each time it is set back. Runs without
    end.

    Instances and invitations that had expired before are ended.
    """
    newest = newest_entry(workloads.recorder.ledger)
    if (behind := newest - workloads.recorder.clock.now()) > SET_BACK_MILLIS:
        _log.warning("the clock is %d s behind the newest entry of the ledger: %s", behind // 1000, ADVICE)
    ahead = _ahead(workloads.recorder.clock)
    while True:
        await sleep(LOOK_SECONDS)
        now = _ahead(workloads.recorder.clock)
        if (back := ahead - now) > SET_BACK_MILLIS:
            _log.warning("the clock was set back by %d s: %s", back // 1000, ADVICE)
            latest = UnixMillis(workloads.recorder.clock.now() + back)
            try:
                await _forget_invitations(workloads.asking.passkeys, latest)
                await end_lapsed(workloads, at=latest)
            except AnswerableError as error:
                # They have ended in any case, or the register cannot be written and nothing can enrol either.
                _log.warning("what had run out is not ended yet: %s", error.message)
        # A jump ahead needs no warning until it is undone.
        ahead = now


async def end_what_had_lapsed(workloads: Workloads) -> None:
    """Before any listener opens, end instances that had expired by a ledger entry that is later than the clock.

    Instances enrolled or renewed after that entry continue. Invitations expired by it end, including one made after
    that entry: its person asks for another. Raises Unavailable.
    """
    newest = newest_entry(workloads.recorder.ledger)
    if newest <= workloads.recorder.clock.now():
        return
    await _forget_invitations(workloads.asking.passkeys, newest)
    latest = 0
    since: dict[str, int] = {}
    for stored in reversed([*_last_entries(workloads.recorder.ledger)]):
        leaf = leaf_of(stored)
        latest = max(latest, int(str(leaf["at"])))
        if leaf["tag"] == Tag.WORKLOAD_ENROLLED:
            since.setdefault(str(leaf["instance"]), latest)
    lapsed = [
        one.id
        for one in workloads.instances.live()
        if not one.is_live(UnixMillis(since.get(str(one.id), latest)))
    ]
    await end_instances(workloads, lapsed, because="instance.expired")


async def _forget_invitations(passkeys: PasskeyState | None, latest: int) -> None:
    """Delete invitations that had expired at the latest time seen."""
    if (desk := passkeys) is not None:
        await written(partial(desk.register.forget_invitations, before=UnixMillis(latest + 1)))


def newest_entry(ledger: Ledger) -> int:
    """Return the latest time of the last ledger entries, Unix milliseconds; 0 without entries.

    Not of the last entry alone: another process may write one with the corrected clock while this one starts.
    """
    return max((int(str(leaf_of(stored)["at"])) for stored in _last_entries(ledger)), default=0)


def _last_entries(ledger: Ledger) -> Iterator[StoredEntry]:
    return ledger.replay(max(0, ledger.size - LOOKED_AT))


def _ahead(clock: Clock) -> int:
    """Return the difference of the wall clock and the monotonic clock; it changes only when the wall clock is set."""
    return clock.now() - int(clock.monotonic() * 1000)
