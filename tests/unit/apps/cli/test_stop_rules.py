"""`answerable stop-rule simulate` on a product in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.flows.policy import try_rule
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench
from tests.probes.typed_lines import typed
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.control import Product
from tests.worlds.parts import to_apply
from tests.worlds.rule import HUGE, code_of, denied, rule, ruled

pytestmark = [pytest.mark.requirement("RULE-09")]

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    made: list[Bench] = []

    async def bench() -> Bench:
        if not made:
            one = await ruled()
            for _ in range(3):
                await code_of(one.refund(HUGE))
            await code_of(one.act())
            await apply_registry(
                *to_apply(one.walk), [denied(1, dryRun=True), rule("flood", "refusal_flood")], by="operator"
            )
            made.append(one)
        return made[0]

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        walk = (await bench()).walk
        searches = IndexAtHand(walk.recorder)
        yield control_app(Product(walk=walk, log_key="", published=None, searches=searches))

    def run(*arguments: str | Path, code: int = 0) -> Result:
        given = [*map(str, arguments), "--data", str(tmp_path)]
        result = typed(offline, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def test_what_would_be_held_is_listed_with_its_price(command: Command) -> None:
    said = command("stop-rule", "simulate", "denials", "--since", "all").output
    assert "agent scout" in said
    assert "1 holds in the whole ledger, which would have stopped 1 actions that were done" in said
    found = json.loads(command("stop-rule", "simulate", "denials", "--since", "all", "--json").stdout)
    [firing] = found["firings"]
    assert (firing["kind"], firing["name"], firing["value"], firing["stopped"]) == ("agent", "scout", 2, 1)
    assert (found["partial"], found["unlisted"]) == (False, 0)


def test_what_was_not_read_or_cannot_be_is_said(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no stop rule `x`" in command("stop-rule", "simulate", "x", code=1).output
    assert "0 holds in the last 7d" in command("stop-rule", "simulate", "flood").output
    monkeypatch.setattr(try_rule, "SECONDS_MAX", -1)
    monkeypatch.setattr(try_rule, "FIRINGS_MAX", 0)
    assert "this is incomplete" in command("stop-rule", "simulate", "denials", "--since", "all").output
