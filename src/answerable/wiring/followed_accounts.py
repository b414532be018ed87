"""Keep the accounts that followed logs have lines of, where the settings say so, with those that `attribute` found."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.seen_account import AccountsSeen
from answerable.errors import AnswerableError
from answerable.wiring.seen_accounts import SEEN, keep_seen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.attribution.followed import LogStanding
    from answerable.core.attribution.seen_account import SeenAccount
    from answerable.flows.forensics.follow_log import LogFollower
    from answerable.wiring.setting_tree import Settings

ACCOUNTS_MAX: Final = 1_000
"""Of one log, in the file that is stored each second."""
KEEP_SECONDS: Final = 30.0
_log: Final = logging.getLogger("answerable.logs")


class FollowedAccounts:
    """Adds them to the file of accounts, at most every `KEEP_SECONDS`."""

    def __init__(self, settings: Settings) -> None:
        self._path, self._is_on = settings.data / SEEN, settings.logs.accounts
        self._kept: list[SeenAccount] = []
        self._due, self._fault = 0.0, ""

    def of(self, standing: LogStanding) -> AccountsSeen | None:
        """Return what collects the accounts of one log; None where none are kept, and then those of before are
        forgotten."""
        if not self._is_on:
            standing.seen.clear()
            return None
        return AccountsSeen(standing.seen, most=ACCOUNTS_MAX)

    def keep(self, logs: Iterable[LogFollower], *, now: float, last: bool = False) -> None:
        """Add what is new to the file. now: monotonic seconds. last: do not wait until it is due. Never raises: a file
        that cannot be written is told, and tried again."""
        if not self._is_on or (now < self._due and not last):
            return
        self._due = now + KEEP_SECONDS
        rows = [
            row
            for one in logs
            if one.accounts is not None
            for target in one.followed.targets
            for row in one.accounts.rows(target, one.followed.kind)
        ]
        if rows == self._kept:
            return
        try:
            keep_seen(self._path, rows)
        except AnswerableError as failed:
            if failed.message != self._fault:
                _log.error("accounts of followed logs are not kept: %s", failed.message)
            self._fault = failed.message
            return
        self._kept, self._fault = rows, ""
