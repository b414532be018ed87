"""What a caller says that it acts under: its own mandate, or what was handed on to it, and nothing in between."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import Authority, authority_of
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.constraint import MaxSubtree
from answerable.core.mandate.delegability import NOT_DELEGABLE
from answerable.core.mandate.hop_signing import issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_by
from answerable.core.mandate.mandate import Grant
from answerable.core.mandate.mission import authority_hash
from answerable.errors import Refused
from answerable.flows.state import delegations
from answerable.flows.validity.verify_lineage import holds
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.delegation import ISSUER, SERVICE
from answerable.testing.samples import signing_key
from tests.worlds.delegation_lineage import asked, believing, chain_of, hop, mandated, root_of
from tests.worlds.parts import to_govern

pytestmark = pytest.mark.anyio


async def handed_on(**changes):
    bench = await Bench().registered()
    mandate = await mandated(bench, **changes)
    believing(bench)
    return bench, mandate


async def refused(bench, chain, **claims):
    with pytest.raises(Refused) as told:
        await govern_action(*to_govern(bench.walk), *asked(bench, chain, **claims))
    return told.value.code


async def test_rover_acts_for_alice_by_what_scout_handed_on():
    bench, mandate = await handed_on()
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, chain_of(bench, mandate)))
    assert answer.outcome is not None
    [intent] = bench.entries(Tag.INTENT)
    assert (intent["agent"], intent["mandate"]) == ("rover", "m-1")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"principal": "bob"}, "delegation.principal_altered"),
        ({"agent": "rover"}, "delegation.principal_altered"),
    ],
)
async def test_a_first_hop_that_is_not_the_mandates_is_refused(changes, code):
    """Also one that the token service itself signed: a mistake of its own must not become anybody's right."""

    bench, mandate = await handed_on()
    digest = authority_hash(mandate, audience=bench.recorder.ledger.origin)
    agent = changes.get("agent", "scout")
    token = issue_root(
        hop(bench, agent, authority_of(mandate), depth_limit=2),
        issuer=ISSUER,
        principal=changes.get("principal", "alice"),
        mission=Mission(id=mandate.id, authority_hash=digest),
        key=SERVICE,
    )
    assert await refused(bench, (token,), agent=agent) == code
    unknown = issue_root(
        hop(bench, "scout", authority_of(mandate), depth_limit=2),
        issuer=ISSUER,
        principal="alice",
        mission=Mission(id="m-9", authority_hash=digest),
        key=SERVICE,
    )
    assert await refused(bench, (unknown,), agent="scout") == "mandate.unknown"


async def test_a_first_hop_that_is_wider_than_the_mandate_or_of_one_that_says_either_or_is_refused():
    bench, mandate = await handed_on()
    wide = Authority(scopes=("crm.*",), constraints=authority_of(mandate).constraints)
    assert (
        await refused(bench, (root_of(bench, mandate, authority=wide),), agent="scout")
        == "delegation.not_narrower"
    )
    either = (
        Grant(capability="crm.read", caveats=(ResourceIn(ids=("4711",)),)),
        Grant(capability="crm.read", caveats=(ResourceIn(ids=("4712",)),)),
    )
    twice = await mandated(bench, identity="m-2", grants=either)
    root = root_of(bench, twice, authority=authority_of(mandate))
    assert await refused(bench, (root,), agent="scout") == "delegation.ambiguous_grant"


async def test_a_mandate_that_may_not_be_handed_on_is_of_use_to_its_own_agent_alone():
    bench, mandate = await handed_on(delegability=NOT_DELEGABLE)
    chain = chain_of(bench, mandate)
    assert await refused(bench, chain) == "delegation.depth_invalid"
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, chain[:1], agent="scout"))
    assert answer.outcome is not None


