"""What a caller is shown: what could be allowed, and nothing of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.mandate.caveat import EnvironmentIs, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import AUDIENCE, mandate_terms, signing_key
from tests.worlds.parts import to_issue, to_list

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-09")]

READ, REFUND = ("tools/call", "get_case"), ("tools/call", "refund")


def listed(
    bench: Bench, mandate: str = "m-1", *, agent: str = "scout", server: str = "crm"
) -> set[tuple[str, str]]:
    _, caller = bench.request("get_case", {}, agent=agent)
    return set(list_capabilities(*to_list(bench.walk), caller, mandate, server))


async def test_a_mandate_shows_what_it_grants_on_this_server():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.issue("m-2", grants=(Grant(capability="crm.read"),))
    assert listed(bench) == {READ, REFUND}
    assert listed(bench, "m-2") == {READ}
    assert listed(bench, server="elsewhere") == set()


async def test_nothing_is_shown_under_a_foreign_unknown_closed_or_expired_mandate():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.issue("m-2", seconds=60)
    await bench.issue("m-3")
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-3", by="alice")
    assert listed(bench, agent="rover") == set()
    assert listed(bench, "m-9") == set()
    assert listed(bench, "m-3") == set()
    bench.clock.advance(61)
    assert listed(bench, "m-2") == set()
    bench.clock.jump(-3600)
    assert listed(bench) == set(), "not begun yet"


async def test_what_policy_never_allows_and_what_is_of_another_environment_is_not_shown():
    stop = '@id("stop") forbid (principal, action == Action::"crm.refund", resource);'
    bench = await Bench().registered(bench_documents(POLICIES + stop))
    await bench.issue("m-1")
    assert listed(bench) == {READ}
    for name, environment, shown in (("m-2", "production", {READ}), ("m-3", "test", set())):
        caveats = (EnvironmentIs(environment=environment), ResourceIn(ids=("4711",)))
        terms = replace(mandate_terms(name), caveats=caveats)
        await issue_mandate(
            *to_issue(bench.walk), signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
        )
        assert listed(bench, name) == shown
