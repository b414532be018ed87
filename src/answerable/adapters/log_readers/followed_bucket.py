"""Follow the log files that AWS CloudTrail delivers to a bucket of S3, or of a server that speaks as it does.

Laws: each file is given once and whole, whenever it arrives within LATE_DAYS of the newest that is known, of every
account and region below the prefix; a file that a restart finds half judged is given again; nothing is waited for, as
files are fetched in a thread of their own.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import zlib
from collections import deque
from datetime import UTC, datetime, timedelta
from gzip import GzipFile
from hashlib import sha256
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from answerable.adapters.log_readers.json_objects import json_objects
from answerable.core.attribution.followed import BEGIN, OBJECTS_MAX, LogMark
from answerable.core.attribution.log_line import UnreadLine
from answerable.ports.followed_log import LogChunk, LogRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.adapters.log_readers.json_objects import JsonObject
    from answerable.adapters.log_readers.part_reader import ObjectReader
    from answerable.ports.followed_log import Trouble

LATE_DAYS: Final = 2
"""How many days after newer ones a file may arrive. CloudTrail delivers within the hour, and says so of no file."""
LOOK_SECONDS: Final = 60.0
"""How often the bucket is listed."""
FETCHED_MAX: Final = 4
"""Files that are fetched and not taken."""
OBJECT_BYTES_MAX: Final = 67_108_864
"""Size of a file, packed and unpacked; what is longer is broken."""
RECORDS_MAX: Final = 500_000
ROOTS_MAX: Final = 10_000
"""Accounts and regions of one bucket."""
_FILE: Final = re.compile(r"[^/]+\.json(?:\.gz)?")
"""Within the folder of a day."""
_STAMP: Final = re.compile(r"_(\d{8}T\d{4,6}Z)_[^/]*$")
_DELIVERED: Final = "/CloudTrail/"
_BELOW: Final = re.compile(r"(?:o-[a-z0-9]{1,32}/)?(?:\d{1,12}/(?:CloudTrail/(?:[a-z0-9-]{1,32}/)?)?)?")
"""Organisation, account, and region, below `AWSLogs/`."""
DEPTH_MAX: Final = 8
_DIGEST_CHARS: Final = 24
_log: Final = logging.getLogger("answerable.logs")
_GONE: Final = frozenset(("NoSuchBucket", "404"))


class _Fetched(NamedTuple):
    """A file. name: by which it is known. content: None where it is too long."""

    name: str
    content: bytes | None


class FollowedBucket:
    """Implements ports.followed_log.LogSource. connect: returns botocore's client of S3, and raises OSError or
    ValueError where its keys cannot be read. prefix: of the keys, up to `AWSLogs/` or below. look_seconds: how
    often the bucket is listed; 0 for each time that nothing is left."""

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        bucket: str,
        prefix: str,
        reader: ObjectReader,
        mark: LogMark = BEGIN,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._connect, self._bucket, self._prefix, self._reader = connect, bucket, prefix, reader
        self._client: Any = None
        self._look_seconds = look_seconds
        self._objects = dict.fromkeys(mark.objects)
        self._known = set(mark.objects)
        self._fetched: deque[_Fetched] = deque()
        self._trouble: Trouble = ""
        self._news, self._ends = threading.Condition(), False
        self._thread: threading.Thread | None = None
        self._now = 0

    def close(self) -> None:
        with self._news:
            self._ends = True
            self._news.notify_all()

    def read_on(self, *, now: int) -> LogChunk:
        """Return the records of the next file that was fetched."""
        with self._news:
            self._now = now
            if self._thread is None:
                self._thread = threading.Thread(target=self._fetch, daemon=True)
                self._thread.start()
            found = self._fetched.popleft() if self._fetched else None
            self._news.notify_all()
            if found is None:
                return LogChunk(trouble=self._trouble)
        return self._chunk(found)

    def _chunk(self, found: _Fetched) -> LogChunk:
        base = LogMark(objects=tuple(self._objects))
        self._objects[found.name] = None
        oldest = _day_before(max(self._objects)[:8])
        for one in [one for one in self._objects if one[:8] < oldest]:
            del self._objects[one]
        while len(self._objects) > OBJECTS_MAX:
            del self._objects[next(iter(self._objects))]
        after = LogMark(objects=tuple(self._objects))
        records, octets = _records(found.content, self._reader)
        return LogChunk(records=records, octets=octets, base=base, after=after, is_end=False)

    # --- in the thread ---------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        from botocore.exceptions import ClientError

        newest = max((one[:8] for one in self._known), default=f"{self._today():%Y%m%d}")
        while not self._ends:
            trouble: Trouble = ""
            try:
                self._client = self._client or self._connect()
                for name, key, size in self._listed(newest):
                    newest = max(newest, name[:8])
                    if not self._give(name, self._content(key, size)):
                        return
            except ClientError as error:
                trouble = (
                    "no bucket" if error.response.get("Error", {}).get("Code") in _GONE else "unreadable"
                )
                # Perhaps its keys were changed.
                self._client = None
            except Exception as failed:
                # Whatever the server or its network did: without this thread, nothing is read on.
                trouble = "no keys" if self._client is None else "unreadable"
                if trouble != self._trouble:
                    _log.warning("the bucket %s cannot be read: %s", self._bucket, type(failed).__name__)
            oldest = _day_before(newest)
            self._known = {one for one in self._known if one[:8] >= oldest}
            with self._news:
                self._trouble = trouble
                self._news.wait_for(lambda: self._ends, self._look_seconds or 0.05)

    def _give(self, name: str, content: bytes | None) -> bool:
        """Hand a file over. Return whether another one is wanted."""
        with self._news:
            self._news.wait_for(lambda: self._ends or len(self._fetched) < FETCHED_MAX)
            if not self._ends:
                self._fetched.append(_Fetched(name, content))
                self._known.add(name)
            return not self._ends

    def _listed(self, newest: str) -> Iterator[tuple[str, str, int]]:
        """Yield the files that are not known, oldest first: name, key and size."""
        day = datetime.strptime(_day_before(newest), "%Y%m%d").replace(tzinfo=UTC)
        days = [day + timedelta(days=number) for number in range((self._today() - day).days + 2)]
        roots = [*islice(self._roots(self._prefix), ROOTS_MAX)]
        for one in days:
            found = []
            for root in roots:
                folder = f"{root}{one:%Y/%m/%d}/"
                for key, size in self._keys(folder):
                    if _FILE.fullmatch(key.removeprefix(folder)):
                        digest = sha256(key.encode()).hexdigest()[:_DIGEST_CHARS]
                        name, stamp = f"{one:%Y%m%d}{digest}", _STAMP.search(key)
                        found.append((stamp[1] if stamp else "", key, name, size))
            yield from ((name, key, size) for _, key, name, size in sorted(found) if name not in self._known)

    def _today(self) -> datetime:
        return datetime.fromtimestamp(self._now / 1000, UTC)

    def _roots(self, prefix: str) -> Iterator[str]:
        """Yield the folder of each account and region."""
        if _parent(prefix).endswith(_DELIVERED):
            yield prefix
            return
        for page in self._pages(Prefix=prefix, Delimiter="/"):
            for one in page.get("CommonPrefixes", ()):
                folder = str(one["Prefix"])
                if _leads_on(folder):
                    yield from self._roots(folder)

    def _keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        for page in self._pages(Prefix=prefix):
            for one in page.get("Contents", ()):
                yield str(one["Key"]), int(one["Size"])

    def _pages(self, **asked: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = self._client.list_objects_v2(Bucket=self._bucket, **asked, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _content(self, key: str, size: int) -> bytes | None:
        if size > OBJECT_BYTES_MAX:
            return None
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        return bytes(body.read(OBJECT_BYTES_MAX))


def _parent(folder: str) -> str:
    return folder[: folder.rstrip("/").rfind("/") + 1]


def _leads_on(folder: str) -> bool:
    """Whether files of CloudTrail may be below: other services deliver beside it."""
    before, found, below = folder.rpartition("AWSLogs/")
    if not found:
        return folder.count("/") <= DEPTH_MAX
    return before.count("/") <= DEPTH_MAX and bool(_BELOW.fullmatch(below))


def _records(content: bytes | None, reader: ObjectReader) -> tuple[list[LogRecord], bytes]:
    """Return the records of a file, each as JSON with sorted members: so it is the same however it was delivered."""
    plain = _plain(content)
    if plain is None:
        return [LogRecord(UnreadLine(1, "broken"), 0, 0, 1)], b""
    records, pieces, at = list[LogRecord](), list[bytes](), 0

    def passed() -> Iterator[JsonObject]:
        """One at a time: as values, a file takes a hundred times its size."""
        for one in islice(json_objects(BytesIO(plain)), RECORDS_MAX):
            pieces.append(_encoded(one.value) if one.value is not None else b"")
            yield one

    for number, line in enumerate(reader.read(passed()), start=1):
        size = len(pieces[number - 1])
        records.append(LogRecord(line, at, at + size, number))
        at += size
    if len(records) == RECORDS_MAX:
        records.append(LogRecord(UnreadLine(RECORDS_MAX + 1, "broken"), at, at, RECORDS_MAX + 1))
    # A file without any record is passed over as one.
    return records or [LogRecord(None, 0, 0, 1)], b"".join(pieces)


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can have as an escape.
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _plain(content: bytes | None) -> bytes | None:
    """Return a file as it was before it was packed; None where it is not whole, or too long."""
    if content is None or not content.startswith(b"\x1f\x8b"):
        return content
    try:
        plain = GzipFile(fileobj=BytesIO(content)).read(OBJECT_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error):
        return None
    return plain if len(plain) <= OBJECT_BYTES_MAX else None


def _day_before(day: str) -> str:
    """Return the first day whose files may still arrive when there are files of this day."""
    first = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) - timedelta(days=LATE_DAYS)
    return first.strftime("%Y%m%d")


def names_of(path: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://BUCKET/PREFIX`. Raises ValueError for any other text."""
    bucket, _, prefix = path.removeprefix("s3://").partition("/")
    if not path.startswith("s3://") or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        raise ValueError("expected s3://BUCKET/PREFIX")
    return bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
