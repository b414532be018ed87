"""Every operation about workloads, tools and the trust domain."""

from __future__ import annotations

from typing import Any

from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest import Manifest
from answerable.core.registry.manifests.manifest_token import signed_manifest
from answerable.sdk.keyfile import load_key
from answerable.testing.contracts.instance_register import instance as running_instance
from tests.unit.apps.control_api.control_tools import use_tools
from tests.worlds.control import Product, World


async def use_identity(client: Any, product: Product, world: World, name: str = "support-agent") -> None:
    await use_tools(client, product, world)
    manifest = Manifest(agent=AgentId(name), environment="production", tier=2, model_name="m")
    at = UnixMillis(product.walk.clock.now())
    signed = signed_manifest(manifest, owner=PrincipalId("ada"), key=load_key(world.key("ada")), at=at)
    assert await client("register_manifest", {"token": signed}) == await client("show_manifest", name=name)
    seen = await client("show_agent_tools", name=name)
    assert (seen["verdict"], seen["expected"], seen["grade"]) == ("unmeasured", "", "gateway")
    assert (await client("make_join_token", {"label": "ci"}, name=name))["agent"] == name
    reported = await client("report_servers", {"agent": name, "servers": []})
    assert (reported["unregistered"], (await client("show_agent", name=name))["active"]) == (0, True)
    assert (await client("list_instances"))["items"] == (await client("list_seen"))["items"] == []
    before = await client("show_trust_domain")
    (active,) = before["authorities"]
    assert len((await client("show_bundle"))["keys"]) == 3
    rotated = await client("rotate_authority", {"activate": True})
    assert [one["state"] for one in rotated["authorities"]] == ["old", "active"]
    removed = await client("remove_authority", {}, id=active["id"][:8])
    assert [one["state"] for one in removed["authorities"]] == ["removed", "active"]
    assert removed["sequence"] > rotated["sequence"] > before["sequence"]
    leaves = [leaf_of(stored) for stored in product.walk.recorder.ledger.replay()]
    changes = [leaf for leaf in leaves if leaf["tag"] == Tag.AUTHORITY_CHANGED]
    assert [(one["authority"], one["state"]) for one in changes][-1] == (active["id"], "removed")
    refused = await client("remove_authority", {}, status=404, id="ffff")
    assert refused["code"] == "authority.unknown"
    one = running_instance(process="boot:7:99")
    product.workloads.instances.add(one)
    ended = await client("end_instance", {"instance": str(one.id)})
    assert ended["instances_ended"] == [str(one.id)]
    assert (await client("end_instance", {"instance": str(one.id)}))["instances_ended"] == []
    assert (await client("list_instances"))["items"] == []
    assert (await client("set_agent_standing", {"status": "suspended"}, name=name))["changed"]
