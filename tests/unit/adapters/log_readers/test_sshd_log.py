"""sshd's log, of syslog and of its own file."""

from __future__ import annotations

import io
from datetime import UTC

import msgspec
import pytest

from answerable.adapters.log_readers import LogTimes, SshdLog, bounded_lines
from answerable.adapters.log_readers import sshd as sshd_module
from answerable.core.attribution.log_line import LogLine, UnreadLine

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_150_148_000
CERTIFICATE = "ssh2: ED25519-CERT SHA256:abc ID ans_x (serial 77) CA ED25519 SHA256:def"
KEYS = (
    ("ssh_serial", "77"), ("ssh_ca", "SHA256:def"), ("ssh_key", "SHA256:abc"), ("ssh_client_port", "40000"),
    ("ssh_login", "deploy"),
)  # fmt: skip
ON_WEB1 = (*KEYS, ("ssh_host", "web1"))
FROM = "127.0.0.1 port 40000"


def read(*lines: str) -> list[LogLine | UnreadLine]:
    text = "".join(f"{one}\n" for one in lines)
    return [*SshdLog(LogTimes(zone=UTC, now=AT)).read(bounded_lines(io.BytesIO(text.encode())))]


def accepted(login: str = "deploy", how: str = "publickey", key: str = f": {CERTIFICATE[6:]}") -> str:
    return f"Accepted {how} for {login} from 127.0.0.1 port 40000 ssh2{key}"


def test_a_certificate_names_its_key_its_serial_its_authority_and_the_login() -> None:
    ours = LogLine(1, AT, "ans_x", ON_WEB1, "", "deploy", origin=f"web1[12] {FROM}")
    assert read(f"Dec  1 18:35:48 web1 sshd[12]: {accepted()}") == [ours]
    assert read(f"2026-12-01T18:35:48.000000+00:00 web1 sshd-session[12]: {accepted()}") == [ours]
    assert read(f"<86>Dec  1 18:35:48 web1 sshd[12]: {accepted()}") == [ours]
    assert read(accepted()) == [LogLine(1, 0, "ans_x", KEYS, "", "deploy", origin=f"[] {FROM}")]
    (bare,) = read(f"Dec  1 18:35:48 web1 sshd: {accepted()}")
    assert bare == msgspec.structs.replace(ours, origin=f"web1[] {FROM}")


def test_other_ways_in_name_the_login() -> None:
    other = LogLine(1, 0, "bob", origin=f"[] {FROM}")
    assert read(accepted("bob", "password", "")) == [other]
    assert read(accepted("bob", "publickey", ": ED25519 SHA256:abc")) == [other]


def test_what_a_session_says_later_is_of_it_and_what_a_stranger_says_is_nobodys() -> None:
    found = read(
        f"Dec  1 18:35:47 web1 sshd[12]: {accepted()}",
        "Dec  1 18:35:48 web1 sshd[12]: Disconnected from user deploy 127.0.0.1 port 40000",
        "Dec  1 18:35:48 web1 sshd[12]: Failed password for invalid user ans_x from 127.0.0.1 port 1 ssh2",
        "Dec  1 18:35:48 web1 sshd[13]: Disconnected from user deploy 127.0.0.1 port 40000",
        "Dec  1 18:35:48 web1 sshd[13]: Invalid user Accepted publickey for deploy from 127.0.0.1 port 1 ssh2",
        "Dec  1 18:35:48 web1 su[12]: Disconnected from user deploy",
    )
    session = LogLine(2, AT, "ans_x", ON_WEB1, "", "deploy", origin=f"web1[12] {FROM}")
    assert found[1:] == [session, *(LogLine(number, AT, "") for number in (3, 4, 5))]


def test_an_empty_line_is_broken_and_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("") == [UnreadLine(1, "broken")]
    monkeypatch.setattr(sshd_module, "SESSIONS_MAX", 1)
    found = read(
        f"Dec  1 18:35:48 web1 sshd[1]: {accepted()}",
        f"Dec  1 18:35:48 web1 sshd[2]: {accepted()}",
        "Dec  1 18:35:48 web1 sshd[1]: Close session: user deploy",
        "Dec  1 18:35:48 web1 sshd[2]: Close session: user deploy",
    )
    assert [one.account for one in found if isinstance(one, LogLine)] == ["ans_x", "ans_x", "", "ans_x"]
