"""Publishing policy sets: two different people, both on record, and one signature back."""

from __future__ import annotations

import asyncio
import json

import pytest

from answerable.adapters.cedar import compiled
from answerable.core.canonical import parse
from answerable.core.ledger.tags import Tag
from answerable.core.registry.policy_sets.publication import Terms
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from answerable.flows.policy.publish_policy import (
    PENDING_MAX,
    found_proposal,
    propose_policy,
    publish_policy,
    waiting_proposals,
    withdraw_proposal,
)
from answerable.flows.registry.apply_registry import apply_registry
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import AUDIENCE, document, mandate_terms, signing_key
from tests.worlds.parts import to_apply
from tests.worlds.publication import (
    PUBLISHERS,
    STOP,
    digest_with,
    guarded,
    house,
    in_force,
    opened,
    propose,
    publish,
    publishing,
    refused_code,
    sign,
)

pytestmark = [pytest.mark.anyio]


@pytest.mark.requirement("PUB-03")
async def test_a_set_comes_into_force_when_another_person_signs_what_one_proposed_and_both_are_on_record():
    bench = await guarded()
    proposal = await propose(bench, comment="stop it", attached='{"tests": {"failed": 0, "passed": 3}}')
    assert (await bench.act()).outcome is not None, "a proposal changes nothing"
    leaf, fields = opened(bench, Tag.POLICY_PROPOSED)
    assert (leaf["before"], leaf["after"], leaf["proposal"]) == (
        proposal.before,
        proposal.after,
        proposal.id,
    )
    assert (fields["author"], fields["attached"]) == ("alice", {"tests": {"failed": 0, "passed": 3}})
    applied = await publish(bench, proposal)
    assert [change.key for change in applied.changes] == ["PolicySet/house"]
    with pytest.raises(Refused, match="all is stopped"):
        await bench.act()
    change, told = opened(bench, Tag.POLICY_CHANGE)
    assert (change["how"], change["proposal"], change["author"]) == (
        "two_people",
        proposal.id,
        leaf["author"],
    )
    assert change["documents"] == proposal.after == in_force(bench)
    assert change["by"] != change["author"]
    assert told["by"] == "bob"
    assert str(told["step"]).count(".") == 2
    assert waiting_proposals(bench.walk.policies) == ()


@pytest.mark.requirement("PUB-03")
async def test_applying_a_policy_set_alone_is_refused_where_two_people_are_needed():
    bench = await guarded()
    for documents, prune in (([house(STOP)], False), (bench_documents()[:-1], True)):
        with pytest.raises(Refused, match="two people") as refused:
            await apply_registry(*to_apply(bench.walk), documents, by="operator", prune=prune)
        assert refused.value.code == "publication.two_people"
    new = document("PolicySet", "more", {"policies": '@id("x") permit (principal, action, resource);'})
    with pytest.raises(Refused, match="PolicySet/more"):
        await apply_registry(*to_apply(bench.walk), [new], by="operator")
    await apply_registry(
        *to_apply(bench.walk), [document("Principal", "eve", {}), house(POLICIES)], by="operator"
    )
    assert (await bench.act()).outcome is not None


@pytest.mark.requirement("PUB-03")
async def test_where_one_person_is_enough_it_is_on_record_that_it_was_one():
    bench = await Bench().registered()
    await apply_registry(*to_apply(bench.walk), [house(STOP)], by="operator")
    assert bench.entries(Tag.POLICY_CHANGE)[-1]["how"] == "one_person"


@pytest.mark.requirement("PUB-03")
async def test_a_change_of_the_registry_that_policies_are_checked_against_is_told_as_that():
    bench = await guarded()
    found = [d for d in bench_documents() if isinstance(d, dict) and d["kind"] == "Capability"]
    changed = json.loads(json.dumps(found[0]))
    changed["spec"]["tier"] = 0 if changed["spec"].get("tier") else 1
    changed["spec"]["arguments"] = [*changed["spec"].get("arguments", []), {"name": "note", "type": "string"}]
    await apply_registry(*to_apply(bench.walk), [changed], by="operator")
    assert bench.entries(Tag.POLICY_CHANGE)[-1]["how"] == "registry"


