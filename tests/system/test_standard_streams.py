"""Commands whose standard streams were closed, or take nothing; and words that are no text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import answerable
from answerable.core.containment.press import FILE
from tests.worlds.control import World, made_world, serving

pytestmark = pytest.mark.requirement("CLI-08")

SOURCES = Path(answerable.__file__).parent.parent
LINE = f'exec "{sys.executable}" -m answerable.main "$@"'
IN_PYTHON = """
import os, subprocess, sys
from answerable.main.standard_streams import open_closed
open_closed()
with open(sys.argv[1], "w") as file:
    print("printed")
    subprocess.run(["sh", "-c", "echo from below; echo wrong >&2"], check=True)
    print(file.fileno() > 2, file=file)
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    return made


def run(world: World, *words: str | bytes, streams: str = "") -> subprocess.CompletedProcess[str]:
    """streams: redirections, as a shell has them."""
    return subprocess.run(
        ["sh", "-c", f"{LINE} {streams}", "sh", *words],
        env={**os.environ, "PYTHONPATH": str(SOURCES), "ANSWERABLE_DATA": str(world.data)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_the_panic_button_is_pressed_whatever_became_of_the_streams(world: World, streams: str) -> None:
    done = run(world, "panic", "--json", streams=streams)
    assert (world.data / FILE).is_file(), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if streams == ">/dev/full" else 0), done.stderr


def test_a_result_that_cannot_be_printed_is_told_of_and_what_was_done_stays_done(world: World) -> None:
    with serving(world):
        done = run(world, "stop", "support-agent", "--kind", "agent", "--no-wait", streams=">/dev/full")
        assert done.returncode == 1
        assert (
            "standard output cannot be written (No space left on device): changes already made stay in force"
            in done.stderr
        )
        assert "Traceback" not in done.stderr
        assert "support-agent" in run(world, "hold", "list").stdout


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    file = tmp_path / "file"
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$1" "$2" <&- >&- 2>&-', "sh", IN_PYTHON, str(file)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert file.read_text() == "True\n"


@pytest.mark.parametrize("word", [b"\xff\xfe", b"case-\xe9"])
def test_a_word_that_is_no_text_is_refused_with_its_place(world: World, word: bytes) -> None:
    done = run(world, "timeline", word)
    assert done.returncode == 2
    assert "argument 2 is not valid UTF-8: " in done.stderr
    assert "\\x" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("word", ["panic", "stop"])
def test_whoever_stops_something_is_not_refused_for_how_they_say_why(world: World, word: str) -> None:
    reason = b"it deletes\n\xff " + b"x" * 600
    what: tuple[str, ...] = ("support-agent", "--kind", "agent", "--no-wait") if word == "stop" else ()
    with serving(world):
        done = run(world, word, *what, "--reason", reason)
        assert done.returncode == 0, done.stderr
        assert "it deletes" in run(world, "hold", "list").stdout or word == "panic"
    assert word == "stop" or "it deletes" in (world.data / FILE).read_text()


@pytest.mark.parametrize("id_", ["", "x" * 66_000], ids=["empty", "long"])
def test_an_id_that_nothing_has_is_refused_in_one_line(world: World, id_: str) -> None:
    with serving(world):
        done = run(world, "mandate", "close", id_, "--yes")
    assert done.returncode == 1
    assert "expected a name or an id of 1 to 2000 characters" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_leads_nowhere_is_named_in_one_line(world: World, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    for line in (
        f'cd "{gone}" && rmdir "{gone}" && "{sys.executable}" -m answerable.main panic',
        f'"{sys.executable}" -m answerable.main --data "~nobody-of-that-name" panic',
    ):
        environment = {name: value for name, value in os.environ.items() if name != "ANSWERABLE_DATA"}
        done = subprocess.run(
            ["sh", "-c", line],
            env={**environment, "PYTHONPATH": str(SOURCES)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "name the data directory in full with --data" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.requirement("FULLDISK-11")
def test_a_fault_in_the_settings_keeps_nobody_from_ending_what_a_server_runs(world: World) -> None:
    settings = world.data / "answerable.toml"
    before = settings.read_text() if settings.exists() else ""
    end = ("stop", "support-agent", "--kind", "agent", "--no-wait")
    with serving(world):
        settings.write_text(before + "prot = 1\n")
        done = run(world, *end)
        assert done.returncode == 0, done.stderr
        assert "the server that runs is asked all the same" in done.stderr
        settings.write_text(before)
        assert "support-agent" in run(world, "hold", "list").stdout
        settings.write_text(before + "prot = 1\n")
    done = run(world, *end)
    assert done.returncode == 1
    assert "nothing was ended" in done.stderr
    assert "`answerable panic` needs none" in done.stderr
