"""Canaries beside the doors: asked and told again and again, and ending nothing when they cannot be."""

from __future__ import annotations

import logging

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.wiring.settings import parse_settings
from answerable.wiring.settling import keep_canaries
from tests.worlds.canary import TESTED, bench_with_tests
from tests.worlds.parts import to_govern

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OVERSIGHT-07")]


async def test_rounds_ask_canaries_and_tell_those_that_are_over():
    bench = await bench_with_tests(TESTED)
    for _ in range(40):
        bench.clock.advance(300)
        await keep_canaries(*to_govern(bench.walk))
    asked = [
        one for one in bench.authority.approvals.all(pending_only=False, now=0) if one.canary is not None
    ]
    # Of a hundred a day some fourteen in these hours, by the chance of the bench.
    assert 5 <= len(asked) <= 25
    bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000 + 5 * 3600)
    await keep_canaries(*to_govern(bench.walk))
    assert {one["approval"] for one in bench.entries(Tag.CANARY_TOLD)} == {one.id for one in asked}


async def test_a_register_that_does_not_answer_ends_nothing_and_is_said(caplog, monkeypatch):
    bench = await bench_with_tests(TESTED)

    def broken(**_):
        raise Unavailable("the disk is gone", code="register.unavailable", port="approvals")

    monkeypatch.setattr(bench.authority.approvals, "all", broken)
    with caplog.at_level(logging.WARNING):
        await keep_canaries(*to_govern(bench.walk))
    assert "test questions cannot be asked or recorded now: the disk is gone" in caplog.text
    monkeypatch.undo()
    await keep_canaries(*to_govern(bench.walk))
    assert bench.asking.canaries.waiting == set()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('canaries_per_day = 3\ncanary_groups = ["approvers"]', False),
        ("canaries_per_day = 101", True),
        ("canaries_pending_max = 0", True),
        ("canary_tier_min = 4", True),
        ("canary_groups = [1]", True),
    ],
)
def test_settings_have_bounds(tmp_path, text, wrong):
    settings, faults, *_ = parse_settings(f"[walk]\n{text}\n".encode(), data=tmp_path)
    assert bool(faults) is wrong
    assert wrong or (settings.walk.canaries_per_day, settings.walk.canary_groups) == (3, ("approvers",))
