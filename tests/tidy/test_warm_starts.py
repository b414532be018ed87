"""What tests start from a Python that has read the product is what they would start from nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm_starts
from tests.tidy.tree import ROOT

PROBE = [sys.executable, str(ROOT / "tests/tidy/process_probe.py"), "7", "é", ""]
KINDS = (warm_starts.Cold, warm_starts.Warm)


def told(kind: Any, line: list[str], **how: Any) -> tuple[Any, ...]:
    """Exit code and what was written. The environment is named: readline puts more into what is inherited."""
    how = {"env": dict(os.environ)} | how
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | how.pop("streams", {})
    with kind(line, **streams, **how) as process:
        found = process.communicate("ü\n".encode())
    return process.returncode, *found


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"cwd": "/"},
        {"env": {"PYTHONPATH": "/nowhere:/elsewhere", "A": "é", "LANG": "C.UTF-8"}},
        {"start_new_session": True},
        {"process_group": 0},
        {"streams": {"stderr": subprocess.STDOUT}},
        {"streams": {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}},
        {"streams": {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}},
    ],
    ids=str,
)
def test_a_process_cannot_tell_how_it_was_started(how: dict[str, Any]) -> None:
    code, said, complained = told(warm_starts.Cold, PROBE, **how)
    assert code == 7
    warm_code, warm_said, warm_complained = told(warm_starts.Warm, PROBE, **how)
    assert (warm_code, warm_complained) == (code, complained)
    if said:
        # Where both streams are one, there is a line of the other.
        (cold, *more), (warm, *warm_more) = (
            sorted(one.splitlines(), reverse=True) for one in (said, warm_said)
        )
        assert json.loads(warm) == json.loads(cold)
        assert json.loads(warm)["parent"] == os.getpid()
        assert warm_more == more


@pytest.mark.parametrize(
    "words", [["--version"], ["nonsense"], ["mandate", "show", "--json", "x", "--data", "/nowhere"]]
)
def test_a_command_says_the_same_and_has_the_same_exit_code(words: list[str], tmp_path: Path) -> None:
    line = [sys.executable, "-m", "answerable.main", *words]
    cold, warm = (told(kind, line, cwd=tmp_path) for kind in KINDS)
    assert warm == cold


@pytest.mark.parametrize("how", ["return", "code", "words", "large"])
def test_what_is_left_to_do_at_its_end_is_done_and_its_code_is_the_same(how: str) -> None:
    line = [sys.executable, str(ROOT / "tests/tidy/ending_probe.py"), how]
    cold, warm = (told(kind, line) for kind in KINDS)
    assert b"after 3" in cold[1]
    assert cold[1].endswith(b"registered for the exit\n")
    assert warm == cold


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_whoever_waits_is_told(kind: Any, how: signal.Signals) -> None:
    with kind(PROBE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.send_signal(how)
        assert process.wait(30) == -how
        assert not Path(f"/proc/{process.pid}").exists()


def stub(*words: str) -> list[str]:
    """As a shell starts it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", warm_starts.Warm)
        return warm_starts.line(*words)


def test_a_program_that_a_stub_stands_for_cannot_tell_either(tmp_path: Path) -> None:
    cold = told(warm_starts.Cold, PROBE, cwd=tmp_path)
    warm = told(warm_starts.Cold, stub(*PROBE[1:]), cwd=tmp_path)
    assert (warm[0], warm[2]) == (cold[0], cold[2])
    seen, wanted = json.loads(warm[1]), json.loads(cold[1])
    assert seen.pop("parent") != wanted.pop("parent")
    assert seen == wanted
    elsewhere = told(warm_starts.Cold, stub(*PROBE[1:]), env={"TZ": "Europe/Berlin"})
    assert json.loads(elsewhere[1])["parent"] == os.getpid(), "what must start from nothing does"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_stub_ends_the_program(how: signal.Signals) -> None:
    line = stub(*PROBE[1:], "ready")
    with warm_starts.Cold(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(how)
        assert process.wait(30) == -how
        # Its end of the pipe is closed, so it has ended.
        assert process.stdout.read() == b""


def test_what_is_started_in_a_special_way_is_started_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(warm_starts, "_forked", lambda request, _: asked.append(request))
    with (ROOT / "README.md").open() as file:
        special: list[dict[str, Any]] = [
            {"preexec_fn": lambda: None},
            {"pass_fds": [file.fileno()]},
            {"close_fds": False},
            {"umask": 0o77},
            {"env": {"LD_PRELOAD": ""}},
            {"env": {"TZ": "Europe/Berlin"}},
            {"env": {"LC_ALL": "de_DE.ISO-8859-1"}},
            {"env": {"PYTHONHASHSEED": "1"}},
        ]
        for how in special:
            assert told(warm_starts.Warm, PROBE, **how)[0] == 7, how
    for line in ([sys.executable, "-c", "0"], [sys.executable, "-I", *PROBE[1:]], ["true"]):
        told(warm_starts.Warm, line)
    assert asked == []
