"""A pipe in the place of a file that a start reads: nobody waits for it, and the message names the file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.system import SystemEntropy
from answerable.errors import AnswerableError
from answerable.plain_file import NotPlain, open_plain, read_plain
from answerable.wiring.assemble import assembled
from answerable.wiring.leases import warrant_signer
from answerable.wiring.settings import faults, load_settings, secret
from tests.probes.small_disk import on_a_small_disk
from tests.worlds.up import house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BOUNDARY-13")]

HANGS_SECONDS = 30
"""It bounds a test that hangs, and is no claim."""
READ_AT_A_START = (
    "keys/subjects.key",
    "ledger/checkpoint",
    "ledger/checkpoints.log",
    "ledger/cosigned",
    "ledger/cosigned.log",
    "ledger/head",
    "ledger/log.pub",
)


@contextlib.contextmanager
def pipe_for(path: Path) -> Iterator[None]:
    """A pipe under this name, while it lasts; whoever would wait for it is let go at the end."""
    aside = path.parent.parent / "aside"
    had = path.exists()
    if had:
        shutil.move(path, aside)
    os.mkfifo(path, 0o600)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        path.unlink()
        if had:
            shutil.move(aside, path)


async def refusal(run: Callable[[], object]) -> str:
    with pytest.raises(AnswerableError) as refused:
        await asyncio.wait_for(asyncio.to_thread(run), HANGS_SECONDS)
    return refused.value.message


def start(place: Path) -> None:
    """As `answerable up`, and `answerable doctor` where no server runs, assemble the product."""

    async def assembling() -> None:
        async with assembled(load_settings(place)):
            pass

    asyncio.run(assembling())


async def test_a_pipe_for_any_file_that_a_start_reads_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "answerable.toml").write_text(on_a_small_disk("[identity]\ntrust_domain = 'example.org'\n"))
    await asyncio.to_thread(start, tmp_path)
    for name in READ_AT_A_START:
        path = tmp_path / name
        with pipe_for(path):
            assert f"{path.name}`" in await refusal(lambda: start(tmp_path)), name
    await asyncio.to_thread(start, tmp_path)


async def test_a_pipe_for_a_secret_or_the_settings_is_a_fault_by_name(tmp_path: Path) -> None:
    pipe = tmp_path / "answerable.toml"
    with pipe_for(pipe):
        assert pipe.name in await refusal(lambda: secret(f"file:{pipe}", data=tmp_path))
        (fault,) = await asyncio.wait_for(asyncio.to_thread(faults, tmp_path), HANGS_SECONDS)
        assert "answerable.toml" in fault
        assert "not a plain file" in fault


async def test_a_pipe_for_the_keys_of_warrants_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "warrant-keys.json"
    settings = load_settings(tmp_path)
    settings = replace(settings, broker=replace(settings.broker, warrant_keys=path))
    with pipe_for(path):
        said = await refusal(lambda: warrant_signer(settings, "example.org/log", SystemEntropy()))
        assert path.name in said
        assert "move it away" in said


async def test_a_server_and_doctor_end_at_a_pipe_and_name_it(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        await place.start()
        await place.stop(signal.SIGTERM)
        key = next((place.data / "keys" / "identity").glob("*.pem"))
        with pipe_for(key):
            said = await place.refused()
            assert f"`{key.name}` cannot be read: not a plain file" in said
        with pipe_for(place.data / "ledger" / "head"):
            assert "head` is not a plain file" in place.finished("doctor").stdout


def test_what_is_opened_is_a_plain_file_or_nothing(tmp_path: Path) -> None:
    plain, link = tmp_path / "plain", tmp_path / "link"
    plain.write_bytes(b"content")
    link.symlink_to(plain)
    assert read_plain(link, 3) == b"con"
    with pytest.raises(OSError, match="symbolic links"):
        open_plain(link, follow=False)
    with pytest.raises(IsADirectoryError):
        open_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")
    with pytest.raises(NotPlain):
        open_plain(Path("/dev/null"))
