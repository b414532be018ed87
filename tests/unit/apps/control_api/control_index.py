"""Ask the index by the control API: where none is kept, and where one is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.worlds.asked_index import IndexAtHand
from tests.worlds.control import Product


def indexed(product: Product) -> Product:
    """The same product beside an index."""
    return replace(product, searches=IndexAtHand(product.walk.recorder))


async def use_index(bare: Any, client: Any, mandate: str) -> None:
    named = {"show_timeline": {"name": mandate}, "show_name": {"name": mandate}}
    named |= {"show_mandate_tree": {"id": mandate}, "find_actions": {"model": "m"}}
    name = (await client("list_capabilities"))["items"][0]["name"]
    named |= {"tell_possible": {"action": name, "at": "253402300799999"}, "export_evidence": {}}
    about = {"entries": [], "about": {"mandate": mandate}, "reveal": []}
    listed = ("search_actions", "show_scope", "list_accounts", "list_logs", "replay_decisions")
    for operation in (*listed, *named):
        body = about if operation == "export_evidence" else None
        refused = await bare(operation, body, status=503, **named.get(operation, {}))
        assert (refused["code"], "`search.enabled`" in refused["detail"]) == ("search.off", True)
    assert [one["state"] for one in (await client("list_logs"))["items"]] == ["silent"]
    story = await client("show_timeline", name=mandate, q="kind:intent", limit="5")
    assert [line["kind"] for line in story["lines"]][0::6] == ["mandate_issued"]
    assert (await client("show_timeline", name="nobody"))["lines"] == []
    assert (await client("show_name", name=mandate))["may_be"][0]["ask"] == f"mandate:{mandate}"
    assert (await client("show_scope", q="agent:support-agent"))["actions"] == 1
    assert (await client("list_accounts", target="shop-db"))["items"] == []
    tree = await client("show_mandate_tree", id=mandate)
    assert (tree["state"], tree["actions"]["done"], tree["hops"]) == ("closed", 1, [])
    await client("find_actions", status=403, model="m")
    (then,) = (await client("tell_possible", **named["tell_possible"]))["agents"]
    assert (then["agent"], then["by"]) == ("support-agent", ["mandate.closed"])
    await client("tell_possible", status=400, action=name, at="253402300800000")
    assert (await client("search_actions", q="kind:intent"))["items"][0]["mandate"] == mandate
