"""The set in the shadow is followed as long as the product runs."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import pytest

from answerable.errors import Unavailable
from answerable.flows.policy.shadow_policy import start_shadow
from answerable.testing.builders import Bench
from answerable.wiring import policies
from tests.worlds.parts import to_shadow
from tests.worlds.publication import STOP, house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PUB-09")]


def changes(bench: Bench) -> dict[str, int]:
    seen = bench.walk.policies.seen
    return dict(seen.tally.changes) if seen is not None else {}


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if holds():
            return
        await anyio.sleep(0.01)
    pytest.fail("it did not come true")


async def test_what_is_decided_is_compared_within_a_moment_and_a_failing_register_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(policies, "SHADOW_SECONDS", 0.01)
    bench = await Bench().registered()
    await bench.issue()
    await start_shadow(
        bench.recorder.ledger,
        bench.authority.registry,
        bench.walk.policies,
        bench.walk.drills,
        bench.walk.limits,
        bench.clock,
        bench.walk.entropy,
        [house(STOP)],
        by="operator",
    )
    records = bench.walk.policies.records
    assert records is not None
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(policies.following_shadow, *to_shadow(bench.walk))
            await bench.act()
            await until(lambda: changes(bench) == {"allow→deny": 1})

            def failing(*_: str) -> None:
                raise Unavailable("the disk is gone", code="register.unavailable", port="register")

            with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
                patched.setattr(records, "find", failing)
                await until(lambda: "the disk is gone" in caplog.text)
            await bench.act()
            await until(lambda: changes(bench) == {"allow→deny": 2})
            tasks.cancel_scope.cancel()
