"""A server that starts while a short command works on its data directory waits for it, and not for long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest

from answerable.adapters.tlog_files import directory
from answerable.errors import Unavailable
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requirement("LEDGER-06")


@pytest.mark.anyio
async def test_a_log_that_is_soon_given_up_is_waited_for_and_any_other_is_refused(tmp_path: Path) -> None:
    settings, done = load_settings(tmp_path), anyio.Event()

    async def started_meanwhile() -> None:
        async with assembled(settings, wait_seconds_max=20.0) as product:
            assert product.ledger.size == 1, "opening and closing in order left no entry"
            done.set()

    async with anyio.create_task_group() as tasks, assembled(settings):
        for seconds in (0.0, 0.1):
            with pytest.raises(Unavailable) as refused:
                async with assembled(settings, wait_seconds_max=seconds):
                    pass
            assert refused.value.code == "ledger.locked"
        tasks.start_soon(started_meanwhile)
        await anyio.sleep(0.05)
        assert not done.is_set()
    assert done.is_set()


def test_the_refusal_names_the_other_process_only_when_its_number_is_known(tmp_path: Path) -> None:
    held = directory.locked(tmp_path)
    with pytest.raises(Unavailable, match=r"another process, number `\d+`$"):
        directory.locked(tmp_path)
    (tmp_path / directory.LOCK).write_bytes(b"")
    with pytest.raises(Unavailable, match=r"is open in another process$"):
        directory.locked(tmp_path)
    os.close(held)