async def test_a_budget_of_a_hop_is_spent_for_all_below_it_and_its_giver_is_named():
    bench, mandate = await handed_on()
    root = root_of(bench, mandate)
    held = authority_of(mandate).constraints
    one = Authority(
        scopes=("crm.read",),
        constraints=(*(one for one in held if one.key != "calls"), MaxSubtree(key="calls", bound=1)),
    )
    chain = (root, sign_hop((root,), hop(bench, "rover", one), key=signing_key("scout")))
    await govern_action(*to_govern(bench.walk), *asked(bench, chain))
    with pytest.raises(
        Refused, match=r"the delegation from `scout` to `rover` \(hop 1 of 1\): the budget of 1 calls"
    ):
        await govern_action(*to_govern(bench.walk), *asked(bench, chain))


async def test_what_stops_an_agent_above_between_decision_and_effect_wins():
    bench, mandate = await handed_on()
    chain = chain_of(bench, mandate)
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, chain))
    documents: Any = bench_documents()
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) == ("Agent", "scout"):
            one["spec"]["status"] = "suspended"
    submit = bench.recorder.ledger.submit

    def stopping(entry, **more):
        """The registry changes while the intent is on its way to the disk."""
        keyed = {f"{one['kind']}/{one['metadata']['name']}": encode(one) for one in documents}
        bench.authority.registry.put(keyed)
        return submit(entry, **more)

    bench.recorder.ledger.submit = stopping
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, chain))
    bench.recorder.ledger.submit = submit
    assert answer.outcome is not None
    assert (answer.outcome.status, answer.outcome.detail) == (
        "not_started",
        "the agent was stopped before the start",
    )
    assert len(bench.upstream.effects) == 1
    assert await refused(bench, chain) in ("delegation.revoked", "mandate.agent_inactive")


async def test_a_mandate_that_is_closed_between_decision_and_effect_stops_those_it_was_handed_on_to():
    bench, mandate = await handed_on()
    chain = chain_of(bench, mandate)
    await govern_action(*to_govern(bench.walk), *asked(bench, chain))
    submit = bench.recorder.ledger.submit

    def closing(entry, **more):
        bench.authority.mandates.close(mandate.id)
        return submit(entry, **more)

    bench.recorder.ledger.submit = closing
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, chain))
    assert answer.outcome is not None
    assert answer.outcome.status == "not_started"
    assert len(bench.upstream.effects) == 1


async def test_a_chain_is_verified_anew_once_it_is_forgotten_and_never_longer_than_it_lasts(monkeypatch):
    bench, mandate = await handed_on()
    known = bench.walk.verification.delegations
    chain = "~".join(chain_of(bench, mandate))
    first = known.verified(chain, bench.clock.now())
    assert known.verified(chain, bench.clock.now()) is first
    known.forget()
    again = known.verified(chain, bench.clock.now())
    assert (again is first, again == first) == (False, True)
    monkeypatch.setattr(delegations, "CHAINS_MAX", 1)
    known.verified(chain.partition("~")[0], bench.clock.now())
    assert len(known._known) == 1
    bench.clock.advance(seconds=201)
    assert await refused(bench, tuple(chain.split("~"))) == "delegation.expired"


METHODS: tuple[Any, ...] = ("x5t#S256", "answerable_process", "jkt")


def test_a_hop_is_held_by_the_kind_of_proof_that_it_names_and_by_no_other():
    caller = VerifiedCaller(
        agent=AgentId("rover"), proof="svid", binding="b", sequence=1, message_digest=bytes(32), at=UnixMillis(0),
        key="K" * 43, certificate="C" * 43, process="P" * 43,
    )  # fmt: skip
    for method, own in zip(METHODS, "CPK", strict=True):
        held = [mark for mark in "CPK" if holds(caller, confirmation_by(method, mark * 43))]
        assert held == [own]
    bare = replace_all(caller)
    assert not any(holds(bare, confirmation_by(method, "")) for method in METHODS)


def replace_all(caller):
    return msgspec.structs.replace(caller, key="", certificate="", process="")
