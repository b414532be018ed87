"""Lines of followed logs without a time that is understood are judged once the record has come as far."""

from __future__ import annotations

import dataclasses

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.lease.name import account_of
from tests.unit.wiring.test_kept_logs import LEASES, Lab, lab, line, shown

__all__ = ("lab",)
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FOLLOW-01", "FOLLOW-03")]
OWN = [account_of(one) for one in LEASES]


def follows(lab: Lab, words: str) -> None:
    lab.settings = dataclasses.replace(
        lab.settings, logs=dataclasses.replace(lab.settings.logs, follow=(words,))
    )


async def test_lines_of_a_zone_that_is_not_understood_wait_for_the_record_and_are_told_as_a_fault(
    lab: Lab,
) -> None:
    def written(seconds: float, session: str, user: str) -> str:
        return line(seconds, session, user).replace(" UTC", " CET")

    lab.writes(written(0.5, "a.1", OWN[1]), written(1, "a.2", OWN[2]), written(1, "c.1", "alice"))
    lab.now += 2_000
    with lab.follower() as logs:
        assert not lab.told(logs).findings, "what explains them may be recorded yet"
        intent = await lab.acts(1, begun=0, ends=False)
        await lab.acts(2, begun=1)
        lab.now += 60_000
        waiting = lab.told(logs)
        assert (waiting.findings, waiting.logs.items[0].lines) == ((), {}), (
            "an action that may explain it is open"
        )
        assert waiting.logs.items[0].late_seconds == 60
        await lab.ends(1, intent, ended=3, session="a.1")
        lab.writes(written(50, "b.9", OWN[2]))
        assert not lab.told(logs).findings
        lab.now += 3_000
        told = lab.told(logs)
        assert shown(told) == [("bypass", OWN[2], "02")]
    # Long after the last line, and in another process.
    lab.now += 300_000
    with lab.follower() as logs:
        (log,) = lab.told(logs).logs.items
        assert log.lines == {"bypass": 1, "others": 1, "ours": 2, "untimed": 4}
        assert (log.state, log.last_line_at) == ("fault", None)
        assert "times of its lines are not understood" in log.reason
        assert "log_timezone = 'UTC'" in log.reason
        lab.writes(line(360, "c.2"))
        lab.now += 10_000
        assert lab.told(logs).logs.items[0].state == "ok"


@pytest.mark.parametrize(
    ("kind", "text", "session"),
    [
        (
            "redis",
            "1:M 15 Jan 2027 09:00:00.100 - Client closed connection id=7 addr=127.0.0.1:7 laddr=127.0.0.1:6379 "
            "name= user={} age=1",
            {"redis_client": "id=7 addr=127.0.0.1:7"},
        ),
        (
            "nats",
            '[1] 2027/01/15 09:00:00.100000 [DBG] 127.0.0.1:7 - cid:7 - Authenticated JWT: Client "U{:A<55}" '
            '(claim-name: "{}", claim-tags: [])',
            {},
        ),
        (
            "sshd",
            "Jan 15 09:00:00 web1 sshd[7]: Accepted publickey for deploy from 127.0.0.1 port 7 ssh2: "
            "ED25519-CERT SHA256:k ID {} (serial 7) CA ED25519 SHA256:c",
            {"ssh_serial": "7"},
        ),
    ],
)
async def test_without_zone_no_line_of_a_kind_whose_times_name_none_is_judged_too_early(
    lab: Lab, kind: str, text: str, session: dict[str, JSONValue]
) -> None:
    follows(lab, f"db {kind} pg.json")
    lab.writes(text.replace("{:A<55}", "A" * 55).format(OWN[1]))
    lab.now += 2_000
    with lab.follower() as logs:
        assert not lab.told(logs).findings
        intent = await lab.acts(1, begun=0, ends=False)
        await lab.ends(1, intent, ended=2, session="", keys=session or {"nats_client": "server=N cid=7"})
        lab.now += 300_000
        told = lab.told(logs)
        (log,) = told.logs.items
        assert (told.findings, log.lines.get("untimed"), log.lines.get("bypass")) == ((), 1, None)
        assert log.state == "fault"
        assert "give zone=" in log.reason
        assert "log_timezone" not in log.reason


async def test_a_log_without_times_is_no_fault_for_that_and_is_silent_where_no_line_comes(lab: Lab) -> None:
    follows(lab, "db sshd pg.json")
    await lab.acts(1, begun=0)
    lab.writes("Connection closed by 127.0.0.1 port 7", "Server listening on 0.0.0.0 port 22.")
    lab.now += 300_000
    with lab.follower() as logs:
        lab.told(logs)
        lab.now += 1_000
        (log,) = lab.told(logs).logs.items
        assert (log.state, log.lines) == ("ok", {"others": 2, "untimed": 2})
        await lab.acts(2, begun=400)
        lab.now += 300_000
        (log,) = lab.told(logs).logs.items
        assert (log.state, log.actions_since) == ("silent", 1)


async def test_findings_of_lines_without_a_time_are_bounded_by_the_hour_in_which_they_are_read(
    lab: Lab,
) -> None:
    follows(lab, "db postgres pg.json account=shared")
    with lab.follower() as logs:
        for hour in range(2):
            lab.writes(
                *(line(9, f"e.{hour}{number}", "shared").replace(" UTC", " CET") for number in range(101))
            )
            lab.now += 3_600_000
            lab.told(logs)
            lab.now += 1_000
            told = lab.told(logs)
            while told.findings:
                await lab.records(told)
                told = lab.told(logs, 1)
            assert told.logs.items[0].lines["unrecorded"] == hour + 1
