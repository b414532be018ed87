"""Every operation of the control API about the definitions of tools, and about who is told of what ended, for the test
that uses all there are."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.tools.tool_approval import signed_approval
from answerable.sdk.keyfile import load_key
from tests.worlds.event import desk_on, stream

if TYPE_CHECKING:
    from tests.worlds.control import Product, World


async def use_tools(client: Any, product: Product, world: World) -> None:
    """Every operation about the definitions of tools, and about who is told."""
    (first, *_) = (await client("list_tools", name="crm"))["items"]
    found = await client("show_tool", name="crm", tool=first["name"])
    assert (found["tool"], found["changes"]) == (first, [])
    token = signed_approval(
        "crm",
        first["name"],
        definition=sha256(found["text"].encode()).hexdigest(),
        previous=first["pinned"],
        owner=PrincipalId("ada"),
        key=load_key(world.key("ada")),
        at=UnixMillis(product.walk.clock.now()),
    )
    pin = await client("approve_tool", {"token": token})
    assert pin == (await client("show_tool", name="crm", tool=first["name"]))["pin"]
    assert (pin["definition"], pin["source"], pin["signed_by"]) == (first["offered"], "owner", "ada")
    object.__setattr__(product, "events", desk_on(product))
    product.events.register.put(stream())
    (item,) = (await client("list_event_streams"))["items"]
    assert (item["receiver"], item["status"], item["waiting"]) == ("scout", "enabled", 0)
