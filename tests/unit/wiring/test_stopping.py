"""Stop rules in the assembled product: over real registers, beside the doors, and after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio import create_task_group

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.wiring.assemble import Product, assembled
from answerable.wiring.settings import load_settings
from answerable.wiring.stops import following_stops
from tests.worlds.gateway import until
from tests.worlds.parts import to_apply, to_govern
from tests.worlds.rule import denied

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("RULE-05")]


async def refused(product: Product) -> str:
    """An action of scout's under no mandate, on a server that is not there: it is refused in any case."""
    action, caller = Bench(clock=product.walk.clock).request("get_case", {"case": "4711"}, mandate="m-9")
    with pytest.raises(Refused) as raised:
        await govern_action(*to_govern(product.walk), action, caller)
    return raised.value.code


def fired(product: Product) -> list[int]:
    return [one.index for one in product.walk.recorder.ledger.replay() if one.tag == Tag.RULE_FIRED]


async def test_what_a_rule_counted_outlives_the_process_and_what_it_tripped_is_placed_beside_the_doors(
    tmp_path: Path,
) -> None:
    settings = load_settings(tmp_path)
    async with assembled(settings) as product:
        await apply_registry(*to_apply(product.walk), [*bench_documents(), denied(3)], by="operator")
        assert [await refused(product) for _ in range(3)] == ["mandate.unknown"] * 3
    async with assembled(settings) as product:
        # The fourth is one too many, though this process has seen one alone.
        await refused(product)
        assert [hold.what.name for hold in product.walk.authority.tripped.tripped.values()] == ["scout"]
        async with create_task_group() as tasks:
            tasks.start_soon(
                following_stops,
                product.walk.recorder,
                product.walk.authority,
                product.walk.live,
                product.walk.counters,
                product.walk.limits,
                settings.data,
                product.workloads,
            )
            await until(lambda: bool(fired(product)), seconds=20)
            tasks.cancel_scope.cancel()
        assert product.walk.authority.tripped.tripped == {}
    async with assembled(settings) as product:
        [hold] = product.walk.authority.holds.all()
        assert (hold.what.name, hold.rule) == ("scout", "denials")
        assert len(fired(product)) == 1


async def test_what_tripped_and_was_never_placed_is_held_when_the_next_process_starts(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    async with assembled(settings) as product:
        await apply_registry(*to_apply(product.walk), [*bench_documents(), denied(0)], by="operator")
        await refused(product)
        assert [*product.walk.authority.tripped._register.all()] == []
    async with assembled(settings) as product:
        assert [hold.what.name for hold in product.walk.authority.holds.all()] == ["scout"]
