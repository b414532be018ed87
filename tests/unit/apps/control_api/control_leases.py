"""What operators ask of the control API about leases, answered by a broker behind a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from answerable.adapters.broker_http import HttpLeaseBroker
from answerable.core.lease.lease import LEASE_STATES
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.state.lease_side import LeaseSide
from tests.worlds.broker_door import a_door
from tests.worlds.control import Product
from tests.worlds.lease import warrant


async def use_leases(client: Any, product: Product, folder: Path) -> None:
    """Every operation about leases: with nothing to ask, with one that is live, and after its end."""
    assert (await client("list_leases", status=503))["code"] == "broker.none"
    async with a_door(folder) as door:
        product.walk.live.leases = LeaseSide(broker="broker", asks=HttpLeaseBroker(door.socket))
        assert [one["kind"] for one in (await client("list_targets"))["items"]] == ["memory"]
        assert (await client("list_lease_rights"))["items"] == []
        assert (await client("count_lease_use", {}))["templates"] == {}
        assert (await client("tell_lease_rights", {"documents": []})) == {"leases": []}
        nothing = {"capability": "nothing", "template": "0" * 64, "kept": []}
        assert (await client("narrow_lease", nothing, status=404))["code"] == "capability.unknown"
        assert {one["boundary"] for one in (await client("list_boundaries"))["items"]} == {"unknown"}
        order = warrant(now=door.world.clock.now(), window="task")
        await perform_leased(door.desk, order, "get", {"key": "case-1"})
        (live,) = (await client("list_leases", which="open"))["items"]
        assert (live["name"], live["uses"]) == (order.lease.name, 1)
        assert (live["state"] in LEASE_STATES, live["ended_at"]) == (True, "")
        assert await client("list_strays") == {"strays": [], "not_asked": []}
        assert await client("list_due_secrets") == {"due": []}
        # The target's own log names the account.
        ended = await client("end_lease", {"name": f"ans_{live['name']}"})
        assert [one["name"] for one in ended["ended"]] == [live["name"]]
        again = {"ended": [], "unrevoked": [], "more": 0}
        assert await client("end_lease", {"name": live["name"]}) == again
        for odd in ("nosuch", "../x", "ans_x"):
            assert (await client("end_lease", {"name": odd}, status=404))["code"] == "lease.unknown"
        assert (await client("list_leases", which="open"))["items"] == []
        assert [one["name"] for one in (await client("list_leases", which="ended"))["items"]] == [
            live["name"]
        ]
    product.walk.live.leases = None
