"""The logs of targets are followed beside a real ledger: nothing is skipped, and nothing recorded twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.attribution.finding_entry import log_finding
from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.search.blind import BlindKey
from answerable.ports.search_process import LogsQuestion, LogsTold
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import SUBJECT, log_key
from answerable.verify.leaf_rules import read_leaf
from answerable.wiring import kept_logs
from answerable.wiring.kept_logs import KeptLogs
from answerable.wiring.settings import parse_settings
from tests.worlds.ledger_files import SMALL

pytestmark = pytest.mark.anyio
BLIND = BlindKey(bytes(32))
LEASES = [lease_name(bytes([number]) * 16) for number in range(9)]
NOW = 1_800_000_000_000
SETTINGS = '[logs]\nfollow = ["db postgres pg.json account=shared"]\nsilent_seconds = 60\n'


class Lab:
    """A ledger, a log of PostgreSQL beside it, and a clock for both."""

    def __init__(self, root: Path, ledger: TlogFilesLedger) -> None:
        self.root, self.ledger, self.log = root, ledger, root / "pg.json"
        self.now = NOW
        settings, faults = parse_settings(SETTINGS.encode(), data=root)
        assert settings is not None, faults
        self.settings = settings

    async def acts(
        self, number: int, *, begun: int, session: str = "", ends: bool = True, sql: str = ""
    ) -> int:
        """A step at this second under a lease of its own, which took a second. sql: sealed."""
        at = NOW + begun * 1000
        intent: dict[str, JSONValue] = {
            "action": bytes([number]).hex() * 16,
            "agent": "scout",
            "mandate": "m-1",
        }
        intent |= {"lease": LEASES[number], "lease_target": "db", "deadline": at + 30_000}
        request = encode({"arguments": {"sql": sql}, "target": "query"})
        sealing = Sealing(key=SUBJECT, random=bytes)
        made = sealed_entry(
            Tag.INTENT, at=UnixMillis(at), members=intent, fields=[(b"request", request)], sealing=sealing
        )
        entry = await self.ledger.append(made)
        if ends:
            await self.ends(number, entry.index, ended=begun + 1, session=session)
        return entry.index

    async def ends(
        self, number: int, intent: int, *, ended: int, session: str, keys: dict[str, JSONValue] | None = None
    ) -> None:
        """keys: of a session at another kind of server than PostgreSQL."""
        at = UnixMillis(NOW + ended * 1000)
        known: dict[str, JSONValue] = keys or {"pg_session": session or f"a.{number}"}
        done: dict[str, JSONValue] = {"intent": intent, "status": "succeeded", "session": known}
        await self.ledger.append(sealed_entry(Tag.OUTCOME, at=at, members=done))
        lease: dict[str, JSONValue] = {"lease": LEASES[number], "account": account_of(LEASES[number])}
        await self.ledger.append(sealed_entry(Tag.LEASE, at=at, members={**lease, "ended_at": int(at)}))

    def writes(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.write("".join(f"{one}\n" for one in lines))

    @contextmanager
    def follower(self) -> Iterator[KeptLogs]:
        """One process that follows. It is closed as a process that was killed leaves it."""
        logs = KeptLogs(self.settings, BLIND)
        try:
            yield logs
        finally:
            logs.close()

    def told(self, logs: KeptLogs, rounds: int = 6) -> LogsTold:
        """What is told after some rounds."""
        for _ in range(rounds):
            logs.told(LogsQuestion(entries=self.ledger.size, findings=10))
            logs.look()
        return logs.told(LogsQuestion(entries=self.ledger.size, findings=10))

    async def records(self, told: LogsTold) -> None:
        """As the server records findings."""
        for found in told.findings:
            entry = log_finding(found, at=UnixMillis(self.now), sealing=Sealing(key=SUBJECT, random=bytes))
            assert read_leaf(entry.leaf), entry.leaf
            await self.ledger.append(entry)


def line(
    seconds: float,
    session: str,
    user: str = "alice",
    label: str = "",
    said: str = "SELECT a secret of somebody",
) -> str:
    when = datetime.fromtimestamp(NOW / 1000 + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    entry: dict[str, Any] = {"timestamp": f"{when} UTC", "user": user, "session_id": session}
    return json.dumps({**entry, "application_name": label, "message": said})


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    key, sign = log_key("followed.test")
    place = tmp_path / "ledger"
    async with TlogFilesLedger.open(place, key=key, sign=sign, clock=ManualClock(), settings=SMALL) as ledger:
        found = Lab(tmp_path, ledger)
        monkeypatch.setattr(kept_logs, "_now", lambda: found.now)
        yield found


def shown(told: LogsTold) -> list[tuple[str, str, str]]:
    return sorted((one.verdict, one.account, one.action[:2]) for one in told.findings)


@pytest.mark.requirement("FOLLOW-01", "FOLLOW-02", "ATTRIBUTE-06")
async def test_each_finding_is_told_until_it_is_recorded_and_never_again(lab: Lab) -> None:
    await lab.acts(1, begun=0)
    await lab.acts(2, begun=20)
    lab.writes(
        line(-10, "c.1"),
        line(0.5, "a.1", account_of(LEASES[1])),
        line(1, "b.9", account_of(LEASES[1])),
        line(1.2, "b.9", account_of(LEASES[1])),
        line(2, "c.2", "maria", bytes([1]).hex() * 16),
        line(3, "c.3", "shared"),
        line(60, "c.4"),
    )
    lab.now = NOW + 90_000
    ours = account_of(LEASES[1])
    expected = [
        ("bypass", ours, "01"),
        ("bypass", "shared", ""),
        ("forged", "maria", ""),
        ("phantom", account_of(LEASES[2]), "02"),
    ]
    with lab.follower() as logs:
        first = lab.told(logs)
        assert shown(first) == sorted(expected)
        (told,) = first.logs.items
        assert told.lines == {"bypass": 3, "forged": 1, "others": 2, "ours": 1, "phantom": 1}
        assert (told.state, told.read_to) == ("ok", lab.log.stat().st_size)
        assert [(one.name, one.count) for one in first.accounts] == [(ours, 3), ("shared", 1)]
        assert "secret" not in lab.settings.logs.standing.read_text()
        assert shown(lab.told(logs)) == sorted(expected)
        await lab.records(first._replace() if hasattr(first, "_replace") else first)
        assert not lab.told(logs).findings
    # A restart, one with an older standing, and one without any.
    standing = lab.settings.logs.standing
    kept = standing.read_bytes()
    beyond = [(b'"head_bytes":', b"9" * 20), (b'"tail_bytes":', b"9" * 12), (b'"offset":', b"-1")]
    written = kept.partition(b"\n")[2]
    odd = [written.replace(name, name + value + b',"_":', 1) for name, value in beyond]
    odd += [b"", b"{", b'{"x":' + b"[" * 100_000]
    marked = [b"%b\n%b" % (kept_logs._mark_of(one, BLIND), one) for one in odd]
    by_hand = [kept.replace(b'"bypass":3', b'"bypass":0'), written, b""]
    assert kept not in (*marked, *by_hand)
    for content in (kept, *marked, *by_hand, None):
        if content is None:
            standing.unlink()
        else:
            standing.write_bytes(content)
        with lab.follower() as logs:
            again = lab.told(logs)
            assert not again.findings, content
            assert again.logs.items[0].lines == told.lines
    leaves = [json.loads(one.leaf) for one in lab.ledger.replay() if one.tag == Tag.LOG_FINDING]
    assert "maria" not in str(leaves)
    assert {one["grade"] for one in leaves if "grade" in one} <= {"A", "B", "C", "D"}
    assert "SELECT" not in str(leaves)


@pytest.mark.requirement("FOLLOW-01")
async def test_a_line_waits_until_what_may_explain_it_is_recorded_and_has_ended(lab: Lab) -> None:
    intent = await lab.acts(1, begun=0, ends=False)
    lab.writes(
        line(0.5, "a.1", account_of(LEASES[1])), line(0.6, "b.9", account_of(LEASES[1])), line(9, "c.1")
    )
    lab.now = NOW + 20_000
    with lab.follower() as logs:
        waiting = lab.told(logs)
        assert (waiting.findings, waiting.logs.items[0].lines, waiting.logs.items[0].late_seconds) == (
            (),
            {},
            19,
        )
    await lab.ends(1, intent, ended=1, session="a.1")
    with lab.follower() as logs:
        done = lab.told(logs)
        assert shown(done) == [("bypass", account_of(LEASES[1]), "01")]
        assert done.logs.items[0].lines == {"bypass": 1, "others": 1, "ours": 1}
    # What is newer than the record is waited for, too.
    lab.writes(line(19.9, "d.1", account_of(LEASES[2])))
    with lab.follower() as logs:
        assert len(lab.told(logs).findings) == 1
        await lab.acts(2, begun=19, session="d.1")
        lab.now = NOW + 40_000
        assert lab.told(logs).logs.items[0].lines["ours"] == 2


@pytest.mark.requirement("FOLLOW-03", "FOLLOW-01")
async def test_a_target_whose_clock_or_zone_is_ahead_hides_no_bypass_and_that_is_told(lab: Lab) -> None:
    await lab.acts(1, begun=0)
    await lab.acts(2, begun=5)
    ours = account_of(LEASES[1])
    lab.writes(
        line(3600.5, "a.1", ours),
        line(3601, "b.9", ours),
        line(3602, "c.3", "shared"),
        line(3602, "a.2", account_of(LEASES[2])),
        line(3603, "c.1"),
    )
    lab.now = NOW + 20_000
    with lab.follower() as logs:
        assert not lab.told(logs).findings, "what explains it may be recorded yet"
        lab.now = NOW + 25_000
        told = lab.told(logs)
        assert shown(told) == [("bypass", ours, "01"), ("bypass", "shared", "")]
        (log,) = told.logs.items
        assert log.lines == {"ahead": 5, "bypass": 2, "others": 1, "ours": 2}
        assert (log.state, log.last_line_at) == ("fault", None)
        assert "3583 s ahead of our clock" in log.reason
        lab.writes(line(19, "c.2"))
        assert lab.told(logs).logs.items[0].state == "ok"
        # What is recorded later may explain it: it waits, as others do.
        lab.writes(line(3619.5, "a.3", account_of(LEASES[3])))
        lab.now = NOW + 26_000
        assert lab.told(logs).logs.items[0].lines["ours"] == 2
        await lab.acts(3, begun=24)
        lab.now = NOW + 40_000
        assert lab.told(logs).logs.items[0].lines == {"ahead": 6, "bypass": 2, "others": 2, "ours": 3}


@pytest.mark.requirement("FOLLOW-03")
async def test_silence_is_told_with_the_actions_since_and_a_log_that_cannot_be_read_is_a_fault(
    lab: Lab,
) -> None:
    lab.writes(line(-10, "c.1"))
    for number in range(1, 4):
        await lab.acts(number, begun=number)
    lab.now = NOW + 30_000
    with lab.follower() as logs:
        assert lab.told(logs).logs.items[0].state == "ok"
        lab.now = NOW + 300_000
        (silent,) = lab.told(logs).logs.items
        assert (silent.state, silent.actions_since) == ("silent", 3)
        assert "while 3 actions ran at db" in silent.reason
        assert not lab.told(logs).findings, "what the log does not cover is no phantom"
        # A line whose clock is far ahead does not say that the log has come as far as that.
        lab.writes(line(90_000_000, "c.9"))
        assert (lab.told(logs).logs.items[0].state, lab.told(logs).findings) == ("silent", ())
        lab.writes(line(299, "c.2"))
        lab.now = NOW + 305_000
        assert lab.told(logs).logs.items[0].state == "ok"
        assert [one.verdict for one in lab.told(logs).findings] == ["phantom"] * 3
        lab.log.unlink()
        assert lab.told(logs).logs.items[0].reason == "there is no such file"
        for place, why in ((Path("/dev/zero"), "plain file"), (Path("/"), "plain file")):
            lab.log.symlink_to(place)
            assert why in lab.told(logs).logs.items[0].reason
            lab.log.unlink()


@pytest.mark.requirement("FOLLOW-03")
@pytest.mark.parametrize("fault", [OSError(28, "no space left"), TypeError("secret of somebody")])
async def test_a_fault_while_logs_are_read_is_told_and_reading_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    await lab.acts(1, begun=0)
    lab.writes(line(0.5, "c.1"))
    look, faults, reached = KeptLogs.look, [fault], anyio.Event()
    told: list[str] = []
    question = LogsQuestion(entries=lab.ledger.size, findings=10)

    def looks(logs: KeptLogs) -> bool:
        """The first time there is a fault, and the second time it is known."""
        if faults:
            raise faults.pop()
        told.append(logs._failed)
        more = look(logs)
        from_thread.run_sync(reached.set)
        return more

    monkeypatch.setattr(KeptLogs, "look", looks)
    with lab.follower() as logs:
        logs.told(question)
        async with anyio.create_task_group() as beside:
            beside.start_soon(to_thread.run_sync, logs.run)
            with anyio.fail_after(60):
                await reached.wait()
            await to_thread.run_sync(logs.close)
        assert logs.told(question).logs.items[0].lines == {"others": 1}
    assert told[0] == str(fault) if isinstance(fault, OSError) else "`TypeError` in line" in told[0]
    assert "secret" not in told[0]


@pytest.mark.requirement("FOLLOW-01")
async def test_what_is_no_file_in_the_place_of_the_standing_ends_nothing(lab: Lab) -> None:
    lab.settings.logs.standing.mkdir()
    with lab.follower() as logs:
        assert logs.is_needed


@pytest.mark.requirement("FOLLOW-02")
async def test_nobody_fills_the_ledger_by_the_log_of_a_target(lab: Lab) -> None:
    await lab.acts(1, begun=0)
    lab.writes(*(line(9, f"e.{number:x}", "shared") for number in range(300)))
    lab.now = NOW + 60_000
    with lab.follower() as logs:
        told = lab.told(logs)
        while told.findings:
            await lab.records(told)
            told = lab.told(logs, 1)
        assert told.logs.items[0].lines == {"bypass": 300, "unrecorded": 200}
    assert len([one for one in lab.ledger.replay() if one.tag == Tag.LOG_FINDING]) == 100


@pytest.mark.requirement("FOLLOW-01")
async def test_steps_past_what_fits_are_forgotten_and_lines_of_their_time_only_counted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "STEPS_MAX", 4)
    monkeypatch.setattr(kept_logs, "STEPS_KEPT", 2)
    for number in range(1, 8):
        await lab.acts(number, begun=number * 100)
    lab.writes(line(100.5, "a.1", account_of(LEASES[1])), line(700.5, "a.7", account_of(LEASES[7])))
    lab.now = NOW + 900_000
    with lab.follower() as logs:
        told = lab.told(logs).logs.items[0]
        assert told.lines == {"early": 1, "ours": 1, "phantom": 1}, told
