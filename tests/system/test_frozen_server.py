"""A server that hangs, and whoever asks it: told within seconds that it gives no answer, and what needs none."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.worlds.up import PEOPLE, House, house, until

pytestmark = [
    pytest.mark.anyio,
]
REGISTRY = "registry.yaml"
ASKING = (
    ("status",),
    ("hold", "list"),
    ("agent", "list"),
    ("approval", "list"),
    ("doctor",),
    ("apply", "-f", REGISTRY),
    ("stop", "everything"),
)


async def told(place: House, *command: str) -> str:
    named = [str(place.root / one) if one == REGISTRY else one for one in command]
    done = await asyncio.to_thread(place.finished, *named)
    assert done.returncode != 0, command
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


async def first_words(place: House, *command: str) -> str:
    """What a command that waits long says while it waits; then it is ended."""
    process = await asyncio.create_subprocess_exec(
        *place.line(*command), env=place.environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    line = await process.stderr.readline()
    process.kill()
    await process.wait()
    return line.decode()


@pytest.mark.requirement("WORDS-12")
async def test_commands_at_a_frozen_server_say_so_and_name_panic_which_works(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        await place.start()
        assert place.process is not None
        (tmp_path / REGISTRY).write_text(PEOPLE)
        place.process.send_signal(signal.SIGSTOP)
        try:
            said = await asyncio.gather(*(told(place, *command) for command in ASKING))
            for command, words in zip(ASKING, said, strict=True):
                assert "within 10 s" in words, command
                assert "`answerable panic` holds everything at once" in words, command
            waiting = await first_words(place, "ledger", "seal")
            assert "still waiting" in waiting
            assert "`answerable panic`" in waiting
            place.command("panic", "--reason", "the server hangs")
        finally:
            place.process.send_signal(signal.SIGCONT)
        await until(
            lambda: '"everything"' in place.command("hold", "list", "--json"), "the hold of the press"
        )
