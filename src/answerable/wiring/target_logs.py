"""Read files of targets' logs, each by the reader of its kind, and the steps of a ledger to compare."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from answerable.adapters.log_readers import (
    CloudtrailLog,
    FollowedBucket,
    FollowedJournal,
    FollowedLogFile,
    JournaldLog,
    LinePrefix,
    LogParts,
    LogTimes,
    MariadbLog,
    NatsLog,
    NginxLog,
    OcsfLog,
    PostgresLog,
    RabbitmqLog,
    RedisLog,
    SshdLog,
    bounded_lines,
    journal_of,
    json_objects,
    names_of,
    offset_of,
)
from answerable.adapters.system import SystemClock
from answerable.core.attribution.step_index import StepIndex
from answerable.core.ledger.opened import leaf_of
from answerable.errors import shown
from answerable.errors.codes.attribution import ATTRIBUTE_ZONE
from answerable.errors.codes.services import CLI_FILE
from answerable.plain_file import open_plain
from answerable.wiring.ledger_copy import copied_entries
from answerable.wiring.recorded_contents import RecordedContents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import BufferedReader
    from pathlib import Path
    from typing import BinaryIO

    from answerable.adapters.log_readers import LineReader, ObjectReader
    from answerable.core.attribution.content import Recorded
    from answerable.core.attribution.followed import LogMark
    from answerable.core.attribution.log_line import LogKind, LogLine, UnreadLine
    from answerable.core.attribution.step import Step


def recorded_steps(directory: Path, *, complete_until: int = 0) -> StepIndex:
    """Return the steps of a ledger's directory, or a copy of one. complete_until: as in `StepIndex`. Raises as
    `copied_entries`."""
    leaves = ((stored.index, leaf_of(stored)) for stored in copied_entries(directory))
    return StepIndex(leaves, complete_until=complete_until)


@contextmanager
def opened_contents(directory: Path, keys: Path | None) -> Iterator[Callable[[Step], Recorded] | None]:
    """Yield what opens the content of the steps of a ledger's directory; None without keys. keys: a data directory, or
    a copy of one. Raises Malformed (`ledger.no_copy`, `search.keys`, `search.other_keys`), Broken, Unavailable."""
    if keys is None:
        yield None
        return
    # The store of keys is not needed otherwise.
    from answerable.wiring.ledger_search import opened_log

    with opened_log(directory, keys) as (log, find):
        yield RecordedContents(log.entry, find).of


_READERS: Final[Mapping[LogKind, Callable[[LogTimes], LineReader]]] = {
    "mariadb": MariadbLog,
    "sshd": SshdLog,
    "journald": JournaldLog,
    "rabbitmq": RabbitmqLog,
    "redis": RedisLog,
    "nats": NatsLog,
    "nginx": NginxLog,
}
_OBJECT_READERS: Final[Mapping[LogKind, Callable[[LogTimes], ObjectReader]]] = {
    "cloudtrail": CloudtrailLog,
    "ocsf": OcsfLog,
}
_GZIP: Final = b"\x1f\x8b"


class LogFiles:
    """Opens the files of one log, oldest first. prefix: PostgreSQL's `log_line_prefix`; empty for its other forms.
    zone: of times that name none; empty where it is not known. Raises Malformed (`attribute.prefix`,
    `attribute.zone`)."""

    def __init__(self, kind: LogKind, *, prefix: str = "", zone: str = "") -> None:
        # One for all files: a session may begin in one, and end in the next.
        self._kind = kind
        self._times, self._lines, self._objects = _readers(kind, prefix, zone)

    def followed(self, path: Path, mark: LogMark) -> FollowedLogFile:
        """Return a log that is read on from a mark as it grows. path: as in `FollowedLogFile`."""
        parts = LogParts(self._kind, self._times, self._lines, self._objects)
        return FollowedLogFile(path, parts, mark=mark)

    def followed_journal(self, path: str, units: tuple[str, ...], mark: LogMark) -> FollowedJournal:
        """Return a journal that is read on from a mark. path, units: as in `journal_of`, which raises ValueError."""
        parts = LogParts(self._kind, self._times, self._lines, self._objects)
        return FollowedJournal(journal_of(path, units), parts, mark=mark)

    def followed_bucket(self, connect: Callable[[], Any], path: str, mark: LogMark) -> FollowedBucket:
        """Return what is delivered to a bucket, from a mark on. connect: as in `FollowedBucket`."""
        bucket, prefix = names_of(path)
        reader = CloudtrailLog(self._times)
        return FollowedBucket(connect, bucket=bucket, prefix=prefix, reader=reader, mark=mark)

    @contextmanager
    def opened(self, path: Path) -> Iterator[Iterator[LogLine | UnreadLine]]:
        """Open a file, also one that gzip packed, and yield its lines. Raises Malformed (`cli.file`) where it cannot be
        opened or read."""
        try:
            # A pipe or a device may have no end.
            with open_plain(path) as file, _unpacked(cast("BufferedReader", file)) as plain:
                yield self.read(plain)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise CLI_FILE(
                f"cannot read {shown(path)}: it is not whole; unpack what is there with `gzip -dc`"
            ) from None
        except OSError as error:
            raise CLI_FILE(f"cannot read {shown(path)}: {(error.strerror or 'unknown').lower()}") from None

    def read(self, file: BinaryIO) -> Iterator[LogLine | UnreadLine]:
        """Yield the lines of an open file, as plain bytes. Raises OSError."""
        if self._objects is not None:
            return self._objects.read(json_objects(file))
        return self._lines.read(bounded_lines(file)) if self._lines is not None else iter(())


def _readers(
    kind: LogKind, prefix: str, zone: str
) -> tuple[LogTimes, LineReader | None, ObjectReader | None]:
    known_prefix = LinePrefix(prefix) if prefix else None
    offset = offset_of(zone)
    if zone and offset is None:
        raise ATTRIBUTE_ZONE(f"{shown(zone, 40)} is not a time zone: give an offset such as `+01:00`")
    times = LogTimes(zone=offset, now=SystemClock().now())
    if kind in _OBJECT_READERS:
        return times, None, _OBJECT_READERS[kind](times)
    return times, PostgresLog(times, known_prefix) if kind == "postgres" else _READERS[kind](times), None


def _unpacked(file: BufferedReader) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if file.peek(2)[:2] == _GZIP else file
