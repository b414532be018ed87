"""Each session past the broker is a finding of its own, also where its kind of log names sessions by a process only."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from tests.unit.wiring.test_kept_logs import NOW, Lab, lab

__all__ = ("lab",)
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FOLLOW-02")]
CERTIFICATE = ": ED25519-CERT SHA256:k ID stolen (serial 7) CA ED25519 SHA256:c"


def said(kind: str, process: int, text: str) -> str:
    if kind == "sshd":
        return f"{datetime.fromtimestamp(NOW / 1000, UTC).isoformat()} web1 sshd[{process}]: {text}"
    entry = {"__REALTIME_TIMESTAMP": str(NOW * 1000), "SYSLOG_IDENTIFIER": "sshd", "_UID": "0"}
    return json.dumps({**entry, "_PID": str(process), "_HOSTNAME": "web1", "MESSAGE": text})


@pytest.mark.parametrize("kind", ["sshd", "journald"])
@pytest.mark.parametrize("key", ["", CERTIFICATE])
async def test_each_session_of_sshd_is_a_finding_of_its_own_and_its_lines_are_one(
    lab: Lab, kind: str, key: str
) -> None:
    followed = dataclasses.replace(lab.settings.logs, follow=(f"web1 {kind} log account=deploy",))
    lab.settings = dataclasses.replace(lab.settings, logs=followed)
    lab.log = lab.root / "log"
    # A client may choose its port, and the server gives a process again: together they tell a session.
    for process, port in ((11, 40_001), (12, 40_002), (13, 40_001), (11, 40_003)):
        begun = f"Accepted publickey for deploy from 192.0.2.7 port {port} ssh2{key}"
        lab.writes(said(kind, process, begun), said(kind, process, "Starting session: command for deploy"))
    await lab.acts(1, begun=0)
    lab.now += 60_000
    with lab.follower() as logs:
        told = lab.told(logs)
        assert told.logs.items[0].lines == {"bypass": 8}
        assert len(told.findings) == 4
        await lab.records(told)
    lab.settings.logs.standing.unlink()
    with lab.follower() as logs:
        assert not lab.told(logs).findings, "read again from the beginning"
