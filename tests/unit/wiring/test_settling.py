"""What is due again and again goes on when it cannot be written now, and ends the process when the log failed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from answerable.errors import Unavailable
from answerable.testing.builders import Bench
from answerable.wiring import settling as settled
from tests.worlds.gateway import until
from tests.worlds.parts import to_govern

pytestmark = pytest.mark.anyio


def failing(monkeypatch: Any, code: str, port: str) -> list[str]:
    """The holds cannot be gone on with. Returns what was gone on with, in order."""
    done: list[str] = []

    async def resumed(*_: Any) -> int:
        done.append("holds")
        raise Unavailable("cannot be written", code=code, port=port)

    async def counted(*_: Any) -> None:
        done.append("counted")

    monkeypatch.setattr(settled, "resume_holds", resumed)
    monkeypatch.setattr(settled, "record_counted_refusals", counted)
    return done


@pytest.mark.requirement("FULLDISK-01")
@pytest.mark.parametrize(
    ("code", "port"),
    [
        ("register.unavailable", "register"),
        ("subject_keys.corrupt", "subject_keys"),
        ("ledger.full", "ledger"),
    ],
)
async def test_what_cannot_be_had_now_ends_no_server_and_keeps_nothing_else_from_being_written(
    code: str, port: str, monkeypatch: Any
) -> None:
    done = failing(monkeypatch, code, port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settled.settling, *to_govern(Bench().walk), None, 0.01)
        await until(lambda: done[:4] == ["holds", "counted"] * 2, seconds=20)
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("FULLDISK-09")
async def test_a_log_that_failed_ends_it(monkeypatch: Any) -> None:
    failing(monkeypatch, "ledger.poisoned", "ledger")
    with pytest.raises(Unavailable, match="cannot be written"), anyio.fail_after(20):
        await settled.settling(*to_govern(Bench().walk), None, 0.01)
