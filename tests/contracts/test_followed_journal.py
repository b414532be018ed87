"""A journal of journald is followed as Debian's journalctl prints it: each entry once, and what is missing is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from answerable.adapters.log_readers import FollowedJournal, Journal, JournaldLog, LogParts, LogTimes
from answerable.adapters.log_readers import followed_journal as module
from answerable.core.attribution.followed import BEGIN, LogMark
from answerable.core.attribution.log_line import LogLine
from answerable.core.lease.name import account_of
from answerable.ports.followed_log import LogChunk
from answerable.ports.search_process import LogsTold
from answerable.wiring.kept_logs import KeptLogs
from answerable.wiring.log_settings import followed_in
from answerable.wiring.settings import parse_settings
from tests.probes.loud_skips import not_proven
from tests.stand_ins.journal_files import JournalFiles
from tests.unit.wiring.test_kept_logs import LEASES, NOW, Lab, lab, shown

__all__ = ["lab"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FOLLOW-10")]
WAIT_SECONDS_MAX = 30
OWN_JOURNAL = Path("/var/log/journal")
APART = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs tmpfs {OWN_JOURNAL} && "$@"', "sh")
SESSION = {"ssh_serial": "77", "ssh_ca": "SHA256:def", "ssh_key": "SHA256:abc", "ssh_client_port": "40000"}
T = TypeVar("T")


@pytest.fixture
def journal(tmp_path: Path) -> JournalFiles:
    return JournalFiles(tmp_path / "journal", now=NOW)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once, and nothing waits to be taken for sound."""
    monkeypatch.setattr(module, "STEADY_SECONDS", 0.1)


def until(look: Callable[[], T], is_done: Callable[[T], bool]) -> T:
    ends = time.monotonic() + WAIT_SECONDS_MAX
    while not is_done(found := look()):
        assert time.monotonic() < ends, found
        time.sleep(0.02)
    return found


def came_in(login: str) -> str:
    return f"Accepted password for {login} from 192.0.2.7 port 40000 ssh2"


def leased(account: str) -> str:
    key = f"ED25519-CERT SHA256:abc ID {account} (serial 77) CA ED25519 SHA256:def"
    return f"Accepted publickey for deploy from 192.0.2.7 port 40000 ssh2: {key}"


def source(journal: JournalFiles, mark: LogMark = BEGIN, *units: str) -> FollowedJournal:
    times = LogTimes(zone=None, now=NOW)
    parts = LogParts("journald", times, JournaldLog(times))
    return FollowedJournal(Journal(journal.directory, units), parts, mark=mark, retry_seconds=0.05)


class Taken:
    """What a source gives: who each line is of, with its digest, and how often something may be missing."""

    def __init__(self, of: FollowedJournal) -> None:
        self._of = of
        self.accounts, self.digests = list[str](), list[str]()
        self.gaps, self.mark, self.last = 0, BEGIN, LogChunk()

    def look(self) -> list[str]:
        chunk = self.last = self._of.read_on(now=NOW)
        self.gaps += chunk.is_gap
        for one in chunk.records:
            if one.line is not None:
                self.accounts.append(one.line.account if isinstance(one.line, LogLine) else one.line.why)
                self.digests.append(chunk.digest(one))
            self.mark = chunk.mark_after(one)
        return self.accounts

    def all(self, *accounts: str) -> None:
        """These come, and nothing else."""
        until(self.look, lambda found: len(found) >= len(accounts))
        for _ in range(5):
            time.sleep(0.02)
            self.look()
        assert self.accounts == [*accounts]

    def troubled(self, why: str) -> None:
        until(lambda: (self.look(), self.last.trouble)[1], lambda found: found == why)


# --- beside a ledger -------------------------------------------------------------------------------------------


def told_when(lab: Lab, logs: KeptLogs, is_done: Callable[[LogsTold], bool]) -> LogsTold:
    return until(lambda: lab.told(logs, rounds=2), is_done)


def lines(told: LogsTold) -> dict[str, int]:
    return told.logs.items[0].lines


