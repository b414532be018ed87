"""Trying out and ending what agents do, through the control API. client: calls operations by their id."""

from __future__ import annotations

from typing import Any

from answerable.adapters.sqlite import SqliteDrillRegister
from answerable.core.containment.drill import DRILL_KINDS
from answerable.flows.drill_desk import DrillDesk
from answerable.testing.registers import fresh
from answerable.wiring.drills import drill_ground
from tests.control_world import Product, World
from tests.stop_calls import stop_and_revoke_everything


async def use_containment(client: Any, product: Product, world: World) -> None:
    """Drills last: each of a revocation leaves one."""
    await stop_and_revoke_everything(client, product, world)
    await use_drills(client, product)


async def use_drills(client: Any, product: Product) -> None:
    wanted = {"drill": "stop", "name": "crm.read"}
    assert (await client("run_drill", wanted, status=403))["code"] == "drill.not_kept"
    assert (await client("list_drills"))["items"] == []
    product.walk.drills = DrillDesk(register=fresh(SqliteDrillRegister), ground=drill_ground)
    made = []
    for kind in DRILL_KINDS:
        made.append(await client("run_drill", {"drill": kind, "name": "crm.read", "kind": "capability"}))
    assert [(one["passed"], one["faults"]) for one in made] == [(True, [])] * 3
    assert (await client("list_drills"))["items"] == made[::-1]
    for body, status, code in (
        ({"drill": "fire", "name": "crm.read"}, 400, "drill.kind"),
        ({"drill": "stop", "name": "crm.read", "kind": "server"}, 400, "drill.kind"),
        ({"drill": "stop", "name": "nobody"}, 404, "drill.unknown"),
    ):
        assert (await client("run_drill", body, status=status))["code"] == code
