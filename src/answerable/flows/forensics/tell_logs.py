"""Tell how far the logs of targets were read, how late, and which of them are silent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from answerable.api.log_answers import FollowedLog, LogsAnswer
from answerable.core.attribution.followed import AccountSeen, unseen_since
from answerable.flows.forensics.tell_hits import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.attribution.followed import Followed, Standing
    from answerable.core.attribution.step import Step
    from answerable.core.attribution.step_index import StepIndex
    from answerable.flows.forensics.follow_log import LogFollower

_TROUBLES: Final = {
    "missing": "there is no such file",
    "no bucket": "there is no such bucket",
    "no file": "it is a directory, a pipe or a device, and no plain file",
    "no keys": "the file of its keys is none with `access_key` and `secret_key` as JSON that can be read",
    "no journal": "no file of a journal is there that can be seen: journald must keep one, and the account that runs "
    "the server must be in the group systemd-journal",
    "no journalctl": "there is no journalctl, which reads it: install it, in Debian with the package systemd",
    "ended": "journalctl ended, and is started again: the server's log has its words, and the account that runs it "
    "must be in the group systemd-journal",
    "unreadable": "it cannot be read",
}


def logs_told(
    logs: Sequence[LogFollower],
    standing: Standing,
    steps: StepIndex,
    *,
    position: int,
    missing: int,
    failed: str,
    silent_ms: int,
    now: int,
) -> LogsAnswer:
    """Return the standing of each log. position, missing: how many entries are known, and how many are not yet. failed:
    why no log is read on; empty for no failure. silent_ms: from when on silence is told. now: Unix milliseconds."""
    behind = f"{missing} entries of the ledger are to be read first" if missing > 0 else ""
    followed = Counter(target for one in logs for target in one.followed.targets)
    shared = frozenset(target for target, count in followed.items() if count > 1)
    return LogsAnswer(
        items=tuple(
            _told_of(one, standing, steps, shared, failed=failed, behind=behind, silent_ms=silent_ms, now=now)
            for one in logs
        ),
        entries=position,
        waiting=len(standing.waiting),
    )


def accounts_seen(logs: Sequence[LogFollower]) -> tuple[AccountSeen, ...]:
    """Return the governed accounts that the logs have lines of."""
    return tuple(
        AccountSeen(name=name, targets=one.followed.targets, first=first, last=last, count=count)
        for one in logs
        for name, (first, last, count) in one.standing.accounts.items()
    )


def _told_of(
    one: LogFollower,
    stored: Standing,
    steps: StepIndex,
    shared: frozenset[str],
    *,
    failed: str,
    behind: str,
    silent_ms: int,
    now: int,
) -> FollowedLog:
    """shared: targets with several logs. One that has told of such a target, or never had a line, is silent by what
    itself has: another's lines hide nothing of it."""
    standing, followed = one.standing, one.followed
    heard = max(standing.last, standing.heard)
    alone = shared & (standing.ours.keys() if heard else set(followed.targets))
    since = [
        step
        for target in followed.targets
        for step in unseen_since(
            target, steps, stored.targets[target], last=heard, seen_counts=target not in alone
        )
    ]
    late = max(0, now - one.waits_from) if one.waits_from else 0
    if one.trouble:
        state, reason = "fault", _TROUBLES[one.trouble]
    elif failed:
        state, reason = "fault", failed
    elif behind:
        state, reason = "behind", behind
    elif late > silent_ms:
        state, reason = "behind", "lines wait until what may explain them has ended"
    elif standing.is_misread:
        state, reason = "fault", _misread(followed)
    elif since and now - min(step.ended for step in since) > silent_ms:
        state, reason = "silent", _silence(since, heard, shared)
    elif one.ahead_ms:
        state = "fault"
        reason = f"its last line is {one.ahead_ms // 1000} s ahead of our clock: look at zone= and the target's clock"
    else:
        state, reason = "ok", ""
    return FollowedLog(
        targets=followed.targets,
        kind=followed.kind,
        path=followed.path,
        state=state,
        reason=reason,
        last_line_at=instant(standing.last) if standing.last else None,
        late_seconds=late // 1000,
        read_to=standing.mark.offset,
        actions_since=len(since),
        gaps=standing.gaps,
        lines=dict(sorted(standing.counts.items())),
    )


def _misread(followed: Followed) -> str:
    """Return why no time of a log is understood, and what helps."""
    if followed.zone:
        hint = "they are not written as its kind of log does"
    elif followed.kind == "postgres":
        hint = "set `log_timezone = 'UTC'`, or give zone=, such as zone=+01:00"
    else:
        hint = "give zone=, such as zone=+01:00"
    return f"the times of its lines are not understood, and no phantom can be told: {hint}"


def _silence(since: Sequence[Step], last: int, shared: frozenset[str]) -> str:
    count = f"{len(since)} actions" if len(since) > 1 else "an action"
    targets = {step.target for step in since}
    silence = (
        f"no line since {instant(last) if last else 'it is followed'}, while {count} ran at {_named(targets)}"
    )
    several = targets & shared
    meanwhile = (
        f"; whatever other logs say, no phantom is told of {_named(several)} meanwhile" if several else ""
    )
    return f"{silence}{meanwhile}"


def _named(targets: Iterable[str]) -> str:
    return ", ".join(sorted(targets))
