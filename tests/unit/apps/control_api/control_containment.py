"""Trying out and ending what agents do, through the control API. client: calls operations by their id."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import msgspec

from answerable.adapters.sqlite import SqliteDrillRegister
from answerable.api.hold_answers import Hold
from answerable.apps.cli.holds import hold_in
from answerable.core.containment.drill import DRILL_KINDS
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_lift
from answerable.testing.registers import fresh
from answerable.wiring.drills import drill_ground
from tests.worlds.control import Product, World
from tests.worlds.parts import to_govern
from tests.worlds.revocation_calls import revoke_everything


async def stop_and_revoke_everything(client: Any, product: Product, world: World) -> None:
    """Both, in this order: what is revoked never acts again."""
    await stop_and_lift(client, product, world)
    await revoke_everything(client)


async def stop_and_lift(client: Any, product: Product, world: World) -> None:
    """client: calls operations by their id."""
    stopped = await client("stop", {"name": "crm", "reason": "it answers nonsense", "seconds": 60})
    hold = stopped["hold"]
    assert (hold["kind"], hold["by"], stopped["new"]) == ("server", f"uid:{os.geteuid()}", True)
    assert await client("show_hold", id=hold["id"]) == hold
    assert (await client("list_holds", state="in_force"))["items"] == [hold]
    again = await client("show_containment", id=hold["id"])
    assert again["hold"] == hold["id"]
    # The answer to the stop has it too where it is known soon.
    assert stopped["report"] is None or stopped["report"]["entry"] == again["entry"]
    for wrong in ({"seconds": -1}, {"seconds": "60"}, {"seconds": True}, {"seconds": 10**12}, {"by": "ada"}):
        refused = await client("stop", {"name": "crm", **wrong}, status=400)
        assert refused["code"] == "request.body"
    assert (await client("stop", {"name": "nobody"}, status=404))["code"] == "holdable.unknown"
    assert (await client("stop", {"kind": "agent"}, status=400))["code"] in ("name.invalid", "hold.name")
    assert (await client("show_hold", status=404, id="hold_x"))["code"] == "hold.unknown"
    assert (await client("lift_hold", {"token": "x"}, status=404, id="hold_x"))["code"] == "hold.unknown"
    for person in ("bela", "chen"):
        token = signed_lift(
            hold_in(msgspec.convert(hold, Hold)),
            by=PrincipalId(person),
            reason="it answers well",
            audience=hold["audience"],
            at=UnixMillis(product.walk.clock.now()),
            key=load_key(world.key(person)),
        )
        lifted = await client("lift_hold", {"token": token}, id=hold["id"])
    assert (lifted["state"], [one["by"] for one in lifted["agreed"]]) == ("lifted", ["bela", "chen"])
    assert (await client("lift_hold", {"token": token}, status=409, id=hold["id"]))[
        "code"
    ] == "hold.lifted_already"
    assert (await client("list_holds", state="in_force"))["items"] == []


async def use_containment(client: Any, product: Product, world: World) -> None:
    """Drills last: each of a revocation leaves one."""
    await stop_and_revoke_everything(client, product, world)
    await use_drills(client, product)


async def use_drills(client: Any, product: Product) -> None:
    wanted = {"drill": "stop", "name": "crm.read"}
    assert (await client("run_drill", wanted, status=403))["code"] == "drill.not_kept"
    assert (await client("list_drills"))["items"] == []
    drills = product.walk.drills
    drills.register = fresh(SqliteDrillRegister)
    drills.ground = partial(drill_ground, *to_govern(product.walk))
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
