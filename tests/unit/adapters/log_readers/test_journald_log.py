"""What journald has of sshd."""

from __future__ import annotations

import io
import json

import pytest
from msgspec import structs

from answerable.adapters.log_readers import JournaldLog, LogTimes, bounded_lines
from answerable.core.attribution.log_line import LogLine, UnreadLine
from tests.unit.adapters.log_readers.test_sshd_log import AT, FROM, ON_WEB1, accepted

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")


def entry(message: object, **more: object) -> str:
    known = {"__REALTIME_TIMESTAMP": str(AT * 1000), "SYSLOG_IDENTIFIER": "sshd", "_PID": "12", "_UID": "0"}
    known["_HOSTNAME"] = "web1"
    return json.dumps({**known, "MESSAGE": message, **more})


def read(*lines: str) -> list[LogLine | UnreadLine]:
    text = "".join(f"{one}\n" for one in lines)
    return [*JournaldLog(LogTimes(zone=None, now=AT)).read(bounded_lines(io.BytesIO(text.encode())))]


def test_a_session_is_told_with_its_time_and_what_it_says_later_is_of_it() -> None:
    ours = LogLine(1, AT, "ans_x", ON_WEB1, "", "deploy", origin=f"web1[12] {FROM}")
    later = structs.replace(ours, number=2)
    assert read(entry(accepted()), entry("Disconnected from user deploy")) == [ours, later]
    assert read(entry(accepted(), SYSLOG_IDENTIFIER="sshd-session")) == [ours]


def test_what_a_user_logs_under_the_name_of_sshd_is_passed_over() -> None:
    assert read(entry(accepted(), _UID="1000"), entry(accepted(), SYSLOG_IDENTIFIER="su")) == []


@pytest.mark.parametrize("name", [[255, 254], ["sshd", "sshd"], {"sshd": [1]}, None, 1])
def test_a_name_that_is_no_text_is_not_that_of_sshd(name: object) -> None:
    assert read(entry(accepted(), SYSLOG_IDENTIFIER=name)) == []


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", "{}", entry([65, 66]), entry(accepted(), __REALTIME_TIMESTAMP="x")]
)
def test_what_is_no_entry_is_counted(line: str) -> None:
    assert read(line) == [UnreadLine(1, "broken")]
