"""Whoever gives a task, and by which login, bounds it as much as everybody it is handed on to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.people.person_issuer import PersonIssuer
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.authority import detail_of
from answerable.core.mandate.constraint import MaxSubtree, OneOf
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.left_out import left_out
from answerable.core.mandate.mandate import Grant
from answerable.core.mandate.mission import terms_nonce
from answerable.core.mandate.preview import preview
from answerable.core.mandate.session_claims import session_of
from answerable.errors import AnswerableError, Malformed, Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.verify_person import PersonVerifier
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.samples import OWNERSHIP, document, signing_key
from tests.attack.test_mandate_givers import MAIL, at_eleven, scheduled, signed
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated
from tests.worlds.mandate import CLIENT, ISSUER, SUBJECT, FixedKeys, changed, for_alice, id_token, jwk, shown
from tests.worlds.mandate import bench as mail_bench
from tests.worlds.mandate import documents as mail_documents
from tests.worlds.parts import to_apply, to_govern, to_issue, to_list
from tests.worlds.token import TO, documents, narrow, succeeded, token_world, why_not

pytestmark = [pytest.mark.anyio]

BOTH = (Grant(capability="crm.read"), Grant(capability="crm.refund"))
REFUND = {"case": "4711", "amount": 12}


def giving(person: str, *capabilities: str) -> list[object]:
    """The bench's registry, where this person may give these capabilities and no others."""
    return changed(bench_documents(), "Principal", person, capabilities=list(capabilities))


def detail(*scopes: str, **bounds: object) -> list[object]:
    constraints = [
        {"key": key.replace("__", ":").replace("_", "."), **bound} for key, bound in bounds.items()
    ]
    return [{"type": "agent_delegation", "scopes": list(scopes), "constraints": constraints}]


async def code_of(running) -> str:
    with pytest.raises(AnswerableError) as told:
        await running
    return told.value.code


# The person.


@pytest.mark.requirement("MEET-01")
async def test_nobody_gives_a_task_for_more_than_they_may_give_themselves():
    bench = await Bench().registered(giving("alice", "crm.read"))
    with pytest.raises(Refused, match="alice may not grant") as told:
        await bench.issue("m-1", grants=BOTH)
    assert told.value.code == "mandate.beyond_giver"
    assert bench.authority.mandates.find("m-1") is None
    await bench.issue("m-2", grants=BOTH[:1])
    assert (await bench.act(mandate="m-2")).outcome is not None


@pytest.mark.requirement("MEET-01")
async def test_what_a_person_may_give_is_asked_at_every_action_of_todays_registry():
    bench = await Bench().registered()
    await bench.issue("m-1", grants=BOTH)
    assert (await bench.act("refund", REFUND)).outcome is not None
    await bench.registered(giving("alice", "crm.read"))
    assert await code_of(bench.act("refund", REFUND)) == "mandate.beyond_giver"
    [refusal] = bench.entries(Tag.REFUSAL)
    assert refusal["code"] == "mandate.beyond_giver"
    _, caller = bench.request("get_case", {"case": "4711"})
    assert {target for _, target in list_capabilities(*to_list(bench.walk), caller, "m-1", "crm")} == {
        "get_case"
    }
    assert (await bench.act()).outcome is not None
    await bench.registered(giving("alice", "crm.read", "crm.refund"))
    assert (await bench.act("refund", REFUND)).outcome is not None


@pytest.mark.requirement("MEET-01")
async def test_nobody_below_has_what_the_person_above_may_not_give():
    bench = await Bench().registered()
    mandate = await mandated(bench, grants=BOTH)
    believing(bench)
    chain = chain_of(bench, mandate)
    assert (await govern_action(*to_govern(bench.walk), *asked(bench, chain))).outcome is not None
    await bench.registered(giving("alice", "crm.refund"))
    action, caller = asked(bench, chain)
    assert await code_of(govern_action(*to_govern(bench.walk), action, caller)) == "mandate.beyond_giver"
    assert not list_capabilities(*to_list(bench.walk), caller, "", "crm", delegation=action.delegation)


@pytest.mark.requirement("MEET-01")
async def test_a_schedule_gives_no_more_than_its_owner_may_give():
    made = await at_eleven()
    mandate = await issue_mandate(*to_issue(made.walk), signed(scheduled(made)))
    assert (await made.act("send", MAIL, mandate=mandate.id)).outcome is not None
    await made.registered(changed(mail_documents(), "Principal", "alice", capabilities=["crm.read"]))
    assert await code_of(made.act("send", MAIL, mandate=mandate.id)) == "mandate.beyond_giver"
    other = await at_eleven()
    await other.registered(changed(mail_documents(), "Principal", "alice", capabilities=["crm.read"]))
    assert (
        await code_of(issue_mandate(*to_issue(other.walk), signed(scheduled(other))))
        == "mandate.beyond_giver"
    )