async def test_what_sshd_says_is_attributed_live_and_once_over_restarts_rotation_and_a_reboot(
    lab: Lab, journal: JournalFiles
) -> None:
    follow = f"[logs]\nfollow = ['db journald journal:{journal.directory} account=shared unit=ssh.service']\n"
    settings, faults = parse_settings(follow.encode(), data=lab.root)
    assert settings is not None, faults
    lab.settings, lab.now = settings, NOW + 90_000
    intent = await lab.acts(1, begun=0, ends=False)
    await lab.ends(1, intent, ended=1, session="", keys={**SESSION})
    ours = account_of(LEASES[1])
    journal.writes((-10, came_in("maria")))
    with lab.follower() as logs:
        told_when(lab, logs, lambda one: lines(one) == {"others": 1})
        journal.writes((0.5, leased(ours)), (3, came_in("shared")), (60, came_in("alice")))
        first = told_when(lab, logs, lambda one: sum(lines(one).values()) >= 4)
        assert lines(first) == {"bypass": 1, "others": 2, "ours": 1}
        assert shown(first) == [("bypass", "shared", "")]
        await lab.records(first)
    assert "maria" not in lab.settings.logs.standing.read_text()
    # Meanwhile journald begins another file, and the machine is started again.
    journal.writes((62, came_in("bob")), file="b")
    journal.writes((64, came_in("shared")), file="c", boot="c")
    with lab.follower() as logs:
        second = told_when(lab, logs, lambda one: sum(lines(one).values()) >= 6)
        assert (lines(second), second.logs.items[0].gaps) == ({"bypass": 2, "others": 3, "ours": 1}, 0)
        assert lab.told(logs).logs.items[0].state == "ok"
        await lab.records(second)
    # Without what is kept, all is read again, and nothing of it is recorded again.
    lab.settings.logs.standing.unlink()
    with lab.follower() as logs:
        again = told_when(lab, logs, lambda one: sum(lines(one).values()) >= 6)
        assert (lines(again), again.findings) == (lines(second), ())
    shutil.rmtree(journal.directory)
    with lab.follower() as logs:
        (gone,) = told_when(lab, logs, lambda one: one.logs.items[0].state == "fault").logs.items
        assert gone.reason.startswith("no file of a journal is there")


# --- a journal that goes ---------------------------------------------------------------------------------------


def test_a_restart_reads_on_behind_the_entry_that_was_judged_and_knows_its_session(
    journal: JournalFiles,
) -> None:
    journal.writes((1, came_in("ann")), (2, came_in("bob")))
    first = source(journal)
    taken = Taken(first)
    taken.all("ann", "bob")
    first.close()
    journal.writes((3, "Disconnected from user bob 192.0.2.7 port 40000"), (4, came_in("eve")))
    second = source(journal, taken.mark)
    after = Taken(second)
    after.all("bob", "eve")
    assert (after.gaps, after.mark.lines) == (0, 4)
    second.close()


def test_entries_that_were_removed_before_they_were_read_are_told_as_a_gap(journal: JournalFiles) -> None:
    journal.writes((1, came_in("ann")))
    first = source(journal)
    taken = Taken(first)
    taken.all("ann")
    first.close()
    journal.writes((2, came_in("bob")))
    journal.writes((3, came_in("eve")), (4, came_in("fay")), file="b")
    journal.removes("a")
    second = source(journal, taken.mark)
    after = Taken(second)
    after.all("eve", "fay")
    assert after.gaps == 1
    second.close()


def test_a_directory_that_is_gone_is_told_and_read_on_when_it_is_back(journal: JournalFiles) -> None:
    journal.writes((1, came_in("ann")))
    of = source(journal)
    taken = Taken(of)
    taken.all("ann")
    away = journal.directory.with_name("away")
    journal.directory.rename(away)
    taken.troubled("no journal")
    assert not of.pid
    away.rename(journal.directory)
    journal.writes((2, came_in("bob")))
    taken.all("ann", "bob")
    # Another one under its name, between two looks.
    shutil.rmtree(journal.directory)
    journal.directory.mkdir()
    journal.writes((3, came_in("eve")))
    taken.all("ann", "bob", "eve")
    assert taken.gaps == 1
    taken.troubled("")
    of.close()


# --- journalctl ------------------------------------------------------------------------------------------------


def test_a_journalctl_that_is_killed_is_told_and_started_again_with_nothing_lost_or_twice(
    journal: JournalFiles, caplog: pytest.LogCaptureFixture
) -> None:
    journal.writes((1, came_in("ann")))
    of = source(journal)
    taken = Taken(of)
    taken.all("ann")
    killed = of.pid
    os.kill(killed, signal.SIGKILL)
    journal.writes((2, came_in("bob")))
    taken.troubled("ended")
    taken.all("ann", "bob")
    assert taken.gaps == 0
    assert of.pid not in (0, killed)
    taken.troubled("")
    assert "ended with code -9" in caplog.text
    of.close()


def test_without_journalctl_that_is_told_until_it_is_there(
    journal: JournalFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal.writes((1, came_in("ann")))
    with monkeypatch.context() as changed:
        changed.setenv("PATH", str(tmp_path))
        of = source(journal)
        taken = Taken(of)
        taken.troubled("no journalctl")
    taken.all("ann")
    of.close()


def test_the_child_has_nothing_of_ours_and_ends_with_a_process_that_is_killed(journal: JournalFiles) -> None:
    journal.writes((1, came_in("ann")))
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from tests.contracts.test_followed_journal import Taken, source\n"
        "of = source(SimpleNamespace(directory=Path(sys.argv[1])))\n"
        "Taken(of).all('ann')\n"
        "print(of.pid, flush=True); time.sleep(600)\n"
    )
    secret, kept = os.pipe()
    os.set_inheritable(secret, True)
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(journal.directory)], stdout=subprocess.PIPE,
        env={**os.environ, "ANSWERABLE_SECRET": "of ours"}, pass_fds=(secret,),
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().decode().strip()
    assert b"SECRET" not in (child / "environ").read_bytes()
    ours = os.readlink(f"/proc/self/fd/{secret}")
    assert ours not in [os.readlink(one) for one in (child / "fd").iterdir()]
    assert os.readlink(child / "fd/0") == "/dev/null"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for one in (secret, kept):
        os.close(one)
    until(lambda: state_of(child), lambda found: found in ("", "Z"))


