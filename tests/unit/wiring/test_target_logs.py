"""Files of logs, each by the reader of its kind."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from answerable.core.attribution.log_line import LOG_KINDS, LogKind, LogLine
from answerable.errors import Malformed
from answerable.wiring.target_logs import LogFiles
from tests.unit.adapters.log_readers.test_cloudtrail_log import caller, record
from tests.unit.adapters.log_readers.test_nats_log import ID, authenticated, event, said
from tests.unit.adapters.log_readers.test_nginx_log import in_json
from tests.unit.adapters.log_readers.test_ocsf_log import of_aws
from tests.unit.adapters.log_readers.test_postgres_log import PREFIX, in_text
from tests.unit.adapters.log_readers.test_rabbitmq_log import GRANTED, PLACE, TIME
from tests.unit.adapters.log_readers.test_redis_log import closed
from tests.unit.adapters.log_readers.test_sshd_log import accepted

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

ENTRY = {"__REALTIME_TIMESTAMP": "1", "SYSLOG_IDENTIFIER": "sshd", "_UID": "0", "MESSAGE": accepted()}
LINES: dict[LogKind, str] = {
    "postgres": in_text("ans_x", ""),
    "mariadb": "20261201 18:35:48,db1,ans_x,127.0.0.1,7,9,QUERY,shop,'SELECT 1',0\n",
    "sshd": f"{accepted()}\n",
    "journald": f"{json.dumps(ENTRY)}\n",
    "redis": closed("ans_x") + "\n",
    "cloudtrail": json.dumps({"Records": [record(caller("ans_x"))]}),
    "ocsf": json.dumps(of_aws("ans_x")),
    "nginx": in_json() + "\n",
    "nats": event("ans_x") + "\n",
    "rabbitmq": f"{TIME} [info] <0.1.0> connection {PLACE}: user 'ans_x' {GRANTED}\n",
}


@pytest.mark.parametrize("kind", LOG_KINDS)
def test_a_file_is_read_by_the_reader_of_its_kind(tmp_path: Path, kind: LogKind) -> None:
    file = tmp_path / "log"
    file.write_text(LINES[kind])
    with LogFiles(kind, prefix=PREFIX).opened(file) as lines:
        (line,) = lines
    assert isinstance(line, LogLine)
    assert line.account == ("" if kind == "nginx" else "ans_x")
    assert line.keys


def test_rotated_files_are_one_log_also_where_they_are_packed(tmp_path: Path) -> None:
    older, newer = tmp_path / "nats.log.1.gz", tmp_path / "nats.log"
    older.write_bytes(gzip.compress(f"{ID}\n{authenticated('ans_x')}\n".encode()))
    newer.write_text(said("Client connection closed: Client Closed") + "\n")
    files, found = LogFiles("nats", zone="+00:00"), []
    for path in (older, newer):
        with files.opened(path) as lines:
            found += [one for one in lines if isinstance(one, LogLine)]
    assert [one.account for one in found] == ["", "ans_x", "ans_x"]
    assert found[1].keys == found[2].keys != ()


def test_a_packed_file_that_is_not_whole_is_said_to_be_so(tmp_path: Path) -> None:
    packed = gzip.compress(b"x\n" * 5_000)
    for octets in (
        packed[:-4],
        packed[:20],
        packed[:12] + b"\xff" * 9 + packed[21:],
        packed[:-8] + b"\0" * 8,
    ):
        (tmp_path / "log").write_bytes(octets)
        with pytest.raises(Malformed, match="not whole"), LogFiles("redis").opened(tmp_path / "log") as lines:
            list(lines)


@pytest.mark.parametrize("zone", ["CET", "+1", "+25:00", "+01:99"])
def test_a_zone_is_an_offset(zone: str) -> None:
    with pytest.raises(Malformed, match="not a time zone"):
        LogFiles("sshd", zone=zone)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(Malformed, match="cannot read"), LogFiles("sshd").opened(path) as lines:
            list(lines)


@pytest.mark.requirement("ATTRIBUTE-11")
def test_what_has_no_end_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(Malformed) as refused, LogFiles("postgres").opened(path):
            raise AssertionError(path)
        assert refused.value.code == "cli.file"