@pytest.mark.requirement("MEET-01")
async def test_a_capability_to_give_that_is_not_there_is_a_fault_of_the_document():
    with pytest.raises(Malformed, match=r"no Capability is called `crm\.raed`"):
        await Bench().registered(giving("alice", "crm.raed"))


@pytest.mark.requirement("MEET-01")
async def test_no_token_says_more_than_its_person_and_its_agents_reach_today(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        for kind, name in (("Principal", "alice"), ("Agent", "orchestrator")):
            held = changed(documents(tmp_path), kind, name, capabilities=["crm.read"])
            await apply_registry(*to_apply(world.walk), held, by="operator")
            assert read_hop(await world.root()).authority.scopes == ("crm.read",)
            answer = await world.exchange("orchestrator", "m-1", scope="crm.note")
            assert answer.json()["answerable_code"] == "capability.ceiling"
        await apply_registry(*to_apply(world.walk), documents(tmp_path), by="operator")
        assert read_hop(await world.root()).authority.scopes == ("crm.note", "crm.read")


# The login.


async def given(made: Bench, **claims: object):
    """A mandate for both capabilities that the portal signs for alice, by a login that says this."""
    terms = replace(
        for_alice(), grants=BOTH, delegability=Delegability(depth_max=1, width_max=1, to=("agent:rover",))
    )
    return await issue_mandate(*to_issue(made.walk), shown(terms, **claims))


NARROWED = [
    {"authorization_details": detail("crm.read")},
    {"authorization_details": [{"type": "payment"}, *detail("crm.read")]},
    {"scope": "openid answerable:crm.read profile"},
    {"scope": ["openid", "answerable:crm.read"]},
    {"scope": "answerable:crm.*", "authorization_details": detail("crm.read")},
]


@pytest.mark.requirement("MEET-02")
@pytest.mark.parametrize("claims", NARROWED)
async def test_what_a_login_allows_narrows_what_was_given_by_it_for_good(claims):
    made = await mail_bench()
    mandate = await given(made, **claims)
    assert (await made.act(mandate=mandate.id)).outcome is not None
    with pytest.raises(
        Refused, match=r"the login that this task was given by does not include `crm\.refund`"
    ) as told:
        await made.act("refund", REFUND, mandate=mandate.id)
    assert told.value.code == "mandate.session"
    [refusal] = made.entries(Tag.REFUSAL)
    assert refusal["code"] == "mandate.session"
    _, caller = made.request("get_case", {"case": "4711"})
    assert {target for _, target in list_capabilities(*to_list(made.walk), caller, mandate.id, "crm")} == {
        "get_case"
    }
    # In the record, sealed with what the mandate itself says.
    [issued] = made.entries(Tag.MANDATE_ISSUED)
    assert made.opened(issued["index"])[1]["session"] == [detail_of(one) for one in session_of(mandate)]


@pytest.mark.requirement("MEET-02")
async def test_bounds_and_sums_of_a_login_hold_as_those_of_a_hop_do():
    made = await mail_bench()
    bounds = {"resource__crm_read": {"one_of": ["4711"]}, "calls": {"max_subtree": 2}}
    mandate = await given(made, authorization_details=detail("crm.read", "crm.refund", **bounds))
    assert (await made.act(mandate=mandate.id)).outcome is not None
    assert await code_of(made.act("get_case", {"case": "4712"}, mandate=mandate.id)) == "mandate.session"
    assert (await made.act(mandate=mandate.id)).outcome is not None
    with pytest.raises(
        Refused, match="the login that this task was given by: the budget of 2 calls is spent"
    ):
        await made.act(mandate=mandate.id)


@pytest.mark.requirement("MEET-02")
@pytest.mark.parametrize(
    "claims",
    [
        {"authorization_details": detail("crm.read", "crm.raed.*!")[0]},
        {"authorization_details": "agent_delegation"},
        {"authorization_details": [*detail("crm.read"), *detail("crm.refund")]},
        {"authorization_details": [{**detail("crm.read")[0], "more": 1}]},
        {"authorization_details": [1]},
        {"authorization_details": detail()},
        {"scope": 7},
        {"scope": ["answerable:crm.read", 7]},
        {"scope": "answerable:*"},
        {"scope": "answerable:"},
        {"scope": "answerable:mail.send"},
        {"authorization_details": detail("mail.send")},
        {"scope": "answerable:crm.read", "authorization_details": detail("crm.refund")},
    ],
)
async def test_a_login_that_cannot_be_read_or_allows_nothing_gives_nothing(claims):
    made = await mail_bench()
    assert await code_of(given(made, **claims)) == "mandate.session"
    assert not made.entries(Tag.MANDATE_ISSUED)


@pytest.mark.requirement("MEET-02")
@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scope": "openid profile"},
        {"authorization_details": [{"type": "payment"}]},
        {"authorization_details": []},
    ],
)
async def test_what_a_login_says_to_others_narrows_nothing(claims):
    made = await mail_bench()
    mandate = await given(made, **claims)
    assert (await made.act("refund", REFUND, mandate=mandate.id)).outcome is not None


