"""What tests start from a Python that has read the product is what they would start from nothing."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable import __version__
from tests.probes import warm_starts
from tests.probes.planting import ROOT, planted, ran

PROBE = [sys.executable, str(ROOT / "tests/system/process_probe.py"), "7", "é", ""]
KINDS = (warm_starts.Cold, warm_starts.Warm)


def told(kind: Any, line: list[str], **how: Any) -> tuple[Any, ...]:
    """Exit code and what was written. The environment is named: readline puts more into what is inherited."""
    how = {"env": dict(os.environ)} | how
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | how.pop("streams", {})
    with kind(line, **streams, **how) as process:
        found = process.communicate("ü\n".encode())
    return process.returncode, *found


@pytest.mark.requirement("FAST-51")
def test_a_text_is_run_as_the_program_that_it_is() -> None:
    text = "import sys, answerable\nprint(__name__, sys.argv[1:], sys.stdin.read())\nsys.exit(7)\n"
    line = [*warm_starts.program(text), "é", ""]
    assert warm_starts.program(text) == line[:2]
    found = [told(kind, line) for kind in KINDS]
    assert found[0] == found[1]
    assert found[0][:2] == (7, "__main__ ['é', ''] ü\n\n".encode())


@pytest.mark.requirement("FAST-51")
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


@pytest.mark.requirement("FAST-51")
@pytest.mark.parametrize(
    "words", [["--version"], ["nonsense"], ["mandate", "show", "--json", "x", "--data", "/nowhere"]]
)
def test_a_command_says_the_same_and_has_the_same_exit_code(words: list[str], tmp_path: Path) -> None:
    line = [sys.executable, "-m", "answerable.main", *words]
    cold, warm = (told(kind, line, cwd=tmp_path) for kind in KINDS)
    assert warm == cold


@pytest.mark.requirement("FAST-51")
@pytest.mark.parametrize("how", ["return", "code", "words", "large"])
def test_what_is_left_to_do_at_its_end_is_done_and_its_code_is_the_same(how: str) -> None:
    line = [sys.executable, str(ROOT / "tests/system/ending_probe.py"), how]
    cold, warm = (told(kind, line) for kind in KINDS)
    assert b"after 3" in cold[1]
    assert cold[1].endswith(b"registered for the exit\n")
    assert warm == cold


@pytest.mark.requirement("FAST-51")
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


@pytest.mark.requirement("FAST-51")
def test_a_program_that_a_stub_stands_for_cannot_tell_either(tmp_path: Path) -> None:
    cold = told(warm_starts.Cold, PROBE, cwd=tmp_path)
    warm = told(warm_starts.Cold, stub(*PROBE[1:]), cwd=tmp_path)
    assert (warm[0], warm[2]) == (cold[0], cold[2])
    seen, wanted = json.loads(warm[1]), json.loads(cold[1])
    assert seen.pop("parent") != wanted.pop("parent")
    assert seen == wanted
    elsewhere = told(warm_starts.Cold, stub(*PROBE[1:]), env={"TZ": "Europe/Berlin"})
    assert json.loads(elsewhere[1])["parent"] == os.getpid(), "what must start from nothing does"


@pytest.mark.requirement("FAST-51")
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


STARTING = str(ROOT / "tests/system/starting_probe.py")


@pytest.mark.requirement("FAST-40")
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"how": {"start_new_session": True, "cwd": "/"}},
        {"how": {"stderr": None, "env": {"A": "é"}}},
        {"how": {"stdout": subprocess.DEVNULL}},
        {"files": 200},
        {"through": True},
        {"ended_by": signal.SIGTERM},
        {"ended_by": signal.SIGKILL},
    ],
    ids=str,
)
def test_what_a_forked_process_starts_is_forked_too_and_cannot_tell(asked: dict[str, Any]) -> None:
    line = [sys.executable, STARTING, "run", json.dumps(asked)]
    (cold_code, cold, cold_complained), (code, warm, complained) = (told(kind, line) for kind in KINDS)
    assert (code, complained) == (cold_code, cold_complained)
    found, wanted = json.loads(warm), json.loads(cold)
    assert (found.pop("forked"), wanted.pop("forked")) == (True, False)
    for one in (found, wanted):
        # uvloop leaves open what became the three streams, under numbers of its choice; a start from nothing has those
        # of the process before it, too.
        is_first = "through" not in asked
        one["said"]["open"] = is_first and len(one["said"].get("open", ()))
    assert found == wanted
    assert found["ours"]
    assert found["code"] == -asked.get("ended_by", -7)


@pytest.mark.requirement("FAST-40")
def test_what_must_start_from_nothing_does_so_in_a_forked_process_too() -> None:
    line = [sys.executable, STARTING, "run", json.dumps({"how": {"env": {"TZ": "Europe/Berlin"}}})]
    code, said, _ = told(warm_starts.Warm, line)
    assert (code, json.loads(said)["forked"]) == (0, False)


@pytest.mark.requirement("FAST-40")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_that_forked_for_a_process_is_left_when_it_has_ended(how: signal.Signals) -> None:
    line = [*PROBE, "run", "ready"]
    with warm_starts.Warm(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ends = [os.pidfd_open(int(one)) for one in children]
        process.send_signal(how)
        assert process.wait(30) == -how
    assert len(ends) == 1
    for end in ends:
        assert select.select([end], [], [], 30)[0], "it has not ended"
        os.close(end)


@pytest.mark.requirement("FAST-51")
def test_what_is_started_in_a_special_way_is_started_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(warm_starts, "_forked", lambda wanted, _: asked.append(wanted))
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


@pytest.mark.requirement("FAST-14")
def test_many_test_files_are_run_by_processes_that_read_nothing_themselves() -> None:
    ends = "import os\n\ndef test_bad(): os._exit(7)\n"
    reading = """
import os, subprocess, sys
from tests.probes import warm_starts

warm_starts.install()

def test_forked():
    assert "answerable.main" in sys.modules
    forking = warm_starts._forking
    line = [sys.executable, "-m", "answerable.main", "--version"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "0.1.0\\n"
    assert warm_starts._forking is forking and len(forking) == 1, "what was forked off this process forks"
    open("PLACE/begun", "a").write(f"{os.getpid()} {forking[0]} ")
""".replace("0.1.0", __version__)
    with planted() as place:
        reading = reading.replace("PLACE", str(place))
        status, told = ran(place, ends=ends, **{f"t{number:02}": reading for number in range(20)})
        processes = {int(one) for one in (place / "begun").read_text().split()}
    assert (status, "1 failed, 20 passed" in told) == (1, True), told
    assert "ended with 7" in told
    assert not [one for one in processes if Path(f"/proc/{one}").exists()]


@pytest.mark.requirement("FAST-41")
def test_what_was_read_before_forking_is_not_counted_by_who_uses_it() -> None:
    text = """
import json, sys
from tests.probes import kept_pages
kept_pages.keep(for_many=True)
later = ["later"]
before = [sys.getrefcount(one) for one in (json.loads, json, json.__name__, later)]
used = [json.loads, json, json.__name__, later] * 1000
print(json.loads("[1]"), [sys.getrefcount(one) - count for one, count in zip(used, before)])
"""
    line = [sys.executable, "-c", text]
    found = told(warm_starts.Cold, line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    # Before Python 3.12, every object is counted.
    counted = 0 if sys.version_info >= (3, 12) else 1000
    assert found == (0, f"[1] [{counted}, {counted}, {counted}, 1000]\n".encode(), b"")
