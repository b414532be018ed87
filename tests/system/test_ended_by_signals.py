"""A server that is sent more than one signal ends as at one: people press Ctrl-C until something happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.probes.warm_starts import COLD
from tests.worlds.up import WAIT_SECONDS_MAX, House, until

pytestmark = pytest.mark.anyio

SERVES = {"broker": "broker  ", "up": "ledger  ", "witness": "witness  "}
"""How the line begins that each prints when it answers."""


@pytest.mark.requirement("HOUSE-90")
@pytest.mark.parametrize(
    ("what", "milliseconds"), [("broker", 2), ("broker", 7), ("broker", 20), ("up", 5), ("witness", 5)]
)
async def test_signals_one_after_the_other_end_a_server_in_order_and_without_a_traceback(
    tmp_path: Path, what: str, milliseconds: int
) -> None:
    said = tmp_path / "said"
    process = _started(House(tmp_path), said, *(("witness", "serve") if what == "witness" else (what,)))
    try:
        begins = f"\n{SERVES[what]}"
        await until(lambda: begins in f"\n{said.read_text()}" or process.poll() is not None, what)
        assert process.poll() is None, said.read_text()
        await asyncio.to_thread(_pressed, process, milliseconds / 1000)
        assert process.returncode == 0, said.read_text()
        assert "Traceback" not in said.read_text()
        assert "interrupted" not in said.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.requirement("HOUSE-90")
@pytest.mark.parametrize("what", SERVES)
async def test_a_closed_terminal_ends_a_server_in_order(tmp_path: Path, what: str) -> None:
    said = tmp_path / "said"
    process = _started(House(tmp_path), said, *(("witness", "serve") if what == "witness" else (what,)))
    try:
        begins = f"\n{SERVES[what]}"
        await until(lambda: begins in f"\n{said.read_text()}" or process.poll() is not None, what)
        process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(process.wait, WAIT_SECONDS_MAX) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.requirement("HOUSE-91")
@pytest.mark.parametrize("what", SERVES)
async def test_signals_that_mean_nothing_end_no_server_and_are_told(tmp_path: Path, what: str) -> None:
    said = tmp_path / "said"
    process = _started(House(tmp_path), said, *(("witness", "serve") if what == "witness" else (what,)))
    try:
        begins = f"\n{SERVES[what]}"
        await until(lambda: begins in f"\n{said.read_text()}" or process.poll() is not None, what)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
            told = f"{number.name} means nothing here"
            await until(partial(_is_told, told, said, process), told)
            assert process.poll() is None, said.read_text()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, WAIT_SECONDS_MAX) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


HANDED_DOWN = """
import anyio, signal, subprocess, sys
from answerable.wiring.kept_process import stop_on_signal

async def serve():
    stop_on_signal(anyio.Event())
    asked = "import signal; print(*(signal.getsignal(one).name for one in (10, 12, 15)))"
    print(subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout)

anyio.run(serve)
"""


@pytest.mark.requirement("HOUSE-91")
def test_programs_that_a_server_starts_have_the_default_actions() -> None:
    done = subprocess.run([sys.executable, "-c", HANDED_DOWN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["SIG_DFL"] * 3


def _is_told(line: str, said: Path, process: subprocess.Popen[bytes]) -> bool:
    return line in said.read_text() or process.poll() is not None


def _started(home: House, said: Path, *words: str) -> subprocess.Popen[bytes]:
    # Under `nohup`, a server goes on where its terminal is closed: what these tests began under is not asked.
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with said.open("wb") as file:
            return subprocess.Popen(
                home.line(*words),
                # How an interpreter ends is looked at: one that was forked does not do that by itself.
                env=home.environment | {COLD: "yes"},
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
            )
    finally:
        signal.signal(signal.SIGHUP, inherited)


def _pressed(process: subprocess.Popen[bytes], pause: float) -> None:
    """Send signals until it has ended."""
    give_up_at = time.monotonic() + WAIT_SECONDS_MAX
    while process.poll() is None and time.monotonic() < give_up_at:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(pause)


RAISED_IN_A_TASK = """
import os, signal, sys, anyio
from answerable.apps.cli.exit_codes import exit_code_of
from answerable.apps.cli.terminal import Terminal

async def interrupted():
    async with anyio.create_task_group():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

sys.exit(exit_code_of(Terminal(), lambda: anyio.run(interrupted)))
"""


@pytest.mark.requirement("HOUSE-90")
def test_a_second_signal_that_is_raised_in_a_task_ends_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAISED_IN_A_TASK],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (130, "answerable: interrupted\n")
