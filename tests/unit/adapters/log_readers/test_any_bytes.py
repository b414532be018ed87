"""No bytes in a log end a reader, and what is passed over is counted."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from answerable.adapters.log_readers import (
    CloudtrailLog,
    JournaldLog,
    LinePrefix,
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
    json_objects,
)
from answerable.core.attribution.log_line import LogLine, UnreadLine
from tests.unit.adapters.log_readers.test_cloudtrail_log import caller, record
from tests.unit.adapters.log_readers.test_journald_log import entry
from tests.unit.adapters.log_readers.test_mariadb_log import record as in_audit
from tests.unit.adapters.log_readers.test_nats_log import authenticated, event
from tests.unit.adapters.log_readers.test_nginx_log import combined
from tests.unit.adapters.log_readers.test_nginx_log import in_json as in_nginx
from tests.unit.adapters.log_readers.test_ocsf_log import of_aws
from tests.unit.adapters.log_readers.test_postgres_log import PREFIX, in_csv, in_json, in_text
from tests.unit.adapters.log_readers.test_rabbitmq_log import GRANTED, PLACE, TIME
from tests.unit.adapters.log_readers.test_redis_log import closed, refusal
from tests.unit.adapters.log_readers.test_sshd_log import accepted

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

TIMES = LogTimes(zone=None, now=1_796_000_000_000)
CHANGES = 300
PIECES = (
    b"",
    b"\n",
    b'"',
    b"'",
    b",",
    b"|",
    b"\\",
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"[" * 2_000,
    b"9" * 400,
    b"\xc3\x28",
)
LINES: dict[str, tuple[Callable[[], Any], str]] = {
    "postgres stderr": (lambda: PostgresLog(TIMES, LinePrefix(PREFIX)), in_text("ans_x", "psql")),
    "postgres csvlog": (lambda: PostgresLog(TIMES, None), in_csv("ans_x", "psql")),
    "postgres jsonlog": (lambda: PostgresLog(TIMES, None), in_json("ans_x", "psql")),
    "mariadb": (lambda: MariadbLog(TIMES), in_audit("ans_x") + "\n"),
    "sshd": (lambda: SshdLog(TIMES), f"Dec  1 18:35:48 web1 sshd[12]: {accepted()}\n"),
    "journald": (lambda: JournaldLog(TIMES), entry(accepted()) + "\n"),
    "redis": (lambda: RedisLog(TIMES), closed("ans_x") + "\n"),
    "redis refusals": (lambda: RedisLog(TIMES), refusal("ans_x") + "\n"),
    "nats": (lambda: NatsLog(TIMES), authenticated("ans_x") + "\n"),
    "nats events": (lambda: NatsLog(TIMES), event("ans_x") + "\n"),
    "rabbitmq": (
        lambda: RabbitmqLog(TIMES),
        f"{TIME} [info] <0.1.0> connection {PLACE} - app: user 'ans_x' {GRANTED}\n",
    ),
    "nginx": (lambda: NginxLog(TIMES), in_nginx(user="ans_x") + "\n"),
    "nginx combined": (lambda: NginxLog(TIMES), combined(user="ans_x") + "\n"),
}
OBJECTS: dict[str, tuple[Callable[[], Any], str]] = {
    "cloudtrail": (lambda: CloudtrailLog(TIMES), json.dumps(record(caller("ans_x"))) + "\n"),
    "ocsf": (lambda: OcsfLog(TIMES), json.dumps(of_aws("ans_x")) + "\n"),
}


@pytest.mark.parametrize("name", [*LINES, *OBJECTS])
def test_no_bytes_end_a_reader(name: str) -> None:
    made, sample = {**LINES, **OBJECTS}[name]

    def read(octets: bytes) -> Iterator[LogLine | UnreadLine]:
        file = io.BytesIO(octets)
        if name in LINES:
            return made().read(bounded_lines(file, bytes_max=4_096))
        return made().read(json_objects(file, chars_max=4_096, read_bytes=1_024))

    chance = random.Random(name)
    good = sample.encode()
    changed = []
    for _ in range(CHANGES):
        start, length = chance.randrange(len(good)), chance.choice((0, 1, 5, 40))
        changed.append(good[:start] + chance.choice(PIECES) + good[start + length :])
    whole = b"".join([good, *changed])
    for one in (*changed, whole, b"\xff" * 200_000, b"\n" * 100, b'{"a":' + b"[" * 100_000):
        for _ in read(one):
            pass
    first, *_ = read(whole)
    assert isinstance(first, LogLine)
    assert "ans_x" in (first.account, first.login)