@pytest.mark.requirement("MEET-02")
async def test_what_is_handed_on_of_such_a_task_stays_within_its_login():
    made = await mail_bench()
    mandate = await given(made, scope="answerable:crm.refund")
    believing(made)
    # Signed as if the login said nothing: whoever signs a hop does not know it.
    assert (
        await code_of(govern_action(*to_govern(made.walk), *asked(made, chain_of(made, mandate))))
        == "mandate.session"
    )


@pytest.mark.requirement("MEET-02")
async def test_the_details_of_the_token_that_is_shown_narrow_the_action(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        wanted = narrow(("crm.read",), await world.root(), OneOf(key="resource:crm.read", members=("4712",)))
        details = json.dumps([detail_of(wanted)])
        form = {"requested_token_type": oauth.TYPE_ACCESS, "authorization_details": details}
        token = await world.root(**form)
        assert read_hop(token).raw.claims["authorization_details"] == [detail_of(wanted)]
        for dpop in (True, False):
            assert "allows `resource:crm.read` `4712` only" in why_not(
                await world.call("orchestrator", chain=(token,), dpop=dpop)
            )
            assert succeeded(
                await world.call("orchestrator", arguments={"case_id": "4712"}, chain=(token,), dpop=dpop)
            )
            told = await world.call(
                "orchestrator", "note_add", {"case_id": "4712", "text": "x"}, chain=(token,), dpop=dpop
            )
            assert "does not include `crm.note`" in why_not(told)


@pytest.mark.requirement("MEET-02")
async def test_a_token_for_a_task_says_no_more_than_its_login(tmp_path):
    async with token_world(tmp_path) as world:
        walk, second = world.walk, world.now() // 1000
        walk.asking.people = PersonVerifier(
            clock=walk.clock, keys=FixedKeys(), issuers=(PersonIssuer(issuer=ISSUER, audience=CLIENT),)
        )
        portal = {"useCases": ["support"], "keys": [jwk("portal")], "ownership": dict(OWNERSHIP)}
        held = [*documents(tmp_path), document("Application", "portal", portal)]
        held = changed(held, "Principal", "alice", oidc={"issuer": ISSUER, "subject": SUBJECT})
        await apply_registry(*to_apply(walk), held, by="operator")
        terms = replace(
            for_alice("m-1"),
            agent=AgentId("orchestrator"),
            grants=(Grant(capability="crm.read"), Grant(capability="crm.note")),
            not_before=world.now(),
            expires_at=UnixMillis(world.now() + 600_000),
            delegability=TO,
        )
        nonce = terms_nonce(terms, audience=walk.recorder.ledger.origin)
        login = {"iat": second, "exp": second + 600, "auth_time": second - 60}
        proof = id_token(nonce, **login, authorization_details=detail("crm.read", rows={"max_subtree": 4}))
        token = signed_mandate(
            replace(terms, id_token=proof), audience=walk.recorder.ledger.origin, key=signing_key("portal")
        )
        await issue_mandate(*to_issue(walk), token)
        root = read_hop(await world.root())
        assert root.authority.scopes == ("crm.read",)
        assert MaxSubtree(key="rows", bound=4) in root.authority.constraints
        answer = await world.exchange("orchestrator", "m-1", scope="crm.note")
        assert answer.json()["answerable_code"] == "oauth.invalid_scope"


@pytest.mark.requirement("MEET-01", "MEET-02")
async def test_a_preview_says_what_its_person_may_not_give_and_what_the_login_leaves():
    bench = await Bench().registered(giving("alice", "crm.read"))
    current = bench.authority.registry.current
    terms = replace(for_alice(), grants=BOTH)
    beside = left_out(terms, current.capabilities, giver=current.principals["alice"])
    assert beside.beyond == ("crm.refund",)
    said = "\n".join(preview(terms, beside=beside))
    assert "It cannot use `crm.refund` although the task names it: alice may not" in said
    assert not left_out(terms, current.capabilities).beyond
    made = await mail_bench()
    mandate = await given(made, authorization_details=detail("crm.read", rows={"max_subtree": 4}))
    said = "\n".join(preview(mandate, session=session_of(mandate)))
    assert "The login that it was given by allows `crm.read` and nothing else." in said
    assert "That login has bounds of its own on `rows`." in said
