"""Somebody presses Ctrl-C while `answerable stop` shows what comes of a stop: at a real terminal, of a real server."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.worlds.enrolment import fresh_key
from tests.worlds.mail import mailbox
from tests.worlds.up import WAIT_SECONDS_MAX, House, environment, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="agents are attested by Linux's kernel"),
    pytest.mark.requirement("STOP-10"),
]
CTRL_C = b"\x03"


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, house: House, *arguments: str) -> None:
        self.side, inner = pty.openpty()
        self.process = subprocess.Popen(
            house.line(*arguments),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environment() | {"TERM": "dumb"},
            preexec_fn=lambda: os.login_tty(inner),
        )
        os.close(inner)
        os.set_blocking(self.side, False)
        self._seen = b""

    def shows(self) -> str:
        """All that it has shown so far, as one line."""
        try:
            while more := os.read(self.side, 65_536):
                self._seen += more
        except (BlockingIOError, OSError):
            # Nothing more for now, or for good.
            pass
        return " ".join(self._seen.decode().split())

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, WAIT_SECONDS_MAX)


@contextmanager
def at_terminal(house: House, *arguments: str) -> Iterator[Terminal]:
    terminal = Terminal(house, *arguments)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.side)


async def test_ctrl_c_while_the_report_is_live_ends_the_showing_and_the_hold_stands(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        scout = fresh_key()
        await box.instance(scout)
        await box.deletes(scout, "first")
        purging = asyncio.create_task(box.asked(scout, "tools/call", "mail_purge", which="all"))
        await until(lambda: any("mail_purge" in line for line in box.book), "a call in flight")
        # Whoever could say how it ended is gone: the report is live until the last deadline has passed.
        await box.home.stop(signal.SIGKILL)
        await asyncio.wait([purging])
        assert purging.exception() is not None
        await box.home.start()
        with at_terminal(box.home, "stop", "scout") as terminal:
            await until(lambda: "over by" in terminal.shows(), "a live report")
            os.write(terminal.side, CTRL_C)
            assert await terminal.ended() == 130
            said = terminal.shows()
        [hold] = (await box.told("/v1/holds?state=in_force"))["items"]
        assert "output ended; the hold is still in force" in said
        assert f"`answerable hold show {hold['id']}`" in said
        assert "1, 1 of them without an end yet" in said
        assert "Traceback" not in said
        assert not await box.is_let_in(fresh_key())
        shown = await box.command("hold", "show", hold["id"], "--json")
        assert not shown["report"]["complete"]


async def test_a_signal_before_there_is_an_answer_says_that_it_is_not_known(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        assert box.home.process is not None
        box.home.process.send_signal(signal.SIGSTOP)
        try:
            with at_terminal(box.home, "stop", "scout") as terminal:
                await asyncio.to_thread(waits_for_an_answer, terminal.process.pid)
                os.write(terminal.side, CTRL_C)
                assert await terminal.ended() == 130
                said = terminal.shows()
        finally:
            box.home.process.send_signal(signal.SIGCONT)
        assert "the hold may or may not be in force" in said
        assert "Traceback" not in said
        told = await box.command("stop", "scout", "--json")
        held = (await box.told("/v1/holds?state=in_force"))["items"]
        assert [one["id"] for one in held] == [told["hold"]["id"]]


def waits_for_an_answer(pid: int) -> None:
    """It has had an open socket for a while: it has asked, and the stopped server does not answer."""
    since, give_up_at = time.monotonic(), time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() - since < 1:
        files = Path(f"/proc/{pid}/fd")
        if not any(link.startswith("socket:") for link in map(link_of, files.iterdir())):
            since = time.monotonic()
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def link_of(file: Path) -> str:
    try:
        return os.readlink(file)
    except FileNotFoundError:
        return ""
