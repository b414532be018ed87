"""Claims about what a person or a pipe sees."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import answerable
from answerable.apps.cli.terminal import Terminal, safe
from answerable.errors import Malformed

FILES_READ = ()
SOURCES = Path(answerable.__file__).parent.parent
HOSTILE = "pay\x1b[2K\r\u202eevil\u200b\x9b31m\nnext"


def test_nothing_that_moves_the_cursor_or_hides_text_gets_through() -> None:
    shown = safe(HOSTILE)
    assert shown.isprintable()
    assert shown == r"pay\u{1b}[2K\u{d}\u{202e}evil\u{200b}\u{9b}31m\u{a}next"


def test_text_of_others_is_safe_in_every_kind_of_output(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.line(HOSTILE)
    terminal.table(("a", "b"), [(HOSTILE, HOSTILE)], empty="")
    terminal.record([("name", HOSTILE), ("list", [HOSTILE])])
    for say in (terminal.say, terminal.warn, terminal.fault):
        say(HOSTILE)
    captured = capsys.readouterr()
    for line in (captured.out + captured.err).split("\n"):
        assert all(character.isprintable() for character in line)


def test_results_go_to_standard_output_and_messages_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    terminal.table(("name", "state"), [("x", "open"), ("longer", "closed")], empty="none")
    terminal.say("told")
    terminal.table(("name",), [], empty="none")
    captured = capsys.readouterr()
    assert captured.out == "NAME    STATE\nx       open\nlonger  closed\n"
    assert captured.err == "told\nnone\n"


def test_quiet_drops_messages_but_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(quiet=True)
    terminal.say("told")
    terminal.fault("wrong")
    assert capsys.readouterr().err == "answerable: wrong\n"


def test_json_is_one_line_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=True).json({"a": ["\u202e", 1]})
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert text.isascii()
    assert json.loads(text) == {"a": ["\u202e", 1]}


def test_nobody_is_asked_where_there_is_no_terminal() -> None:
    with pytest.raises(Malformed) as caught:
        Terminal().confirmed("Sure?", yes=False)
    assert caught.value.code == "cli.confirmation"
    assert Terminal().confirmed("Sure?", yes=True)


@pytest.fixture
def on_a_terminal() -> Iterator[object]:
    def seen(code: str, *, answer: bytes = b"", **environment: str) -> str:
        ours, theirs = pty.openpty()
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        child = subprocess.Popen(
            [sys.executable, "-c", f"from answerable.apps.cli.terminal import Terminal\n{code}"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**clean, "TERM": "xterm", "PYTHONPATH": str(SOURCES), **environment},
        )
        os.close(theirs)
        if answer:
            os.write(ours, answer)
        read = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            read += piece
        assert child.wait(10) == 0
        os.close(ours)
        return read.decode()

    return seen


TABLE = "Terminal({}).table(('name', 'state'), [('x', 'open')], empty='')"


def test_colour_on_a_terminal_only_and_never_with_no_color(on_a_terminal) -> None:
    assert "\x1b[" in on_a_terminal(TABLE.format(""))
    assert "\x1b[" not in on_a_terminal(TABLE.format("colour=False"))
    assert "\x1b[3" not in on_a_terminal(TABLE.format(""), NO_COLOR="1")


def test_a_heading_stands_out_on_a_terminal_and_is_a_plain_line_elsewhere(
    on_a_terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b[1mleaf\x1b[0m" in on_a_terminal("Terminal().heading('leaf')")
    Terminal().heading("leaf")
    assert capsys.readouterr().out == "leaf\n"


@pytest.mark.parametrize(
    ("answer", "taken"), [(b"y\n", True), (b"Yes\n", True), (b"\n", False), (b"no\n", False)]
)
def test_a_person_is_asked_and_silence_is_no(on_a_terminal, answer: bytes, taken: bool) -> None:
    seen = on_a_terminal("print(Terminal().confirmed('Sure?', yes=False))", answer=answer)
    assert "Sure? [y/N]" in seen
    assert str(taken) in seen


def test_in_one_file_a_message_stands_after_the_result_that_it_is_about() -> None:
    script = (
        "from answerable.apps.cli.terminal import Terminal; one = Terminal()\n"
        "one.line('result'); one.warn('about it'); one.line('more'); one.fault('an end')"
    )
    # A pipe takes what is written in blocks, unless the environment says otherwise.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=kept | {"PYTHONPATH": str(SOURCES)},
        text=True,
        check=True,
    )
    assert done.stdout == "result\nabout it\nmore\nanswerable: an end\n"
