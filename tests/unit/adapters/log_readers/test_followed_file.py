"""A log is read on through rotation, truncation and restarts: each line once and whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from answerable.core.attribution.followed import BEGIN, LogMark
from answerable.core.attribution.log_line import LogLine
from answerable.ports.followed_log import Trouble
from answerable.wiring.target_logs import LogFiles

pytestmark = pytest.mark.requirement("FOLLOW-04")


def line(number: int, **more: str) -> str:
    entry = {
        "timestamp": f"2026-12-02 00:00:{number % 60:02}.000 UTC",
        "user": "u",
        "session_id": f"a.{number:x}",
    }
    return json.dumps({**entry, "message": "x" * 100, **more}, separators=(",", ":")) + "\n"


def test_a_mark_of_the_order_of_bytes_at_the_begin_is_passed_over(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.path.write_text("\ufeff" + line(1))
    log.restart()
    assert log.read() == [1]
    log.writes(2)
    log.restart()
    assert log.read() == [2]


class Log:
    """A followed log in a folder of its own. mark: behind what was read."""

    def __init__(self, root: Path, name: str = "pg.json") -> None:
        self.path, self.mark = root / name, BEGIN
        self.is_gap, self.trouble = False, ""
        self.restart()

    def restart(self, mark: LogMark | None = None) -> None:
        self.source = LogFiles("postgres").followed(self.path, self.mark if mark is None else mark)

    def read(self, rounds: int = 6) -> list[int]:
        """The numbers of the lines that come, and whether some may be missing before them."""
        found: list[int] = []
        self.is_gap = False
        for _ in range(rounds):
            chunk = self.source.read_on(now=0)
            self.is_gap = self.is_gap or chunk.is_gap
            self.trouble = chunk.trouble
            for record in chunk.records:
                assert isinstance(record.line, LogLine), record
                found.append(int(record.line.keys[0][1].removeprefix("a."), 16))
                self.mark = chunk.mark_after(record)
        return found

    def writes(self, *numbers: int, to: Path | None = None) -> None:
        with (to or self.path).open("a") as file:
            file.write("".join(map(line, numbers)))

    def rotates(self, name: str) -> Path:
        return self.path.rename(self.path.with_name(name))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    found = Log(tmp_path)
    found.writes(*range(5))
    assert found.read() == [0, 1, 2, 3, 4]
    return found


def test_half_a_line_is_read_once_it_is_whole(log: Log) -> None:
    half, rest = line(5)[:60], line(5)[60:]
    with log.path.open("a") as file:
        file.write(half)
    assert log.read() == []
    log.restart()
    assert log.read() == []
    with log.path.open("a") as file:
        file.write(rest + line(6)[:9])
    assert log.read() == [5]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_rotated_file_is_read_to_its_end_before_the_next(log: Log, *, restarts: bool) -> None:
    log.writes(5)
    old = log.rotates("pg.json.1")
    log.writes(6, to=old)
    if restarts:
        log.restart()
    assert (log.read(), log.is_gap) == ([5, 6], False)
    log.writes(7, 8)
    assert (log.read(), log.is_gap) == ([7, 8], False)
    log.rotates("pg.json.2")
    log.writes(9)
    older, newer = os.stat(log.path.with_name("pg.json.2")), os.stat(log.path)
    os.utime(log.path, ns=(newer.st_atime_ns, older.st_mtime_ns + 1))
    if restarts:
        log.restart()
    assert (log.read(), log.is_gap) == ([9], False)


def test_what_was_rotated_twice_while_nobody_read_is_read_in_order(log: Log) -> None:
    for name, number in (("pg.json.2", 5), ("pg.json.1", 6)):
        log.writes(number)
        os.utime(log.rotates(name), ns=(0, number))
    log.writes(7)
    log.restart()
    assert (log.read(12), log.is_gap) == ([5, 6, 7], False)


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    log = Log(tmp_path, "pg[1].json")
    log.writes(1)
    assert log.read() == [1]
    for name, number in (("pg[1].json.2", 2), ("pg[1].json.1", 3)):
        log.writes(number)
        os.utime(log.rotates(name), ns=(0, number))
    log.writes(4)
    assert (log.read(12), log.is_gap) == ([2, 3, 4], False)


@pytest.mark.parametrize("name", ["pg.json.1", "pg.json-20261202", "pg.json.2026-12-02T05:00", "pg.json.old"])
def test_what_only_begins_like_the_log_is_another(log: Log, name: str) -> None:
    old = log.rotates(name)
    for number, (other, lines) in enumerate(
        (("pg.json.slow", [66]), ("pg.json2x", [67]), ("pg.json", [7])), 1
    ):
        place = log.path.with_name(other)
        log.writes(*lines, to=place)
        os.utime(place, ns=(0, os.stat(old).st_mtime_ns + number))
    assert (log.read(12), log.is_gap) == ([7], False)


def test_a_file_of_a_new_name_each_time_is_followed_by_its_pattern(tmp_path: Path) -> None:
    log = Log(tmp_path, "pg-*.json")
    for day in range(1, 4):
        log.writes(day, to=tmp_path / f"pg-{day}.json")
        os.utime(tmp_path / f"pg-{day}.json", ns=(0, day))
        assert (log.read(), log.is_gap) == ([day], False)


def test_truncation_and_a_lost_file_are_told_as_a_gap(log: Log) -> None:
    os.truncate(log.path, 0)
    log.writes(5)
    assert (log.read(), log.is_gap) == ([5], True)
    log.writes(6)
    assert (log.read(), log.is_gap) == ([6], False)
    # It was truncated, and has grown past the mark since.
    os.truncate(log.path, 0)
    log.writes(*range(7, 12))
    assert (log.read(), log.is_gap) == ([7, 8, 9, 10, 11], True)
    log.source.close()
    log.path.unlink()
    log.writes(12)
    log.restart()
    assert (log.read(), log.is_gap) == ([12], True)


def test_a_copy_that_is_put_back_is_not_read_again(log: Log) -> None:
    old = log.path.read_bytes()
    log.writes(5)
    assert log.read() == [5]
    copy = log.path.with_name("copy")
    copy.write_bytes(old)
    copy.rename(log.path)
    assert log.read() == []
    log.writes(6)
    assert log.read() == [6]
    copy.write_bytes(log.path.read_bytes())
    copy.rename(log.path)
    log.writes(7)
    log.restart()
    assert (log.read(), log.is_gap) == ([7], False)


def test_what_is_no_file_is_never_waited_for(log: Log) -> None:
    troubles: list[Trouble | str] = []
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path), None):
        (
            log.path.unlink
            if log.path.is_file() or log.path.is_symlink() or log.path.is_fifo()
            else log.path.rmdir
        )()
        if make is not None:
            make(log.path)
        log.restart()
        assert log.read() == []
        troubles.append(log.trouble)
        if make is None:
            break
    assert troubles == ["no file", "no file", "no file", "missing"]


def test_records_of_several_lines_stay_whole_and_long_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "pg.csv"
    row = (
        '2026-12-02 00:00:0{0}.000 UTC,"u","d",1,"h:1",a.{0},1,"x","2026",1/1,0,LOG,00000,'
        '"one\n{{line}}\nmore",,,,,,,,,"app","client"\n'
    )
    first, second = row.format(1), row.format(2)
    path.write_text(first + second[:-20])
    source = LogFiles("postgres").followed(path, BEGIN)
    assert [_session(one.line) for one in source.read_on(now=0).records] == ["a.1"]
    with path.open("a") as file:
        file.write(second[-20:])
    assert [_session(one.line) for one in source.read_on(now=0).records] == ["a.2"]
    plain = Log(tmp_path, "long.json")
    with plain.path.open("w") as file:
        file.write(line(1, message="y" * 3_000_000) + line(2))
    assert plain.read(9) == [1, 2]


def _session(found: object) -> str:
    assert isinstance(found, LogLine)
    return found.keys[0][1]
