"""Where the reading of targets' logs stands: what is stored, so that a restart neither skips nor repeats a line.

Law: of lines that have nothing to do with governed accounts there are numbers only, and names of accounts where the
settings say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from answerable.core.attribution.finding import HOUR_MS, Finding
from answerable.core.attribution.log_line import LogKind
from answerable.core.attribution.step import SKEW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.attribution.step import Step
    from answerable.core.attribution.step_index import StepIndex

ACCOUNTS_MAX: Final = 2_000
"""Accounts of one log that are known by name."""
FINDINGS_PER_HOUR_MAX: Final = 100
"""Findings of one log and hour that are recorded; more are only counted, so that nobody can fill the ledger by the log
of a target."""
HOURS_MAX: Final = 48
SEEN_MAX: Final = 10_000
TELL_EACH: Final[frozenset[LogKind]] = frozenset(
    {"postgres", "mariadb", "sshd", "journald", "rabbitmq", "nats", "nginx"}
)
"""Kinds of logs that say something of each session, so that a step without a line is a phantom."""


KNOWN_BYTES: Final = 256
"""How much of the beginning of a file, and of what stands before a mark, it is known again by."""
OFFSET_MAX: Final = 2**62
OBJECTS_MAX: Final = 20_000
"""Files of a bucket that are known by name."""

_Known = Annotated[int, msgspec.Meta(ge=0, le=KNOWN_BYTES)]
_Place = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]


JOURNAL: Final = "journal:"
"""How the path of a journal begins; behind it, its directory."""


class LogMark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a file was read. device, inode, head, tail: by which it is known again: SHA-256 of its first `head_bytes`
    bytes, and of the `tail_bytes` bytes before `offset`. lines: how many stand before. is_cut: the mark is within a
    line that was too long, whose rest is passed over. objects: of a bucket, the files that were read, of those days of
    which more may arrive: day and digest of the key. cursor: of a journal, that of the last entry."""

    device: int = 0
    inode: int = 0
    offset: _Place = 0
    lines: _Place = 0
    head: str = ""
    head_bytes: _Known = 0
    tail: str = ""
    tail_bytes: _Known = 0
    is_cut: bool = False
    objects: tuple[str, ...] = ()
    cursor: str = ""


BEGIN: Final = LogMark()


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A log that is followed. targets: whose log it is. accounts: those that only the broker is to use, beside those of
    leases. region, endpoint, keys: of a bucket; keys is the path of a file. units: of a journal, whose entries are
    read; all where there are none."""

    targets: tuple[str, ...]
    kind: LogKind
    path: str
    accounts: frozenset[str] = frozenset()
    prefix: str = ""
    zone: str = ""
    region: str = ""
    endpoint: str = ""
    keys: str = ""
    units: tuple[str, ...] = ()

    @property
    def is_journal(self) -> bool:
        """Whether it is a journal of journald, and no file."""
        return self.path.startswith(JOURNAL)

    @property
    def name(self) -> str:
        """By which its standing is stored."""
        return f"{','.join(self.targets)} {self.kind} {self.path}"


class LogStanding(msgspec.Struct, kw_only=True):
    """How far one log was read. mark: of its source. counts: lines by verdict, `others`, `broken`, `ambiguous`,
    `compared` and `uncompared` with the content that is recorded, `early`: older than the steps that are known, and
    `ahead`: dated ahead of our clock, and `untimed`: without a time that is understood, which are counted by their
    verdict, too.
    first: from when on there is no gap. last: of the last line; Unix milliseconds, 0 where there was none. gaps: how
    often lines may have been missed. hours: findings by hour. accounts: first and last use and lines of each governed
    account. seen: of every account, where the settings say so, as `AccountsSeen` collects them. heard: when the last
    line without a time was read. is_misread: whether its last lines have times that are not understood.
    ours: targets with a line in it that a step explains."""

    mark: LogMark = BEGIN
    counts: dict[str, int] = {}
    first: int = 0
    last: int = 0
    gaps: int = 0
    hours: dict[str, int] = {}
    accounts: dict[str, tuple[int, int, int]] = {}
    seen: dict[str, list[int]] = {}
    heard: int = 0
    is_misread: bool = False
    ours: dict[str, bool] = {}

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    def has_room(self, finding: Finding, now: int) -> bool:
        """Whether the finding may be recorded; it counts then, in the hour of its line, or of now where that has no
        time."""
        hour = str((finding.at or now) // HOUR_MS)
        count = self.hours.get(hour, 0)
        if count >= FINDINGS_PER_HOUR_MAX:
            return False
        self.hours[hour] = count + 1
        while len(self.hours) > HOURS_MAX:
            del self.hours[next(iter(self.hours))]
        return True

    def use(self, account: str, at: int) -> None:
        """Note the use of a governed account."""
        first, last, count = self.accounts.get(account, (at, at, 0))
        if not count and len(self.accounts) >= ACCOUNTS_MAX:
            self.count("accounts_left_out")
            return
        self.accounts[account] = (min(first, at), max(last, at), count + 1)


class TargetStanding(msgspec.Struct, kw_only=True):
    """Up to which step it is decided whether the logs of a target say anything of it. seen: actions behind that with a
    line. statements: what is known of the statements of actions behind that, of at most SEEN_MAX."""

    decided: int = -1
    seen: dict[str, bool] = {}
    statements: dict[str, int] = {}


class AccountSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A governed account that a log has lines of. first, last: Unix milliseconds, 0 where lines have no time."""

    name: str
    targets: tuple[str, ...]
    first: int
    last: int
    count: int


class Standing(msgspec.Struct, kw_only=True):
    """Everything that is stored. origin: of the ledger. waiting: findings that are not recorded yet."""

    origin: str = ""
    logs: dict[str, LogStanding] = {}
    targets: dict[str, TargetStanding] = {}
    waiting: dict[str, Finding] = {}


def unseen_since(
    target: str, steps: StepIndex, standing: TargetStanding, *, last: int, seen_counts: bool = True
) -> Iterator[Step]:
    """Yield the steps at a target that ended after the last line of its log, which says nothing of them. seen_counts:
    False to yield those that another log says something of, too."""
    for step in steps.at_target(target, after=standing.decided):
        if (
            step.ended
            and step.started > last + SKEW_MS
            and not (seen_counts and step.action in standing.seen)
        ):
            yield step
