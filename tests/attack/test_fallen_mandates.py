"""A mandate whose issuer has another key by now: every door says that it does not stand, and none that it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.core.canonical import JSONValue, parse
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.tokens.trace_mandate import mandate_state
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.flows.walk.moment import moment_now
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from answerable.testing.samples import OWNERSHIP, signing_key
from tests.worlds.parts import to_apply, to_decide, to_list
from tests.worlds.rule import code_of

if TYPE_CHECKING:
    from answerable.core.mandate.mandate import Mandate

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SAME-25")]
OTHER_KEY: dict[str, JSONValue] = {"keys": [parse(signing_key("alice-anew").public.jwk.encode())]}
BOBS: dict[str, JSONValue] = {**OWNERSHIP, "owner": "bob", "backupOwner": "dan"}
CHANGES = {
    "another key": ("Principal/alice", OTHER_KEY, "mandate.issuer_key"),
    "no role": ("UseCase/support", {"ownership": BOBS}, "mandate.not_an_issuer"),
    "beyond giver": ("Principal/alice", {"capabilities": ["crm.refund"]}, "mandate.beyond_giver"),
    "suspended": ("Agent/scout", {"status": "suspended"}, "agent.inactive"),
}


def standing(bench: Bench, mandate: Mandate) -> str:
    return mandate_state(bench.authority, mandate)[0]


def listed(bench: Bench) -> frozenset[tuple[str, str]]:
    _, caller = bench.request("get_case", {"case": "4711"})
    return list_capabilities(*to_list(bench.walk), caller, "m-1", "crm")


@pytest.mark.parametrize("how", CHANGES)
async def test_what_a_changed_document_takes_away_is_neither_listed_nor_called_open(how: str):
    key, spec, code = CHANGES[how]
    # Nobody's key is behind the tools, so that nothing but the mandate falls with it.
    limits = WalkLimits(pin_tools_at_first_sight=True)
    bench = await Bench(pins=fresh(SqliteToolPinRegister), limits=limits).registered()
    mandate = await bench.issue()
    assert await code_of(bench.act()) == "succeeded"
    assert ("tools/call", "get_case") in listed(bench)
    assert standing(bench, mandate) == "open"
    document: Any = parse(bench.authority.registry.documents()[key])
    changed = {**document, "spec": {**document["spec"], **spec}}
    await apply_registry(*to_apply(bench.walk), [changed], by="operator")
    assert await code_of(bench.act()) == code
    assert ("tools/call", "get_case") not in listed(bench)
    (told,) = possible(await moment_now(*to_decide(bench.walk), "crm.read"), agents=("scout",), resource="")
    assert (told.effect, told.by) == ("deny", (code,))
    # What a person may give is asked of each capability, and takes no mandate away.
    assert standing(bench, mandate) == ("open" if how == "beyond giver" else "fallen")
    again = {"status": "active"} if how == "suspended" else {}
    await apply_registry(
        *to_apply(bench.walk), [{**document, "spec": {**document["spec"], **again}}], by="operator"
    )
    assert await code_of(bench.act()) == "succeeded"
    assert ("tools/call", "get_case") in listed(bench)
    assert standing(bench, mandate) == "open"
