"""How each hop of a tree stands now: what ends one ends all below it."""

from __future__ import annotations

import pytest

from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, HoldTarget
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.incident.mandate_tree import grown
from answerable.core.mandate.hop_token import read_hop, signing_hash
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.flows.tokens.trace_mandate import hop_states
from answerable.testing.builders import Bench
from tests.unit.core.incident.test_handed_on import START, chains, cited

pytestmark = pytest.mark.anyio


async def states(
    what: RevocationTarget | None = None,
    *,
    later: int = 0,
    open_: bool = True,
    held: HoldTarget | None = None,
) -> list[str]:
    """From the orchestrator to the writer."""
    bench = await Bench().registered()
    if held is not None:
        bench.authority.holds.place(Hold(id=HoldId("hold_" + "x" * 22), what=held, at=START, by="dan"))
    if what is not None:
        bench.authority.revocations.add(Revocation(what=what, at=START, by="ada"))
    moments = [cited(index, chain, open_=open_) for index, chain in enumerate(chains(), 10)]
    branches = grown(moments, "m-1").branches
    found = hop_states(bench.authority, branches, UnixMillis(START + later))
    return [found[one.hop.name][0] for one in branches]


async def test_nothing_ended_is_open():
    assert await states() == ["open", "open", "open"]


@pytest.mark.parametrize("open_", [True, False])
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (RevocationTarget("token", "jti-researcher"), ["open", "revoked", "revoked"]),
        (RevocationTarget("agent", "writer"), ["open", "open", "revoked"]),
        (RevocationTarget("agent", "orchestrator"), ["revoked", "revoked", "revoked"]),
    ],
)
async def test_what_ends_a_hop_ends_all_below_it(what: RevocationTarget, expected: list[str], open_: bool):
    assert await states(what, open_=open_) == expected


async def test_a_hop_is_ended_by_its_key_and_by_the_name_its_children_have_for_it():
    _, second, third = chains()
    key = read_hop(third.tokens[-1]).confirmation.thumbprint
    assert await states(RevocationTarget("key", key)) == ["open", "open", "revoked"]
    name = signing_hash(second.tokens[-1])
    assert await states(RevocationTarget("hop", name)) == ["open", "revoked", "revoked"]


@pytest.mark.requirement("SAME-14")
async def test_what_is_held_and_all_below_it_is_held_until_it_has_run_out_or_is_revoked():
    assert await states(held=HoldTarget("agent", "researcher")) == ["open", "held", "held"]
    assert await states(held=EVERYTHING) == ["held", "held", "held"]
    assert await states(held=EVERYTHING, later=300_000) == ["expired", "expired", "expired"]
    both = await states(RevocationTarget("agent", "writer"), held=HoldTarget("agent", "orchestrator"))
    assert both == ["held", "held", "revoked"]


async def test_what_has_run_out_is_expired():
    assert await states(later=300_000) == ["expired", "expired", "expired"]
    assert await states(later=299_999) == ["open", "open", "open"]