@pytest.mark.requirement("PUB-04")
async def test_nobody_publishes_their_own_proposal_whichever_group_they_are_in():
    bench = await guarded()
    proposal = await propose(bench, by="bob")
    assert await refused_code(publish(bench, proposal, by="bob")) == "publication.own"
    assert in_force(bench) == proposal.before
    await publish(bench, proposal, by="carol")
    assert in_force(bench) == proposal.after


@pytest.mark.requirement("PUB-04")
async def test_a_second_key_of_the_author_is_the_author_and_no_second_name_has_the_key():
    bench = await guarded()
    spare = signing_key("spare")
    keys = [parse(signing_key("bob").public.jwk.encode()), parse(spare.public.jwk.encode())]
    bob = document("Principal", "bob", {"groups": [PUBLISHERS], "keys": keys})
    await apply_registry(*to_apply(bench.walk), [bob], by="operator")
    proposal = await propose(bench, by="bob")
    token = sign(bench, publishing(proposal), by="bob", key=spare)
    assert await refused_code(publish_policy(*to_apply(bench.walk), proposal.id, token)) == "publication.own"
    robert = document("Principal", "robert", {"groups": [PUBLISHERS], "keys": keys[1:]})
    with pytest.raises(Malformed, match="also claimed"):
        await apply_registry(*to_apply(bench.walk), [robert], by="operator")


@pytest.mark.requirement("PUB-04")
async def test_a_key_taken_off_the_author_meanwhile_does_not_make_another_person_of_its_next_owner():
    bench = await guarded()
    proposal = await propose(bench, by="alice")
    old = parse(signing_key("alice").public.jwk.encode())
    new = parse(signing_key("new").public.jwk.encode())
    alice = next(d for d in bench_documents() if isinstance(d, dict) and d["metadata"] == {"name": "alice"})
    changed = json.loads(json.dumps(alice))
    changed["spec"]["keys"] = [new]
    heir = document("Principal", "heir", {"groups": [PUBLISHERS], "keys": [old]})
    await apply_registry(*to_apply(bench.walk), [changed, heir], by="operator")
    token = sign(bench, publishing(proposal), by="heir", key=signing_key("alice"))
    assert await refused_code(publish_policy(*to_apply(bench.walk), proposal.id, token)) == "publication.own"


@pytest.mark.requirement("PUB-04")
async def test_who_is_not_in_the_group_does_not_publish():
    bench = await guarded()
    proposal = await propose(bench)
    assert await refused_code(publish(bench, proposal, by="dan")) == "publication.group"
    bench.walk.policies.publishers = ""
    await publish(bench, proposal, by="dan")


@pytest.mark.requirement("PUB-04")
@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"before": "0" * 64}, "publication.other"),
        ({"after": "0" * 64}, "publication.other"),
        ({"proposal": "0" * 32}, "publication.other"),
    ],
)
async def test_a_signature_to_another_change_is_worth_nothing(other, code):
    bench = await guarded()
    proposal = await propose(bench)
    token = sign(bench, publishing(proposal, **other), by="bob")
    assert await refused_code(publish_policy(*to_apply(bench.walk), proposal.id, token)) == code


@pytest.mark.requirement("PUB-04")
async def test_steps_that_are_old_for_another_deployment_or_of_another_kind_are_refused():
    bench = await guarded()
    proposal = await propose(bench)
    now = bench.clock.now()
    terms = publishing(proposal)
    tokens = {
        "publication.stale": [
            sign(bench, terms, by="bob", at=now - 300_000),
            sign(bench, terms, by="bob", at=now + 61_000),
        ],
        "publication.audience": [sign(bench, terms, by="bob", audience="elsewhere")],
        "publication.other": [proposal.token],
        "publication.key": [sign(bench, terms, by="bob", key=signing_key("alice"))],
        "publication.type": [
            signed_mandate(mandate_terms("m-9"), audience=AUDIENCE, key=signing_key("alice"))
        ],
        "publication.malformed": ["a.b", "x" * 70_000],
    }
    for code, sent in tokens.items():
        for token in sent:
            assert await refused_code(publish_policy(*to_apply(bench.walk), proposal.id, token)) == code
    assert in_force(bench) == proposal.before


