"""No bytes in a log end a reader, and what is passed over is counted."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pytest

from answerable.adapters.log_readers import (
    JournaldLog,
    LinePrefix,
    LogTimes,
    MariadbLog,
    NatsLog,
    PostgresLog,
    RabbitmqLog,
    RedisLog,
    SshdLog,
    bounded_lines,
)
from answerable.core.attribution.log_line import LogLine
from tests.unit.adapters.log_readers.test_journald_log import entry
from tests.unit.adapters.log_readers.test_mariadb_log import record
from tests.unit.adapters.log_readers.test_nats_log import authenticated, event
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
READERS: dict[str, tuple[Callable[[], Any], str]] = {
    "postgres stderr": (lambda: PostgresLog(TIMES, LinePrefix(PREFIX)), in_text("ans_x", "psql")),
    "postgres csvlog": (lambda: PostgresLog(TIMES, None), in_csv("ans_x", "psql")),
    "postgres jsonlog": (lambda: PostgresLog(TIMES, None), in_json("ans_x", "psql")),
    "mariadb": (lambda: MariadbLog(TIMES), record("ans_x") + "\n"),
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
}


@pytest.mark.parametrize("name", READERS)
def test_no_bytes_end_a_reader(name: str) -> None:
    made, sample = READERS[name]
    chance = random.Random(name)
    good = sample.encode()
    changed = []
    for _ in range(CHANGES):
        start, length = chance.randrange(len(good)), chance.choice((0, 1, 5, 40))
        changed.append(good[:start] + chance.choice(PIECES) + good[start + length :])
    for _ in made().read(bounded_lines(io.BytesIO(b'{"a":' + b"[" * 100_000))):
        pass
    for one in (*changed, b"".join([good, *changed]), b"\xff" * 200_000, b"\n" * 100):
        for _ in made().read(bounded_lines(io.BytesIO(one), bytes_max=4_096)):
            pass
    first, *_ = made().read(bounded_lines(io.BytesIO(b"".join([good, *changed]))))
    assert isinstance(first, LogLine)
    assert first.account == "ans_x"
