"""A log that says nothing of any step is not told as one in which all is well."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.canonical import JSONValue
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.ledger import log_key
from tests.worlds.ledger_files import SMALL

pytestmark = pytest.mark.requirement("ATTRIBUTE-04", "ATTRIBUTE-08")

LEASE = lease_name(bytes(16))
OWN = {"user": account_of(LEASE), "session_id": "a.1"}


async def recorded(place: Path) -> None:
    """One step at `db`, under a lease of its own, that succeeded."""
    key, sign = log_key("attributed.test")
    ledger = TlogFilesLedger.open(place, key=key, sign=sign, clock=ManualClock(), settings=SMALL)
    async with ledger:
        intent: dict[str, JSONValue] = {"action": bytes(16).hex(), "agent": "scout", "lease": LEASE}
        intent |= {"lease_target": "db", "deadline": START}
        begun = await ledger.append(sealed_entry(Tag.INTENT, at=START, members=intent))
        ended: dict[str, JSONValue] = {
            "intent": begun.index,
            "status": "succeeded",
            "session": {"pg_session": "a.1"},
        }
        await ledger.append(sealed_entry(Tag.OUTCOME, at=START + 1_000, members=ended))
        lease: dict[str, JSONValue] = {
            "lease": LEASE,
            "account": account_of(LEASE),
            "ended_at": START + 1_000,
        }
        await ledger.append(sealed_entry(Tag.LEASE, at=START + 1_000, members=lease))
        ledger.seal()


def line(seconds: int, **more: str) -> str:
    when = datetime.fromtimestamp(START / 1000 + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.000 UTC")
    entry = {"timestamp": when, "user": "alice", "session_id": "b.1", "message": "", **more}
    return json.dumps(entry)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("attributed")
    asyncio.run(recorded(found / "ledger"))
    return found


def told(place: Path, lines: list[str], *more: str, code: int) -> subprocess.CompletedProcess[str]:
    log = place / "pg.json"
    log.write_text("".join(f"{one}\n" for one in lines))
    words = ("attribute", str(log), "--kind", "postgres", "--ledger", str(place / "ledger"), *more)
    done = subprocess.run(
        [sys.executable, "-m", "answerable", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_log_without_any_line_of_a_lease_is_compared_with_nothing_and_says_so(place: Path) -> None:
    around = [line(-60), line(60)]
    bare = told(place, around, code=6)
    assert "phantom  0: steps that the log does not say, of 0 compared\n" in bare.stdout
    assert "no line is of a recorded step, and 1 succeeded in the time of this log, at `db`" in bare.stderr
    assert json.loads(told(place, around, "--json", code=6).stdout)["elsewhere"] == {"db": 1}
    named = told(place, around, "--target", "db", code=5)
    assert "phantom  1: steps that the log does not say, of 1 compared\n" in named.stdout
    # Nothing was recorded in the time of the log, so nothing is missing.
    told(place, [line(-60), line(-50)], code=0)
    whole = told(place, [line(-60), line(0, **OWN), line(60)], code=0)
    assert re.search(
        "^phantom +0: steps that the log does not say, of 1 compared$", whole.stdout, re.MULTILINE
    )


def test_a_log_that_covers_no_step_of_its_target_and_one_without_lines_are_not_all_well(place: Path) -> None:
    bare = told(place, [], "--target", "db", code=6)
    assert "nothing was read: this log has no lines" in bare.stderr
    told(place, [], code=6)
    early = told(place, [line(-60), line(-50)], "--target", "db", code=6)
    assert "1 succeeded at `db`, and this log does not cover the time of any" in early.stderr


def test_a_log_whose_times_are_not_understood_is_not_all_well_without_the_lines_of_a_step(
    place: Path,
) -> None:
    def of_zone(seconds: int, **more: str) -> str:
        return line(seconds, **more).replace(" UTC", " CET")

    around = [of_zone(-60), of_zone(60)]
    for more in ((), ("--target", "db")):
        done = told(place, around, *more, code=6)
        assert "no line has a time that is understood, so no phantom can be told" in done.stderr
    told(place, around, "--target", "db", "--zone", "+00:00", code=5)
    told(place, [*around, of_zone(0, user=OWN["user"], session_id="x.9")], code=5)


@pytest.mark.requirement("ATTRIBUTE-10")
def test_a_line_of_any_time_ends_nothing_and_one_in_a_log_of_another_target_is_none_of_ours(
    place: Path,
) -> None:
    strange = [line(0, **OWN), line(0, **OWN | {"timestamp": "9999-12-31 23:59:59.999 -14"}), line(60)]
    done = told(place, strange, code=6)
    assert "1 line not read: broken (2)" in done.stderr
    log = place / "nats.json"
    event = {"type": "io.nats.server.advisory.v1.client_connect", "timestamp": "2026-01-01T00:00:00Z"}
    log.write_text(json.dumps(event | {"client": {"id": 1, "name_tag": OWN["user"]}}) + "\n")
    words = ("attribute", str(log), "--kind", "nats", "--ledger", str(place / "ledger"), "--csv")
    other = subprocess.run(
        [sys.executable, "-m", "answerable", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert other.returncode == 5, other.stderr
    assert "the account was made at target `db`, whose log this is not" in other.stdout


def test_an_account_without_a_name_and_a_time_ahead_of_the_clock_are_errors(place: Path) -> None:
    nobody = told(place, [line(0)], "--account", "db", "--account", "", code=2)
    assert "--account has no name" in nobody.stderr
    ahead = told(place, [line(0)], "--complete", "2130-01-01T00:00:00Z", code=2)
    assert "`2130-01-01T00:00:00Z` is ahead of the clock" in ahead.stderr


@pytest.mark.requirement("ATTRIBUTE-07")
def test_a_mark_of_the_order_of_bytes_at_the_begin_of_a_file_is_passed_over(place: Path) -> None:
    told(place, [f"\ufeff{line(-60)}", line(0, **OWN), line(60)], "--target", "db", code=0)
    log = place / "packed.gz"
    log.write_bytes(gzip.compress(f"\ufeff{line(0, **OWN)}\n".encode()))
    words = ("attribute", str(log), "--kind", "postgres", "--ledger", str(place / "ledger"), "--json")
    packed = subprocess.run(
        [sys.executable, "-m", "answerable", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert json.loads(packed.stdout)["counts"] == [{"verdict": "ours", "grade": "B", "lines": 1}]


def test_a_target_that_the_ledger_does_not_have_is_an_error(place: Path) -> None:
    refused = told(place, [line(-60), line(60)], "--target", "nosuch", code=1)
    assert "no recorded step is at target `nosuch`: there are steps at `db`" in refused.stderr


def test_lines_that_cannot_be_read_are_told_by_their_numbers_and_by_the_exit_code(place: Path) -> None:
    lines = [line(-60), "{", line(0, **OWN), *["broken"] * 6, line(60)]
    done = told(place, lines, code=6)
    assert "pg.json: 7 lines not read: broken (2, 4, 5, 6, 7, …)" in done.stderr
    (file,) = json.loads(told(place, lines, "--json", code=6).stdout)["files"]
    assert file["first_unread"] == {"broken": [2, 4, 5, 6, 7]}