@pytest.mark.requirement("PUB-04")
async def test_of_two_proposals_the_second_is_superseded_when_the_first_is_published():
    bench = await guarded()
    first, second = await propose(bench), await propose(bench, POLICIES + "// other\n")
    await publish(bench, first)
    assert await refused_code(publish(bench, second)) == "publication.superseded"
    third = await propose(bench, POLICIES)
    assert [one.id for one in waiting_proposals(bench.walk.policies)] == [third.id], (
        "what can never be published is forgotten"
    )


@pytest.mark.requirement("PUB-04")
async def test_a_publication_signed_twice_at_once_counts_once():
    bench = await guarded()
    proposal = await propose(bench)
    results = await asyncio.gather(
        *(publish(bench, proposal, by=by) for by in ("bob", "carol", "bob")), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in results) == 1
    assert len(bench.entries(Tag.POLICY_CHANGE)) == 2
    assert {one.code for one in results if isinstance(one, Refused)} == {"publication.unknown"}


@pytest.mark.requirement("PUB-03")
async def test_a_proposal_is_of_sound_policy_sets_only_and_of_a_change():
    bench = await guarded()

    async def proposed(documents, removed=(), after="") -> str:
        terms = Terms(step="propose", before=in_force(bench), after=after or "0" * 64)
        token = sign(bench, terms, by="alice")
        return await refused_code(propose_policy(*to_apply(bench.walk), token, documents, removed=removed))

    assert await proposed([house("permit (")]) == "policy.syntax"
    assert await proposed([document("Principal", "eve", {})]) == "publication.malformed"
    assert await proposed([house(POLICIES)]) == "publication.nothing"
    assert await proposed([], removed=["none"]) == "publication.unknown"
    assert await proposed([house(STOP)], removed=["house"]) == "publication.malformed"
    assert await proposed([house(STOP)]) == "publication.other"
    stale = Terms(step="propose", before="0" * 64, after=digest_with(bench, STOP))
    token = sign(bench, stale, by="alice")
    assert (
        await refused_code(propose_policy(*to_apply(bench.walk), token, [house(STOP)]))
        == "publication.changed"
    )
    assert waiting_proposals(bench.walk.policies) == ()


@pytest.mark.requirement("PUB-03")
async def test_what_is_attached_is_what_was_signed():
    bench = await guarded()
    terms = Terms(step="propose", before=in_force(bench), after=digest_with(bench, STOP), attached="0" * 64)
    token = sign(bench, terms, by="alice")
    with pytest.raises(Malformed, match="not the one that was signed"):
        await propose_policy(*to_apply(bench.walk), token, [house(STOP)], attached='{"tests": "green"}')


@pytest.mark.requirement("WORDS-15")
@pytest.mark.parametrize("attached", ["[1]", "7", "null", '"green"'])
async def test_what_is_attached_is_an_object_so_that_every_proposal_can_be_shown(attached: str):
    bench = await guarded()
    with pytest.raises(Malformed, match="no JSON object"):
        await propose(bench, attached=attached)
    assert waiting_proposals(bench.walk.policies) == ()


@pytest.mark.requirement("PUB-03")
async def test_a_policy_set_is_taken_away_by_two_people_too():
    bench = await guarded()
    await propose_and_publish_more(bench)
    before = in_force(bench)
    left = {"PolicySet/house": bench.authority.registry.documents()["PolicySet/house"]}
    from answerable.core.registry.policy_sets.publication import documents_digest

    terms = Terms(step="propose", before=before, after=documents_digest(left))
    proposal = await propose_policy(
        *to_apply(bench.walk), sign(bench, terms, by="alice"), [], removed=["more"]
    )
    applied = await publish(bench, proposal)
    assert [(change.key, change.how) for change in applied.changes] == [("PolicySet/more", "removed")]


