"""The demo, run as a stranger runs it; what it says is checked again from outside."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.probes.demo_run import (
    ROOT,
    RUN_SECONDS_MAX,
    Run,
    command,
    copied,
    environment,
    left_running,
    needs_upstreams,
    run_demo,
    short_folder,
    the_demo,
)

pytestmark = needs_upstreams

APPROVE = re.compile(r"\$ \.dev/venv/bin/answerable (--data \S+ approval approve [^$]*?jwk)", re.DOTALL)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
STOP_SECONDS_MAX = 20


@pytest.fixture(scope="module")
def run() -> Run:
    return the_demo()


@pytest.fixture(scope="module")
def left(run: Run) -> Iterator[Run]:
    """What it left, for commands of the product."""
    with copied(run) as copy:
        yield copy


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.requirement("DEMO-01")
def test_the_demo_tells_four_stories_and_every_claim_holds(run: Run):
    assert run.code == 0, run.out
    for title in (
        "Story 1 · One case only",
        "Story 2 · Found token",
        "Story 3 · Prepared, not paid",
        "Story 4 · Handed on",
    ):
        assert run.out.count(title) == 2, "once told, once out of the ledger"
    claims = run.out.count("  ✓ ")
    assert claims >= 20
    assert f"Every claim held, {claims} of them" in run.out
    assert left_running(run.home) == []


@pytest.mark.requirement("DEMO-01")
def test_the_demo_is_plain_when_piped(run: Run):
    assert "\x1b" not in run.out
    assert max(len(line) for line in run.out.splitlines()) <= 120


@pytest.mark.requirement("DEMO-02")
def test_the_found_token_deletes_nothing(left: Run):
    volumes = left.home / "company/volumes.db"
    assert rows(volumes, "SELECT count(*) FROM volumes") == [(4,)]
    assert rows(volumes, "SELECT count(*) FROM backups") == [(6,)]
    assert rows(volumes, "SELECT count(*) FROM api_calls WHERE tool = 'volume_delete'") == [(0,)]
    assert rows(volumes, "SELECT count(*) FROM api_calls WHERE tool = 'file_read'") == [(1,)]


@pytest.mark.requirement("DEMO-02")
def test_the_found_token_is_never_printed(run: Run):
    line = (run.home / "company/orders/config/domains.env").read_text().splitlines()[-1]
    token = line.partition("=")[2]
    assert len(token) == 40
    assert "[token hidden by the demo]" in run.out
    assert token[:6] not in run.out
    for log in run.home.glob("*.log"):
        assert token not in log.read_text()


@pytest.mark.requirement("HAND-01")
def test_notes_were_written_by_whom_it_was_handed_on_to_and_by_nobody_else(left: Run):
    notes = rows(
        left.home / "company/crm.db", "SELECT case_id, text FROM notes ORDER BY note_id DESC LIMIT 3"
    )
    asked_again = ("4711", "Asked the payment provider once more.")
    assert notes == [
        asked_again,
        asked_again,
        ("4711", "Both receipts agree: the October invoice was charged twice."),
    ]
    assert rows(left.home / "company/crm.db", "SELECT count(*) FROM notes WHERE text = 'Pay me.'") == [(0,)]


@pytest.mark.requirement("HAND-02")
def test_the_tree_outlives_the_server(left: Run):
    mandate = re.findall(r"\$ answerable mandate tree (\S+)", left.out)[0]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "answerable.main",
            "--data",
            str(left.home),
            "mandate",
            "tree",
            mandate,
            "--json",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    tree = json.loads(done.stdout)
    assert tree["state"] == "revoked"
    assert [(hop["agent"], hop["depth"], hop["state"]) for hop in tree["hops"]] == [
        ("orchestrator", 0, "revoked"),
        ("researcher", 1, "revoked"),
        ("writer", 2, "revoked"),
    ]
    assert tree["hops"][2]["actions"] == {"done": 3, "failed": 0, "refused": 3, "unknown": 0, "in_flight": 0}


@pytest.mark.requirement("HAND-02", "HAND-09")
def test_the_timeline_tells_who_worked_when_the_task_was_revoked_and_that_nobody_did_after(left: Run):
    mandate = re.findall(r"\$ answerable mandate tree (\S+)", left.out)[0]
    told = lines_of(left, mandate)
    text = " ".join(line["text"] for line in told)
    for sentence in (
        "Agent orchestrator was issued a token for mandate",
        "on to researcher (hop 1), at most 10 calls",
        "on to writer (hop 2), only for crm.note-add",
        "bela through orchestrator under mandate",
        "bela through orchestrator → researcher under mandate",
        "the delegation from 'orchestrator' to 'researcher' (hop 1 of 2)",
        "the delegation from 'researcher' to 'writer' (hop 2 of 2)",
    ):
        assert sentence in text, sentence
    [revoked] = [line for line in told if line["kind"] == "revoked"]
    [flight] = [one for one in revoked["details"] if one.startswith("in flight at that moment: 3")]
    entries = sorted(int(one) for one in re.findall(r"\d+", flight.partition("entries")[2]))
    begun = {line["index"]: line["text"] for line in told if line["kind"] == "intent"}
    who = [re.findall(r"^Agent (\S+) set out", begun[index])[0] for index in entries]
    assert sorted(who) == ["orchestrator", "researcher", "writer"]
    after = [line for line in told if line["index"] > revoked["index"]]
    assert [line["kind"] for line in after if line["kind"] == "intent"] == [], "nothing is begun any more"
    assert [line["kind"] for line in after].count("outcome") == 3, "and what was on its way has its end"
    refused = [line["text"] for line in after if line["kind"] == "refusal"]
    assert sorted(re.findall(r"^Agent (\S+) tried", one)[0] for one in refused) == sorted(who)
    assert all("has been revoked" in one for one in refused)


def lines_of(run: Run, name: str) -> list[dict[str, Any]]:
    """The timeline of an id, told by the command from the ledger that the demo left."""
    line = [sys.executable, "-m", "answerable.main", "--data", str(run.home), "timeline", name, "--json"]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found["lines"]


@pytest.mark.requirement("DEMO-03")
def test_one_payment_left_the_account(left: Run):
    paid = rows(
        left.home / "company/payments.db",
        "SELECT transfer, amount_minor FROM postings WHERE account = 'operating' AND amount_minor < 0",
    )
    assert paid == [("PB-1001", -168_050)]


@pytest.mark.requirement("DEMO-04")
def test_the_commands_to_try_next_work(left: Run):
    told = " ".join(left.out.partition("Try next:")[2].split())
    commands = [text.strip() for text in told.split("$ .dev/venv/bin/answerable")[1:]]
    assert len(commands) == 3
    for text in commands:
        done = subprocess.run(
            [sys.executable, "-m", "answerable.main", *shlex.split(text)],
            cwd=left.here,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (text, done.stderr)
        assert done.stdout.strip(), text


@pytest.mark.requirement("DEMO-05")
@pytest.mark.parametrize(
    ("document", "old", "new", "expected"),
    [
        pytest.param(
            "mandates.yaml",
            'capability: crm.customer-read, resources: ["{case}"]',
            'capability: crm.customer-read, resources: ["{case}", "4712"]',
            "case 4712 is denied",
            id="a mandate for one case more",
        ),
        pytest.param(
            "policies.yaml",
            '@approve("finance:1")\n    forbid(principal, action in Action::"pay", resource);',
            '@approve("finance:1")\n    forbid(principal, action in Action::"pay", resource) '
            "when { context.arguments.amount_minor > 1000000 };",
            "paying waits for a person",
            id="a policy that asks nobody",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_product_that_does_something_else_fails_the_demo(
    folder: Path, document: str, old: str, new: str, expected: str
):
    examples = folder / "examples"
    shutil.copytree(ROOT / "examples", examples)
    path = examples / "registry" / document
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    run = run_demo(folder / "home", examples=examples)
    assert run.code == 1, run.out
    told = " ".join(run.out.partition("The demo failed")[2].split())
    assert f"expected: {expected}" in told
    assert "happened: " in told
    assert "Every claim held" not in run.out
    assert left_running(run.home) == []


@pytest.mark.requirement("DEMO-06")
@pytest.mark.parametrize(
    ("number", "after"),
    [
        pytest.param(signal.SIGINT, "agent ▸", id="an agent at work"),
        pytest.param(signal.SIGTERM, "$ answerable apply", id="servers that start"),
    ],
)
def test_an_interrupted_demo_leaves_nothing_running(folder: Path, number: signal.Signals, after: str):
    home = folder / "home"
    demo = subprocess.Popen(
        command(home),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if after in line:
            break
    assert left_running(home), "the server runs by now"
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=STOP_SECONDS_MAX)
    assert demo.returncode == 130, rest
    assert rest.splitlines()[-1] == "interrupted; everything that was started is stopped"
    assert "Traceback" not in rest
    assert left_running(home) == []


@pytest.mark.requirement("DEMO-07")
def test_a_folder_with_something_else_is_left_alone(folder: Path):
    (folder / "letters.txt").write_text("dear")
    run = run_demo(folder)
    assert run.code == 1
    assert "holds something else than an earlier demo" in " ".join(run.out.split())
    assert [path.name for path in folder.iterdir()] == ["letters.txt"]


@pytest.mark.requirement("DEMO-07")
def test_a_missing_upstream_server_is_named(folder: Path):
    done = subprocess.run(
        command(folder / "home"),
        env=environment(ANSWERABLE_UPSTREAMS=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "mcp-server-git is not there: run this as `./dev demo`" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr


def spoken(terminal: int) -> Iterator[str]:
    """What appears on a terminal until its program ends."""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux ends a terminal so when the last program on it has left.
            return
        if not piece:
            return
        yield piece.decode(errors="replace")


def ran(folder: Path, line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "answerable.main", *line],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.requirement("DEMO-03")
@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_a_person_at_a_second_terminal_decides(folder: Path, verb: str):
    home = folder / "home"
    ours, its = pty.openpty()
    demo = subprocess.Popen(
        command(home, "--interactive"),
        cwd=folder,
        env=environment(TERM="xterm", COLUMNS="300"),
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    text, answered = "", False
    give_up = time.monotonic() + RUN_SECONDS_MAX
    for piece in spoken(ours):
        text += piece
        assert time.monotonic() < give_up
        found = APPROVE.search(COLOUR.sub("", text))
        if found and not answered:
            answered = True
            typed = shlex.split(found[1].replace("approval approve", f"approval {verb}"))
            if verb == "approve":
                place = typed.index(verb)
                shown = ran(folder, [*typed[:place], "show", typed[place + 1], "--json"])
                typed += ["--typed", json.loads(shown.stdout)["name_to_type"]]
            done = ran(folder, [*typed, "--yes"])
            assert done.returncode == 0, done.stderr
    os.close(ours)
    plain = " ".join(COLOUR.sub("", text).split())
    assert demo.wait(STOP_SECONDS_MAX) == 0, plain
    assert COLOUR.search(text), "a terminal gets colour"
    state, end = (
        ("approved", "exactly what was approved is paid")
        if verb == "approve"
        else ("denied", "nothing is paid")
    )
    assert f"The approval is {state}." in plain
    assert end in plain
    assert "on behalf of Chen" not in plain
    paid = rows(home / "company/payments.db", "SELECT count(*) FROM postings WHERE transfer = 'PB-1001'")
    assert paid == [(2 if verb == "approve" else 0,)]
