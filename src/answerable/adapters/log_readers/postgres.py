"""Read PostgreSQL's log: standard error, csvlog or jsonlog, told apart by the first line.

Laws: session and account come from what the server writes before anything a client chose; a record that is too long is
read up to there and still has both; a continuation is of the line before it, and its text is not read.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.log_readers.log_times import epoch_ms
from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes
    from answerable.adapters.log_readers.postgres_prefix import LinePrefix

    _Form = Callable[[Iterable[BoundedLine]], Iterator[LogLine | UnreadLine]]

SESSION: Final = "pg_session"
_FULL: Final = "53300"
_FULL_WORDS: Final = ("too many connections", "remaining connection slots are reserved")
_UNKNOWN: Final = "[unknown]"
_COLUMNS: Final = ("log_time", "user", "database", "pid", "from", "session", "line")
_LABEL_COLUMN, _BACKEND_COLUMN, _STATE_COLUMN, _MESSAGE_COLUMN = 22, 23, 12, 13
_STATEMENT: Final = re.compile(r"(?:statement|execute [^:\s]{1,160}): ")
_AUDITED: Final = "AUDIT: SESSION,"
_AUDIT_CLASS, _AUDIT_STATEMENT, _AUDIT_ROWS = 3, 7, 9
"""Columns of pgAudit; it writes rows where `pgaudit.log_rows` is on."""
_RECORD_CHARS_MAX: Final = 131_072
"""As many as the csv module takes in one field."""
_CSV_START: Final = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,"]{1,10},("|,|[0-9])')
_CSV_HEAD: Final = re.compile(
    r'([^,"]{1,40}),(?:"((?:[^"]|"")*)")?,(?:"(?:[^"]|"")*")?,\d*,(?:"[^"]*")?,([0-9a-f]+\.[0-9a-f]+),'
)
_JSON_HEAD: Final = re.compile(
    r'\{"timestamp":"([^"]{1,40})"(?:,"user":"((?:[^"\\]|\\.)*)")?(?:,"dbname":"(?:[^"\\]|\\.)*")?'
    r'(?:,"pid":\d+)?(?:,"remote_host":"(?:[^"\\]|\\.)*")?(?:,"remote_port":\d+)?'
    r',"session_id":"([0-9a-f]+\.[0-9a-f]+)"'
)
_PARALLEL: Final = "parallel worker"


class _Record(msgspec.Struct, gc=False):
    timestamp: str
    user: str = ""
    session_id: str = ""
    state_code: str = ""
    application_name: str = ""
    backend_type: str = ""
    message: str = ""


class PostgresLog:
    """prefix: of a log on standard error; None where there is none, and then only the other two forms are read."""

    def __init__(self, times: LogTimes, prefix: LinePrefix | None) -> None:
        self._times = times
        self._prefix = prefix
        self._json = msgspec.json.Decoder(_Record)
        self._form: _Form | None = None
        self._after_broken = False

    def begin(self, first: str) -> None:
        """Take the form of a file from its first line, for what is read of it in parts from here on."""
        self._form, self._after_broken = self._form_of(first), False

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each record of the log."""
        lines = iter(lines)
        first = next(lines, None)
        if first is None:
            return
        if self._form is None:
            self._after_broken = False
        read = self._form or self._form_of(first.text)
        yield from read(_with_first(first, lines))

    def _form_of(self, first: str) -> _Form:
        if first.startswith("{"):
            return self._from_json
        return self._from_csv if self._prefix is None or _CSV_START.match(first) else self._from_text

    def has_open_text(self) -> bool:
        """Whether a record of this form may be of several lines that belong together: then it ends where its quotes are
        closed."""
        return self._form == self._from_csv

    def _line(
        self,
        number: int,
        time: str,
        user: str,
        session: str,
        label: str,
        *,
        backend: str = "",
        is_full: bool = False,
        content: tuple[Said, ...] = (),
    ) -> LogLine:
        # A parallel worker has a session id of its own, which no client could have told.
        keys = ((SESSION, session),) if session and backend != _PARALLEL else ()
        return LogLine(
            number,
            self._times.stamped(time),
            "" if user == _UNKNOWN else user,
            keys,
            "" if label == _UNKNOWN else label,
            "",
            is_full,
            content,
        )

    # --- standard error --------------------------------------------------------------------------------------

    def _from_text(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        prefix = self._prefix
        assert prefix is not None  # noqa: S101 - asked by `read`
        for number, text, _, _ in lines:
            if text.startswith("\t") or not text:
                continue
            was_broken, self._after_broken = self._after_broken, False
            found = prefix.match(text)
            if found is None:
                self._after_broken = True
                yield UnreadLine(number, "broken")
                continue
            if was_broken:
                # A user's name that holds an end of a line breaks one line and begins the next.
                yield UnreadLine(number, "ambiguous")
                continue
            fields = found.groupdict("")
            other = prefix.other(text)
            label = fields.get("a", "")
            if other != fields:
                # A label alone is nobody's word but the client's.
                if {**other, "a": label} != {**fields, "a": label}:
                    yield UnreadLine(number, "ambiguous")
                    continue
                label = ""
            is_full = fields.get("e") == _FULL or text.startswith(_FULL_WORDS, found.end())
            line = self._line(
                number,
                fields.get("m") or fields.get("t", ""),
                fields["u"],
                # What has no account may be the rest of a name that somebody chose who did not get in.
                fields.get("c", "") if fields["u"] not in ("", _UNKNOWN) else "",
                label,
                backend=fields.get("b", ""),
                is_full=is_full,
                content=_content(text[found.end() :], is_begin=True),
            )
            yield msgspec.structs.replace(line, at=epoch_ms(fields["n"])) if fields.get("n") else line

    # --- csvlog ----------------------------------------------------------------------------------------------

    def _from_csv(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        for number, record, is_cut in _csv_records(lines):
            row: list[str] = []
            if not is_cut:
                try:
                    row = next(csv.reader((record,), strict=True), [])
                except csv.Error:
                    row = []
            if len(row) > _LABEL_COLUMN:
                yield self._line(
                    number,
                    row[0],
                    row[1],
                    row[5],
                    row[_LABEL_COLUMN],
                    backend=row[_BACKEND_COLUMN] if len(row) > _BACKEND_COLUMN else "",
                    is_full=row[_STATE_COLUMN] == _FULL,
                    content=_content(row[_MESSAGE_COLUMN]),
                )
                continue
            head = _CSV_HEAD.match(record)
            if head is None:
                yield UnreadLine(number, "broken")
            else:
                yield self._line(
                    number, head[1], (head[2] or "").replace('""', '"'), head[3], "", content=_CUT
                )

    # --- jsonlog ---------------------------------------------------------------------------------------------

    def _from_json(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        for number, text, _, _ in lines:
            try:
                one = self._json.decode(text)
            except (msgspec.MsgspecError, RecursionError, UnicodeError):
                yield self._from_json_head(number, text)
                continue
            yield self._line(
                number,
                one.timestamp,
                one.user,
                one.session_id,
                one.application_name,
                backend=one.backend_type,
                is_full=one.state_code == _FULL,
                content=_content(one.message),
            )

    def _from_json_head(self, number: int, text: str) -> LogLine | UnreadLine:
        head = _JSON_HEAD.match(text)
        if head is None:
            return UnreadLine(number, "broken")
        try:
            user = msgspec.json.decode(f'"{head[2] or ""}"', type=str)
        except msgspec.MsgspecError:
            return UnreadLine(number, "broken")
        return self._line(number, head[1], user, head[3], "", content=_CUT)


_CUT: Final = (Said("statement", (), "cut"),)


def _content(message: str, *, is_begin: bool = False) -> tuple[Said, ...]:
    """Return the statement of a message, and how many rows it had. is_begin: it may go on in other lines."""
    found = _STATEMENT.match(message)
    if found is not None:
        return (Said("statement", (message[found.end() :],), "begin" if is_begin else "all"),)
    if not message.startswith(_AUDITED):
        return ()
    try:
        row = next(csv.reader((message,), strict=True), [])
    except csv.Error:
        return _CUT
    if len(row) <= _AUDIT_STATEMENT:
        return _CUT
    if row[_AUDIT_CLASS] == "MISC":
        # The ends of transactions are of this class, and it may be logged without the statements between them.
        return ()
    statement = Said("statement", (row[_AUDIT_STATEMENT],))
    rows = row[_AUDIT_ROWS] if len(row) > _AUDIT_ROWS else ""
    return (statement, Said("rows", (rows,))) if rows.isdecimal() else (statement,)


def _with_first(first: BoundedLine, lines: Iterator[BoundedLine]) -> Iterator[BoundedLine]:
    yield first
    yield from lines


def _csv_records(lines: Iterable[BoundedLine]) -> Iterator[tuple[int, str, bool]]:
    """Yield of each record the number of its first line, the text, and whether it is cut. A record ends where its
    quotes are closed, also in what was passed over, so that no statement can end it."""
    pieces: list[str] = []
    start = size = 0
    is_open = is_cut = False
    for number, text, line_cut, quotes in lines:
        if not is_open:
            start = number
        if size < _RECORD_CHARS_MAX:
            pieces.append(text)
        size += len(text) + 1
        is_cut = is_cut or line_cut or size > _RECORD_CHARS_MAX
        is_open ^= (text.count('"') + quotes) % 2 == 1
        if not is_open:
            yield start, "\n".join(pieces), is_cut
            pieces, size, is_cut = [], 0, False
    if pieces:
        yield start, "\n".join(pieces), True
