"""Who asks as an agent that is registered and not active: told so, in one word, however it proves itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from answerable.core.canonical import JSONValue, parse
from answerable.errors import Refused
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.moment import moment_now
from tests.worlds.gateway import World, gateway_world, modern, modern_headers
from tests.worlds.parts import to_apply, to_decide, to_govern

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller

pytestmark = pytest.mark.anyio
CALL = modern("tools/call", {"name": "customer_read", "arguments": {"case_id": "4711"}})
FIELDS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    **{
        name.replace("_", "-"): value for name, value in modern_headers("tools/call", "customer_read").items()
    },
}
CODE = "agent.inactive"


def document_of(world: World, **changes: JSONValue) -> JSONValue:
    found: Any = parse(world.walk.authority.registry.documents()["Agent/scout"])
    return {**found, "spec": {**found["spec"], **changes}}


async def told(world: World) -> tuple[str, tuple[str, ...]]:
    (one,) = possible(
        await moment_now(*to_decide(world.walk), "crm.read"), agents=("scout",), resource="4711"
    )
    return one.effect, one.by


@pytest.mark.requirement("SAME-23")
@pytest.mark.parametrize(
    "change", [{"status": "suspended"}, {"status": "retired"}, {"ownership": {"owner": "alice"}}]
)
async def test_the_gateway_the_walk_and_could_say_the_same_of_an_agent_that_is_not_active(tmp_path, change):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.read")
        proved: list[tuple[ActionRequest, VerifiedCaller]] = []
        govern = world.gateway.needs.govern

        async def noting(request: ActionRequest, caller: VerifiedCaller, **more: Any) -> Any:
            proved.append((request, caller))
            return await govern(request, caller, **more)

        object.__setattr__(world.gateway.needs, "govern", noting)
        async with world.http(mandate="m-1", session=True) as session, world.http(mandate="m-1") as signing:
            ways = (session, signing)
            for http in ways:
                answer = (await http.post(f"{world.url}/mcp/crm", content=CALL, headers=FIELDS)).json()
                assert not answer["result"]["isError"], answer
            assert (await told(world))[0] == "allow"
            await apply_registry(*to_apply(world.walk), [document_of(world, **change)], by="operator")
            for http in ways:
                answer = await http.post(f"{world.url}/mcp/crm", content=CALL, headers=FIELDS)
                assert (answer.status_code, json.loads(answer.text)["error"]["data"]["code"]) == (401, CODE)
            # What was proved before is refused in the walk, by the same word.
            with pytest.raises(Refused) as refused:
                await govern_action(*to_govern(world.walk), *proved[0])
            assert refused.value.code == CODE
            assert await told(world) == ("deny", (CODE,))
