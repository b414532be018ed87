"""What followed logs of targets answer."""

from __future__ import annotations

from typing import Annotated

from answerable.api.members import Component, Count, Instant, Part, Texts, words


class FollowedLog(Part, frozen=True, kw_only=True):
    """One log that is followed.

    state: `ok`; `behind` while older lines or entries are read; `silent` where actions ran at the target since its last
    line; `fault` where it cannot be read, its times are not understood, or it is dated ahead of our clock. reason: why,
    in a sentence; empty for ok. last_line_at: None where no line has a time. late_seconds: age of the first line that
    is read and not judged. read_to: bytes of the current file that are judged; 0 of a bucket or a journal.
    actions_since: actions that ended at its targets after the last line; without those that another log of the target
    tells of, unless this one has told of that target, too. gaps: how often lines may have been missed.
    lines: by their answer; `others`: of nobody governed; `early`: older than the steps that are known; `ahead`: dated
    ahead of our clock; `untimed`: without a time that is understood; `compared`, `uncompared`: with the content that is
    recorded; `unrecorded`: found and only counted, since too many of that hour are recorded.
    """

    targets: Texts
    kind: str
    path: str
    state: Annotated[str, words("ok", "behind", "silent", "fault")]
    reason: str
    last_line_at: Instant | None
    late_seconds: Count
    read_to: Count
    actions_since: Count
    gaps: Count
    lines: dict[str, Count]


class LogsAnswer(Component, frozen=True, kw_only=True):
    """The logs that are followed, as the settings name them. entries: up to which of the ledger lines are judged.
    waiting: findings that are still to be recorded."""

    items: tuple[FollowedLog, ...]
    entries: Count
    waiting: Count
