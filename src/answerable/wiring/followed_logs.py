"""The server's side of the logs of targets that are followed: record what they show."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError
from answerable.flows.counters.record_findings import record_findings
from answerable.flows.recording.rounds import until_round

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.api.log_answers import FollowedLog
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.ports.search_process import Searches

ASK_SECONDS: Final = 2.0
FINDINGS_MAX: Final = 100
"""Recorded in one round, so that actions do not wait for more."""

_log: Final = logging.getLogger("answerable.logs")


async def following_logs(
    searches: Searches, recorder: Recorder, authority: AuthorityRegisters, counters: Counters
) -> None:
    """Record findings until cancelled. A failure here stops nothing else: they are told again."""
    failing = ""
    states: dict[str, str] = {}
    while True:
        try:
            found = await searches.logs(findings=FINDINGS_MAX)
            _say_changed(found.logs.items, states)
            await record_findings(recorder, authority, counters, found.findings)
            failing = ""
        except AnswerableError as failed:
            if failed.code != failing:
                _log.warning("what the logs of targets show is not recorded now: %s", failed.message)
            failing = failed.code
        await anyio.sleep(until_round(ASK_SECONDS))


def _say_changed(logs: Iterable[FollowedLog], states: dict[str, str]) -> None:
    """Log each change of a log's state. states: those of before, by log."""
    for one in logs:
        name = f"{one.kind} log {one.path} of {', '.join(one.targets)}"
        before = states.get(name, "ok")
        if one.state != before and {one.state, before} != {"ok", "behind"}:
            _log.warning("the %s is %s%s", name, one.state, f": {one.reason}" if one.reason else "")
        states[name] = one.state
