"""Commands whose streams take nothing or not every character, and commands that are interrupted at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import answerable
from answerable.apps.cli.exit_codes import CHECK_FAILED, ERROR, OK, USAGE
from answerable.interruption import INTERRUPTED
from tests.probes.warm_starts import COLD

SOURCES = Path(answerable.__file__).parent.parent
FULL = Path("/dev/full")
INTERRUPTED_WHILE_IMPORTED = """
import os, signal, sys

module, data = sys.argv[1:]

class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from answerable.__main__ import run
sys.argv[1:] = ["check-config", "--data", data]
run()
"""


def command(*arguments: str, env: dict[str, str], **given: Any) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "answerable", *arguments]
    # As people have it: an interpreter without buffers has nothing left to write at its end.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        # How an interpreter begins and ends is looked at: one that was forked does neither by itself.
        line,
        env={**inherited, "PYTHONPATH": str(SOURCES), COLD: "yes", **env},
        timeout=60,
        check=False,
        **given,
    )


@pytest.mark.requirement("CLI-03")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--help"], ERROR), (["nonsense"], USAGE), (["check-config"], CHECK_FAILED), (["key", "new"], USAGE)],
)
def test_streams_that_are_full_change_no_exit_code_and_print_no_traceback(
    tmp_path: Path, arguments: list[str], expected: int
) -> None:
    (tmp_path / "answerable.toml").write_text("nonsense = 1\n")
    env = {"ANSWERABLE_DATA": str(tmp_path)}
    with FULL.open("wb") as full:
        both = command(*arguments, env=env, stdout=full, stderr=full)
        errors = command(*arguments, env=env, stdout=subprocess.PIPE, stderr=full)
        output = command(*arguments, env=env, stdout=full, stderr=subprocess.PIPE)
    # What is printed on standard output is lost there, and that is an error.
    assert both.returncode in (expected, ERROR)
    assert errors.returncode == (OK if expected == ERROR else expected)
    assert b"Traceback" not in output.stderr
    assert output.returncode in (expected, ERROR)


@pytest.mark.requirement("CLI-03")
def test_characters_that_the_output_cannot_encode_are_written_as_their_codes(tmp_path: Path) -> None:
    (tmp_path / "answerable.toml").write_text('"ключ" = 1\n', encoding="utf-8")
    env = {"PYTHONIOENCODING": "latin-1"}
    done = command("check-config", "--data", str(tmp_path), env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (CHECK_FAILED, b"")
    assert rb"\u043a\u043b\u044e\u0447" in done.stdout


@pytest.mark.requirement("CLI-03")
@pytest.mark.parametrize(
    "module", ["answerable.main", "answerable.apps.cli.checks", "answerable.wiring.settings"]
)
def test_an_interrupt_ends_a_command_that_is_still_being_imported_in_one_line(
    tmp_path: Path, module: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTED, module, str(tmp_path)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (INTERRUPTED, b"answerable: interrupted\n")


@pytest.mark.requirement("CLI-03")
def test_a_server_that_cannot_read_a_mapped_file_says_why_it_ends(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "answerable", "witness", "serve", "--data", str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with subprocess.Popen(line, env=env, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        assert server.stderr.readline().startswith(b"witness")
        # As the kernel ends who reads a page that the disk does not give.
        server.send_signal(signal.SIGBUS)
        said = server.stderr.read()
    assert server.returncode == -signal.SIGBUS
    assert b"Bus error" in said
