"""Follow the logs of targets, in the process that answers searches: in a thread of its own, which alone reads them."""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.adapters.tlog_files import FollowedFiles
from answerable.api.log_answers import LogsAnswer
from answerable.core.attribution.followed import LogStanding, Standing, TargetStanding
from answerable.core.attribution.step_index import StepIndex
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.forensics.follow_log import LogFollower, find_phantoms
from answerable.flows.forensics.tell_logs import accounts_seen, logs_told
from answerable.flows.state.target_calls import place_of
from answerable.plain_file import read_plain
from answerable.ports.search_process import LogsTold
from answerable.wiring.followed_accounts import FollowedAccounts
from answerable.wiring.ledger_search import opened_keys, own_keys
from answerable.wiring.log_settings import followed_in
from answerable.wiring.recorded_contents import RecordedContents
from answerable.wiring.target_logs import LogFiles

if TYPE_CHECKING:
    from answerable.adapters.sqlite import StoredSubjectKeys
    from answerable.core.attribution.finding import Finding
    from answerable.core.attribution.followed import Followed
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.search.blind import BlindKey
    from answerable.ports.followed_log import LogSource
    from answerable.ports.search_process import LogsQuestion
    from answerable.wiring.setting_tree import Settings

BATCH_ENTRIES: Final = 1_000
STEPS_MAX: Final = 50_000
"""Steps that are known at a time; older ones are forgotten, and lines of their time are only counted."""
STEPS_KEPT: Final = 40_000
WAITING_MAX: Final = 1_000
"""Findings that wait to be recorded; with so many, no log is read on."""
ROUND_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0
CATCH_UP_SECONDS_MAX: Final = 2.0
STANDING_BYTES_MAX: Final = 67_108_864
KEYS_BYTES_MAX: Final = 4_096
BUCKET_SECONDS_MAX: Final = 20.0
DURABLE_MS: Final = 1_000
"""An entry of this age is durable, or its action has not begun."""

_WANTED: Final = frozenset({Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.LEASE, Tag.LOG_FINDING})
_log: Final = logging.getLogger("answerable.logs")


class KeptLogs:
    """The logs that the settings name. Thread-safe: one batch, round or answer at a time."""

    def __init__(self, settings: Settings, blind: BlindKey) -> None:
        """blind: key of what this process keeps. Raises Malformed (`ledger.no_copy`), Broken, Unavailable."""
        self._file = settings.logs.standing
        self._silent_ms = settings.logs.silent_seconds * 1000
        offsets = self._file.with_suffix(".offsets")
        self._log, self._blind = FollowedFiles(settings.ledger.place, offsets, blind.place_check), blind
        self._standing = _stored(self._file, self._log.origin, blind)
        self._steps = StepIndex()
        self._recorded: set[str] = set()
        self._position = self._told = 0
        self._turn, self._news = threading.Lock(), threading.Event()
        self._is_closed = False
        self._failed = ""
        self._written = b""
        followed = followed_in(settings.logs, settings.data)
        self._keys = _keys_of(settings) if followed else None
        self._keys_seen = -1
        self._contents = RecordedContents(self._log.entry, self._find)
        self._accounts = FollowedAccounts(settings)
        self._logs = [self._follower(one) for one in followed]

    @property
    def is_needed(self) -> bool:
        """Whether any log is followed."""
        return bool(self._logs)

    def run(self) -> None:
        """Read until closed."""
        while not self._is_closed:
            more = False
            try:
                with self._turn:
                    more = not self._is_closed and self.look()
                self._failed = ""
            except Exception as failed:
                # Whatever a target wrote there: searches are answered by this process, too, and go on.
                is_known = isinstance(failed, AnswerableError | OSError)
                why = str(failed) if is_known else place_of(failed)
                if why != self._failed:
                    _log.error("the logs of targets are not read on: %s", why)
                self._failed = why
                self._news.wait(RETRY_SECONDS)
            if not more:
                self._news.wait(ROUND_SECONDS)
                self._news.clear()
            else:
                time.sleep(0)

    def close(self) -> None:
        """End the reading after its batch."""
        self._is_closed = True
        self._news.set()
        with self._turn:
            self._accounts.keep(self._logs, now=time.monotonic(), last=True)
            for one in self._logs:
                one.close()
            self._log.close()
            if self._keys is not None:
                self._keys.close()

    def told(self, question: LogsQuestion) -> LogsTold:
        """Answer how far the logs were read. Findings are told once the entries up to the question are known, so that
        none is told again that is recorded. Raises Unavailable, Broken as the ledger does."""
        now = _now()
        with self._turn:
            if not self._logs:
                nothing = LogsAnswer(items=(), entries=0, waiting=0)
                return LogsTold(logs=nothing, findings=(), accounts=())
            self._told = max(self._told, question.entries)
            give_up_at = time.monotonic() + CATCH_UP_SECONDS_MAX
            while self._position < self._told and time.monotonic() < give_up_at:
                self._take_entries()
            if self._position >= question.entries:
                self._steps.complete(now - DURABLE_MS)
                findings = tuple(self._standing.waiting.values())[: question.findings]
            else:
                findings = ()
            logs = logs_told(
                self._logs,
                self._standing,
                self._steps,
                position=self._position,
                missing=self._told - self._position,
                failed=self._failed,
                silent_ms=self._silent_ms,
                now=now,
            )
            answer = LogsTold(logs=logs, findings=findings, accounts=accounts_seen(self._logs))
        self._news.set()
        return answer

    def look(self) -> bool:
        """Take in a batch of entries, or of the logs. Return whether there is more at once."""
        if self._position < self._told:
            self._take_entries()
            return True
        if not self._told:
            return False
        self._forget_erased()
        more, now = False, _now()
        for one in self._logs:
            if len(self._standing.waiting) < WAITING_MAX:
                more |= one.look(self._steps, now=now, keep=partial(self._keep, one.standing))
        for target, standing in self._standing.targets.items():
            logs = [one for one in self._logs if target in one.followed.targets]
            if logs:
                find_phantoms(target, logs, standing, self._steps, partial(self._keep, logs[0].standing))
        self._store()
        self._accounts.keep(self._logs, now=time.monotonic())
        return more

    def _forget_erased(self) -> None:
        """Open nothing any more by keys that were destroyed, nor keep what was opened by them."""
        if self._keys is None or (version := self._keys.version()) == self._keys_seen:
            return
        self._keys.forget_destroyed(self._keys.ids())
        self._contents.forget()
        self._keys_seen = version

    def _take_entries(self) -> None:
        end = min(self._told, self._position + BATCH_ENTRIES)
        self._log.reach(end)
        for stored in self._log.replay(self._position):
            if stored.index >= end:
                break
            if stored.tag in _WANTED:
                leaf = leaf_of(stored)
                self._steps.take(stored.index, leaf)
                if stored.tag == Tag.LOG_FINDING:
                    name = str(leaf.get("finding"))
                    self._recorded.add(name)
                    self._standing.waiting.pop(name, None)
            self._position = stored.index + 1
        if len(self._steps) > STEPS_MAX:
            ends = sorted(max(one.until, one.life_until) for one in self._steps)
            self._steps.forget(ends[-STEPS_KEPT])

    def _keep(self, standing: LogStanding, found: Finding) -> bool:
        waiting = self._standing.waiting
        if found.id not in self._recorded and found.id not in waiting:
            if not standing.has_room(found, _now()):
                return False
            waiting[found.id] = found
        return True

    def _follower(self, followed: Followed) -> LogFollower:
        standing = self._standing.logs.setdefault(followed.name, LogStanding())
        for target in followed.targets:
            self._standing.targets.setdefault(target, TargetStanding())
        files = LogFiles(followed.kind, prefix=followed.prefix, zone=followed.zone)
        source: LogSource
        if followed.region:
            source = files.followed_bucket(partial(_bucket_client, followed), followed.path, standing.mark)
        elif followed.is_journal:
            source = files.followed_journal(followed.path, followed.units, standing.mark)
        else:
            source = files.followed(Path(followed.path), standing.mark)
        accounts, targets = self._accounts.of(standing), self._standing.targets
        return LogFollower(followed, source, standing, targets, self._contents.of, accounts)

    def _find(self, key_id: bytes) -> SubjectKey | None:
        return self._keys.find(key_id) if self._keys is not None else None

    def _store(self) -> None:
        content = msgspec.json.encode(self._standing)
        if content == self._written:
            return
        draft = self._file.with_name(f"{self._file.name}.new")
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"%b\n%b" % (_mark_of(content, self._blind), content))
            file.flush()
            os.fsync(descriptor)
        draft.replace(self._file)
        self._written = content


