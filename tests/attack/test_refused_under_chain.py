"""The refusal of a delegated agent is recorded under its verified chain, and no chain of another gets into the log."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.core.mandate.hop_token import confirmation_of
from answerable.testing.samples import signing_key
from tests.worlds.token import TokenWorld, narrow, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-05")]

PROBES: dict[str, tuple[str, dict[str, Any]]] = {
    "capability.unknown": ("no_such_tool", {}),
    "arguments.invalid": ("customer_read", {"case": "4711"}),
}
NAMES_OF_CHAIN = re.compile(r"(?<![\w-])(m-1|orchestrator|writer)(?![\w-])")
"""As words: a digest may have the letters of the first."""


async def chain_of(world: TokenWorld) -> tuple[str, ...]:
    await world.mandate()
    root = await world.root()
    hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
    return (root, hop, world.handed((root, hop), "researcher", "writer", narrow(("crm.read",), hop)))


@pytest.mark.parametrize("code", PROBES)
async def test_a_refusal_before_all_is_verified_names_the_mandate_and_hops_of_the_chain(tmp_path, code):
    tool, arguments = PROBES[code]
    async with token_world(tmp_path) as world:
        chain = await chain_of(world)
        await world.call("writer", tool, arguments, chain=chain)
        (refused,) = world.entries(Tag.REFUSAL)
        assert (refused["code"], refused["mandate"]) == (code, "m-1")
        assert [hop["agent"] for hop in refused["hops"]] == ["orchestrator", "researcher", "writer"]


def copied(_: TokenWorld, chain: tuple[str, ...]) -> tuple[str, ...]:
    return chain


def for_another_key(world: TokenWorld, chain: tuple[str, ...]) -> tuple[str, ...]:
    confirmation = confirmation_of(signing_key("researcher").public)
    last = world.handed(
        chain[:2], "researcher", "stranger", narrow(("crm.read",), chain[1]), confirmation=confirmation
    )
    return (*chain[:2], last)


def with_another_signature(world: TokenWorld, chain: tuple[str, ...]) -> tuple[str, ...]:
    last = world.handed(chain[:2], "researcher", "stranger", narrow(("crm.read",), chain[1]))
    text, _, signature = last.rpartition(".")
    return (*chain[:2], f"{text}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}")


def for_another_place(world: TokenWorld, chain: tuple[str, ...]) -> tuple[str, ...]:
    authority = narrow(("crm.read",), chain[1])
    last = world.handed(chain[:2], "researcher", "stranger", authority, audiences=(f"{world.url}/mcp/erp",))
    return (*chain[:2], last)


@pytest.mark.parametrize("forged", [copied, for_another_key, with_another_signature, for_another_place])
@pytest.mark.parametrize("code", PROBES)
async def test_a_chain_that_does_not_verify_for_its_caller_stays_out_of_the_leaf(tmp_path, code, forged):
    tool, arguments = PROBES[code]
    async with token_world(tmp_path) as world:
        chain = await chain_of(world)
        await world.call("stranger", tool, arguments, chain=forged(world, chain))
        (refused,) = world.entries(Tag.REFUSAL)
        assert (refused["agent"], refused["mandate"]) == ("stranger", "")
        assert "hops" not in refused
        assert not NAMES_OF_CHAIN.search(json.dumps(refused))


async def test_a_chain_beside_another_mandate_that_the_caller_names_is_not_recorded(tmp_path):
    async with token_world(tmp_path) as world:
        chain = await chain_of(world)
        await world.call("writer", "no_such_tool", {}, chain=chain, mandate="m-2")
        (refused,) = world.entries(Tag.REFUSAL)
        assert (refused["code"], refused["mandate"]) == ("capability.unknown", "")
