"""Each kind of name is revoked in the very moment between the decision and the act, and while the act is under way."""

from __future__ import annotations

import anyio
import pytest

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.hop_token import read_hop, signing_hash
from answerable.core.mandate.revocation import REVOCATION_KINDS, Revocation, RevocationTarget
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from tests.worlds.delegation_lineage import asked
from tests.worlds.parts import to_govern
from tests.worlds.tree import INSTANCES, MANIFEST, Node, TreeWorld, tree_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REVOKE-16")]

NAMES = {
    "the token of the root": ("token", ""),
    "a token that an agent signed": ("token", "offline-2"),
    "the hop of the root": ("hop", "root"),
    "a hop that an agent signed": ("hop", "leaf"),
    "a consent": ("hop", "consent"),
    "the mandate": ("mandate", "m-1"),
    "the agent of the mandate": ("agent", "scout"),
    "an agent between": ("agent", "third"),
    "the agent that acts": ("agent", "rover"),
    "an instance that it is a sub-agent of": ("agent", INSTANCES[0]),
    "the key of the one who gave the mandate": ("key", signing_key("alice").public.thumbprint),
    "the key of an agent between": ("key", signing_key("third").public.thumbprint),
    "the key of the agent that acts": ("key", signing_key("rover").public.thumbprint),
    "a manifest": ("manifest", MANIFEST),
    "the one who gave the mandate": ("owner", "alice"),
    "the owner of an agent": ("owner", "carol"),
    "a vendor of an agent": ("vendor", "rover-maker"),
    "a vendor of an agent between": ("vendor", "framework-maker"),
    "a trust domain": ("trust_domain", "example.org"),
}


async def chained() -> tuple[TreeWorld, Node, str]:
    """Scout's root, what third got below it for a consent, and what third signed for rover; and the consent's hash."""
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("places")))
    root = await world.root()
    below = await world.consented(root, "third")
    consent = read_hop(below.chain[-1]).raw.claims["answerable_consent"]
    assert isinstance(consent, dict)
    return world, world.offline(below, "rover", instance=INSTANCES[1]), str(consent["hash"])


def named(kind: str, name: str, node: Node, consent: str) -> RevocationTarget:
    known = {
        "": read_hop(node.chain[0]).jti,
        "root": signing_hash(node.chain[0]),
        "leaf": signing_hash(node.chain[-1]),
        "consent": consent,
    }
    found = RevocationTarget(next(one for one in REVOCATION_KINDS if one == kind), known.get(name, name))
    assert consent == found.name or found in node.names
    return found


def test_every_kind_is_raced():
    assert {kind for kind, _ in NAMES.values()} == set(REVOCATION_KINDS)


@pytest.mark.parametrize("which", NAMES)
async def test_what_was_decided_and_has_not_started_when_anything_above_it_is_revoked_does_not_start(which):
    world, node, consent = await chained()
    what, bench = named(*NAMES[which], node, consent), world.bench
    submit = bench.recorder.ledger.submit

    def revoked_meanwhile(entry: Entry) -> object:
        if entry.tag == Tag.INTENT:
            bench.authority.revocations.add(Revocation(what=what, at=bench.clock.now(), by="operator"))
        return submit(entry)

    bench.recorder.ledger.submit = revoked_meanwhile
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, node.chain))
    assert answer.outcome is not None
    assert answer.outcome.status == "not_started"
    assert f"`{what.name}` was revoked before the start" in answer.outcome.detail
    assert bench.upstream.effects == []
    assert [leaf["status"] for leaf in bench.entries(Tag.OUTCOME)] == ["not_started"]


@pytest.mark.parametrize("which", NAMES)
async def test_what_is_in_flight_when_anything_above_it_is_revoked_is_named_and_what_comes_after_is_refused(
    which,
):
    world, node, consent = await chained()
    what, bench = named(*NAMES[which], node, consent), world.bench
    started, go_on = anyio.Event(), anyio.Event()

    async def held(_effect: object) -> None:
        started.set()
        await go_on.wait()

    bench.upstream.before = held
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(govern_action, *to_govern(bench.walk), *asked(bench, node.chain))
        await started.wait()
        stopped = await revoke_authority(bench.recorder, bench.authority, bench.live, what, by="operator")
        go_on.set()
    [flying] = stopped.in_flight
    assert (flying.agent, flying.capability) == ("rover", "crm.read")
    [leaf] = bench.entries(Tag.REVOKED)
    assert leaf["in_flight"] == [flying.index]
    assert not world.at_the_gateway(node)
    # Asked again when it has ended, it is among what was done: the record alone says under what it was.
    again = await revoke_authority(bench.recorder, bench.authority, bench.live, what, by="operator")
    assert ([one.index for one in again.done], again.in_flight) == ([flying.index], ())