async def propose_and_publish_more(bench: Bench) -> None:
    from answerable.core.canonical import encode
    from answerable.core.registry.policy_sets.publication import documents_digest, policy_documents

    more = document("PolicySet", "more", {"policies": '@id("m") permit (principal, action, resource);'})
    wanted = {**policy_documents(bench.authority.registry.documents()), "PolicySet/more": encode(more)}
    terms = Terms(step="propose", before=in_force(bench), after=documents_digest(wanted))
    proposal = await propose_policy(*to_apply(bench.walk), sign(bench, terms, by="alice"), [more])
    await publish(bench, proposal)


@pytest.mark.requirement("PUB-03")
async def test_the_same_proposal_again_is_the_same_one_and_a_withdrawn_one_is_gone():
    bench = await guarded()
    first = await propose(bench)
    assert (await propose(bench)).id == first.id
    assert len(bench.entries(Tag.POLICY_PROPOSED)) == 1
    assert found_proposal(bench.walk.policies, first.id) == first
    assert (
        await withdraw_proposal(
            bench.recorder, bench.asking.under_way, bench.walk.policies, first.id, by="ada"
        )
    ).id == first.id
    assert await refused_code(publish(bench, first)) == "publication.unknown"


@pytest.mark.requirement("PUB-03")
async def test_proposals_that_wait_are_bounded():
    bench = await guarded()
    for number in range(PENDING_MAX):
        await propose(bench, f"{POLICIES}// {number}\n")
    assert await refused_code(propose(bench)) == "publication.too_many"


@pytest.mark.requirement("PUB-03")
async def test_where_nothing_is_kept_nothing_is_proposed_and_documents_are_applied_all_the_same():
    bench = await guarded()
    bench.walk.policies.records = None
    with pytest.raises(Unavailable, match="keeps no proposals"):
        await propose(bench)
    bench.walk.policies.publishers = ""
    await apply_registry(*to_apply(bench.walk), [house(STOP)], by="operator")


@pytest.mark.requirement("PUB-04")
async def test_a_comment_is_bounded_and_claims_are_exactly_those_that_are_known():
    from answerable.core.identity.keys.compact_jws import signed_statement
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.registry.policy_sets.publication import PUBLICATION_TYP, step_claims
    from answerable.core.statement import claims_in

    bench = await guarded()
    proposal = await propose(bench)
    long = sign(bench, publishing(proposal, comment="x" * 1001), by="bob")
    claims = claims_in(
        step_claims(publishing(proposal), by=PrincipalId("bob"), audience=AUDIENCE, at=bench.clock.now())
    )
    odd = [{**claims, "more": 1}, {**claims, "iat_ms": "1"}, {**claims, "comment": 3}]
    tokens = [long, *(signed_statement(one, typ=PUBLICATION_TYP, key=signing_key("bob")) for one in odd)]
    for token in tokens:
        assert (
            await refused_code(publish_policy(*to_apply(bench.walk), proposal.id, token))
            == "publication.malformed"
        )


@pytest.mark.requirement("PUB-04")
async def test_a_disabled_publisher_is_nobody():
    bench = await guarded()
    proposal = await propose(bench)
    key = parse(signing_key("bob").public.jwk.encode())
    gone = document("Principal", "bob", {"groups": [PUBLISHERS], "keys": [key], "status": "disabled"})
    await apply_registry(*to_apply(bench.walk), [gone], by="operator")
    with pytest.raises(Unverified):
        await publish(bench, proposal)


@pytest.mark.requirement("PUB-08")
async def test_actions_go_on_while_many_policies_are_checked():
    bench = await Bench().registered()
    bench.walk.policies.compile_policies = compiled
    await bench.issue()
    many = "".join(
        f'@id("p{number}") forbid (principal == Agent::"a{number}", action, resource);\n'
        for number in range(1_500)
    )
    applying = asyncio.create_task(
        apply_registry(*to_apply(bench.walk), [house(POLICIES + many)], by="operator")
    )
    acted = 0
    while not applying.done():
        await bench.act()
        acted += 1
        await asyncio.sleep(0)
        if acted == 18:
            break
    assert acted >= 3, "one action would be all if it waited"
    assert (await applying).changes
    assert (await bench.act()).outcome is not None