def test_the_journal_of_this_machine_is_read_without_those_of_others_beside_it(
    journal: JournalFiles,
) -> None:
    machine = Path("/etc/machine-id")
    if (
        not (machine.is_file() and OWN_JOURNAL.is_dir())
        or subprocess.run([*APART, "true"], check=False).returncode
    ):
        not_proven("no file system can be mounted here: `journal:` is NOT PROVEN", name="mounts")
    journal.writes((1, came_in("stranger")), file="system@other")
    journal.machine = machine.read_text().strip()
    journal.writes((2, came_in("ann")), (3, came_in("bob")), file="system")
    journal.writes((4, came_in("eve")), file="system@1", more=("_SYSTEMD_UNIT=cron.service",))
    script = (
        "import shutil, sys\n"
        "from answerable.core.attribution.followed import LogMark\n"
        "from types import SimpleNamespace\n"
        "from tests.contracts.test_followed_journal import OWN_JOURNAL, Taken, source\n"
        "taken = Taken(source(SimpleNamespace(directory=None), LogMark(), 'ssh.service'))\n"
        "taken.troubled('no journal')\n"
        "shutil.copytree(sys.argv[1], OWN_JOURNAL / sys.argv[2])\n"
        "taken.all('ann', 'bob')\n"
    )
    done = subprocess.run(
        [*APART, sys.executable, "-c", script, str(journal.directory), journal.machine],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_lines_of_the_page_are_sound() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/follow-a-log.md").read_text()
    (block,) = [one for one in page.split("```toml\n") if "journald journal:" in one.partition("```")[0]]
    settings, faults = parse_settings(block.partition("```")[0].encode(), data=Path("/data"))
    assert settings is not None, faults
    own, sent = followed_in(settings.logs, Path("/data"))
    assert (own.path, own.units) == ("journal:", ("ssh.service",))
    assert sent.path == "journal:/var/log/journal/remote"


def state_of(process: Path) -> str:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


# --- what is in an entry ---------------------------------------------------------------------------------------


def test_an_entry_has_one_digest_however_often_it_is_printed(journal: JournalFiles) -> None:
    journal.writes(*((number, came_in(f"user{number}")) for number in range(20)))
    seen = set[tuple[str, ...]]()
    for _ in range(3):
        of = source(journal)
        taken = Taken(of)
        until(taken.look, lambda found: len(found) == 20)
        seen.add(tuple(taken.digests))
        of.close()
    (digests,) = seen
    assert len({*digests}) == 20


def test_an_entry_that_is_too_long_is_counted_and_the_ones_around_it_are_read(journal: JournalFiles) -> None:
    journal.writes((1, came_in("ann")))
    # Whoever logs can give a field as often as he likes.
    journal.writes((2, "x"), more=tuple(f"SYSLOG_IDENTIFIER={number:04}{'y' * 200}" for number in range(900)))
    journal.writes((3, "x" * 200_000), (4, came_in("bob")), (5, 'a "text" and ü'))
    of = source(journal)
    taken = Taken(of)
    taken.all("ann", "broken", "broken", "bob", "")
    again = source(journal, taken.mark)
    journal.writes((6, came_in("eve")))
    after = Taken(again)
    after.all("eve")
    for one in (of, again):
        one.close()


def test_entries_of_other_units_are_left_out_where_units_are_named(journal: JournalFiles) -> None:
    journal.writes((1, came_in("ann")))
    journal.writes((2, came_in("bob")), more=("_SYSTEMD_UNIT=ssh@1.service",))
    journal.writes((3, came_in("eve")), more=("_SYSTEMD_UNIT=cron.service",))
    of = source(journal, BEGIN, "ssh.service", "ssh@1.service")
    Taken(of).all("ann", "bob")
    of.close()


def test_a_mark_of_before_there_were_journals_is_read_and_one_of_a_journal_is_kept() -> None:
    import msgspec

    old = json.dumps({"device": 1, "inode": 2, "offset": 3, "lines": 4, "objects": ["x"]}).encode()
    assert msgspec.json.decode(old, type=LogMark) == LogMark(
        device=1, inode=2, offset=3, lines=4, objects=("x",)
    )
    mark = LogMark(cursor="s=1;i=2", lines=7)
    assert msgspec.json.decode(msgspec.json.encode(mark), type=LogMark) == mark