def _keys_of(settings: Settings) -> StoredSubjectKeys | None:
    """Return the subject keys, by which content is compared; None where there are none. Raises Unavailable."""
    database, root = own_keys(settings)
    return opened_keys(database, root)[0] if database.is_file() and root.is_file() else None


def _bucket_client(followed: Followed) -> Any:
    """Return botocore's client of S3. Raises OSError, and ValueError for a file that is not of the form of keys."""
    # Only a bucket needs it.
    from answerable.adapters.aws_sts.clients import AwsClients, AwsPlace, Keys

    keys = msgspec.json.decode(read_plain(Path(followed.keys), KEYS_BYTES_MAX), type=_BucketKeys)
    place = AwsPlace(region=followed.region, endpoint=followed.endpoint)
    known = Keys(access_key=keys.access_key, secret_key=keys.secret_key)
    return AwsClients(place).made("s3", known, answer_seconds_max=BUCKET_SECONDS_MAX)


class _BucketKeys(msgspec.Struct, forbid_unknown_fields=True):
    access_key: str
    secret_key: str


def _stored(file: Path, origin: str, blind: BlindKey) -> Standing:
    """Return what is stored of this ledger. Without it, or where it is damaged or written by others, every log is read
    from its beginning: what is recorded already is not recorded again."""
    try:
        mark, _, content = read_plain(file, STANDING_BYTES_MAX).partition(b"\n")
        if not hmac.compare_digest(mark, _mark_of(content, blind)):
            raise msgspec.ValidationError("this process did not write it")
        found = msgspec.json.decode(content, type=Standing)
    except FileNotFoundError:
        found = None
    except (msgspec.MsgspecError, RecursionError, OSError) as fault:
        _log.error("%s cannot be read, and logs are read from their beginning: %s", file, fault)
        found = None
    return found if found is not None and found.origin == origin else Standing(origin=origin)


def _mark_of(content: bytes, blind: BlindKey) -> bytes:
    """Return by what this process knows again what it wrote."""
    return blind.digest("target logs", sha256(content).hexdigest()).hex().encode()


def _now() -> int:
    return time.time_ns() // 1_000_000
