"""The demo in a real PostgreSQL, run as a stranger runs it; what it leaves is looked for from outside."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.probes.demo_run import (
    ROOT,
    Run,
    command,
    environment,
    left_running,
    needs_upstreams,
    run_demo,
    short_folder,
    the_demo,
)
from tests.probes.loud_skips import not_proven
from tests.stand_ins.postgres_server import programs

pytestmark = needs_upstreams

STOP_SECONDS_MAX = 30
CLAIMS = (
    "the card says how many rows it would touch, about 840 (an estimate, not a count): no few, and Bela says no",
    "nothing was changed: there are 840 of this plan, as before",
    "case 4712 is denied before the database hears of it",
    "a statement that asks for all other cases gets none",
    "the credential of one action is refused by the server once the action is over",
    "the stolen credential works while it lives, and shows case 4711 alone",
    "it cannot write: the server refuses it, not we",
    "it cannot read another table",
    "the open session was cut by the server",
    "the same credential, tried again, is refused by the server itself",
    "the server knows no role of any lease any more",
)


@contextmanager
def place() -> Iterator[Path]:
    """A folder that also an account without rights may pass through, for everything that the demo keeps."""
    programs()
    with short_folder() as folder:
        folder.chmod(0o711)
        yield folder


def inside(folder: Path) -> dict[str, str]:
    return environment(TMPDIR=str(folder))


@pytest.fixture(scope="module")
def run() -> Run:
    programs()
    return the_demo("--postgres")


@pytest.mark.requirement("DEMO-08", "PREVIEW-07")
def test_the_support_story_happens_in_postgres_and_its_credential_is_tried_directly(run: Run):
    assert run.code == 0, run.out
    said = " ".join(run.out.split())
    for claim in CLAIMS:
        assert f"✓ {claim}" in said, claim
    assert said.count("Story 1 · One case only, in PostgreSQL") == 2, "once told, once out of the ledger"
    assert "Story 4 · Handed on" in said
    claims = run.out.count("  ✓ ")
    assert f"Every claim held, {claims} of them" in run.out
    (stolen,) = set(re.findall(r"-U (ans_[a-z2-7]{26}) support -c \"UPDATE", said))
    # While its role is being taken away, or once it is gone.
    refused = ('password authentication failed for user "{}"', 'role "{}" is not permitted to log in')
    assert any(f"FATAL: {how.format(stolen)}" in said for how in refused)
    assert (
        f"(account {stolen}) at support-db, for support-db.read-case by support-agent, was revoked." in said
    )
    assert max(len(line) for line in run.out.splitlines() if "{" not in line) <= 120


@pytest.mark.requirement("DEMO-08", "DEMO-06")
def test_nothing_of_the_database_is_left_and_no_password_was_said(run: Run):
    folder = run.here
    assert left_running(folder) == []
    assert [path.name for path in folder.iterdir()] == [".dev"]
    password = (run.home / "broker/targets/password").read_text()
    assert password not in run.out
    assert (run.home / "broker/targets/password").stat().st_mode & 0o077 == 0
    for log in run.home.glob("*.log"):
        assert password not in log.read_text()


@pytest.mark.requirement("DEMO-06")
@pytest.mark.parametrize(
    ("number", "after"),
    [
        pytest.param(signal.SIGINT, "agent ▸", id="an agent at work"),
        pytest.param(signal.SIGHUP, "$ answerable up", id="servers that start"),
        pytest.param(
            signal.SIGTERM, "An example company", id="a database that is made", marks=pytest.mark.slow
        ),
    ],
)
def test_interrupted_it_leaves_no_server_and_no_folder(number: signal.Signals, after: str):
    with place() as folder:
        demo = subprocess.Popen(
            command(folder / "home", "--postgres"),
            cwd=folder, env=inside(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert demo.stdout is not None
        for line in demo.stdout:
            if after in line:
                break
        demo.send_signal(number)
        rest, _ = demo.communicate(timeout=STOP_SECONDS_MAX)
        assert demo.returncode == 130, rest
        assert rest.splitlines()[-1] == "interrupted; everything that was started is stopped"
        assert left_running(folder) == []
        assert [path.name for path in folder.iterdir()] == ["home"]


@pytest.mark.requirement("DEMO-09")
def test_without_postgres_it_says_what_to_install_and_makes_nothing():
    with short_folder() as folder:
        done = subprocess.run(
            [*command(folder / "home"), "--postgres", str(folder)],
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        said = " ".join(done.stdout.split())
        assert f"demo: {folder} has no PostgreSQL" in said
        assert "apt-get install postgresql" in said
        assert "Traceback" not in done.stderr
        assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.requirement("DEMO-05", "DEMO-08")
def test_a_credential_that_may_read_more_fails_the_demo():
    with place() as folder:
        examples = folder / "examples"
        shutil.copytree(ROOT / "examples", examples)
        document = examples / "demo/support_db/support-db.yaml"
        old = "columns: [case_id, customer, plan, subject]"
        assert old in document.read_text()
        document.write_text(
            document.read_text().replace(old, "columns: [case_id, customer, email, plan, subject]")
        )
        run = run_demo(folder / "home", "--postgres", examples=examples, more={"TMPDIR": str(folder)})
        assert run.code == 1, run.out
        told = " ".join(run.out.partition("The demo failed")[2].split())
        assert "expected: it cannot read a column that the task does not need" in told
        assert left_running(folder) == []


@pytest.mark.slow
@pytest.mark.requirement("DEMO-08")
def test_it_runs_for_a_user_without_rights():
    # One that the machine has a name for, which PostgreSQL asks about.
    as_user = ["unshare", "--user", "--map-user=1", "--map-group=1"]
    if shutil.which("unshare") is None or subprocess.run([*as_user, "true"], check=False).returncode:
        not_proven(
            "this kernel lets nobody have a user namespace: the demo of a plain user is NOT PROVEN here"
        )
    with place() as folder:
        done = subprocess.run(
            [*as_user, *command(folder / "home", "--postgres")],
            cwd=folder, env=inside(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Every claim held" in done.stdout
        assert left_running(folder) == []
        assert [path.name for path in folder.iterdir()] == ["home"]
