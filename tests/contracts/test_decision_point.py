"""What every decision point promises, on both forms of the call into Cedar, by slice and by the whole set."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import msgspec
import pytest

from answerable.adapters.cedar import CedarDecisionPoint, compiled, published
from answerable.adapters.cedar.engine import Engine, Evaluate, public_engine, raw_engine
from answerable.core.decision.decision import Decision, Evaluation
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.registry.snapshot.resolve import Resolved
from answerable.errors import Malformed
from answerable.ports.decision_point import DecisionPoint, PolicyCompiler
from tests.worlds.policy import CAPABILITIES, NOW, REGISTRY, Trial, approval

POLICIES = """
@id("read.own") @reason("support reads its cases")
permit(principal in UseCase::"support", action in Action::"read", resource is Customer);

@id("read.vip") @reason("case 1 is confidential")
forbid(principal, action, resource == Customer::"1");

@id("pay") @reason("finance pays")
permit(principal in UseCase::"finance", action in Action::"pay", resource);

@id("pay.large") @reason("large payments need two people of finance") @approve("finance:2")
forbid(principal, action in Action::"pay", resource)
when { context.arguments has amount && context.arguments.amount > 500000 };

@id("pay.tagged") @reason("risky payments need security") @approve("security:1")
forbid(principal, action in Action::"pay", resource)
when { context.arguments has tags && context.arguments.tags.contains("risky") };

@id("pay.frozen") @reason("batch 9 is frozen")
forbid(principal, action, resource == Batch::"9");

@id("pay.rate") @reason("the rate is too good to be true")
forbid(principal, action in Action::"pay", resource)
when { context.arguments has rate && context.arguments.rate.lessThan(decimal("0.5")) };

@id("pay.odd") @reason("overflows for every count above 0")
forbid(principal, action in Action::"pay", resource)
when { context.arguments has count && context.arguments.count + 9223372036854775807 < 0 };

@id("write.lifted") @reason("notes need a person") @approve("support:1")
forbid(principal, action == Action::"crm.note.write", resource);

@id("delete.never") @reason("agents delete no volumes")
forbid(principal, action in Action::"delete", resource);

@id("delete.staging") @reason("staging may be cleaned")
permit(principal, action in Action::"delete", resource);
"""
FORMS = {
    "raw sliced": (raw_engine, True),
    "raw whole": (raw_engine, False),
    "public sliced": (public_engine, True),
    "public whole": (public_engine, False),
}
PAY = Trial(
    agent="finance-agent",
    capability="payments.batch.submit",
    arguments={"batch": "7", "amount": 100},
    calls_used=1,
)
NOTE = Trial(capability="crm.note.write")
DELETE = Trial(agent="staging-agent", capability="volumes.volume.delete", arguments={"volume": "v1"})
FINANCE, SECURITY = Requirement(group="finance", count=2), Requirement(group="security", count=1)


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def point(request):
    engine, slicing = request.param
    return CedarDecisionPoint(published(POLICIES, REGISTRY), engine=engine, slicing=slicing)


def decided(point: DecisionPoint, trial: Trial) -> Decision:
    return point.decide(trial.verified(), trial.facts())


def pay(**arguments: object) -> Trial:
    return dataclasses.replace(PAY, arguments={**PAY.arguments, **arguments})


@pytest.mark.requirement("POLICY-07")
def test_a_decision_names_its_policies_their_reasons_and_the_whole_set(point: DecisionPoint):
    decision = decided(point, Trial())
    assert decision.effect == "allow"
    assert decision.determined_by == ("read.own",)
    assert [(reason.source, reason.text) for reason in decision.reasons] == [
        ("read.own", "support reads its cases")
    ]
    assert decision.policy_set == point.policy_set == published(POLICIES, REGISTRY).digest


@pytest.mark.requirement("POLICY-07")
def test_the_same_input_gives_the_same_decision(point: DecisionPoint):
    trial = pay(amount=600_000, tags=["risky"])
    assert {decided(point, trial) for _ in range(20)} == {decided(point, trial)}


@pytest.mark.requirement("POLICY-01")
def test_what_no_policy_permits_is_denied(point: DecisionPoint):
    decision = decided(point, Trial(agent="finance-agent"))
    assert (decision.effect, decision.determined_by) == ("deny", ("policy.default_deny",))


@pytest.mark.requirement("POLICY-01")
def test_a_forbid_on_one_resource_beats_the_permit_on_all(point: DecisionPoint):
    decision = decided(point, Trial(arguments={"case": "1"}))
    assert (decision.effect, decision.determined_by) == ("deny", ("read.vip",))
    assert decision.reasons[0].text == "case 1 is confidential"


@pytest.mark.requirement("POLICY-03")
def test_a_liftable_forbid_defers_and_says_whom_to_ask(point: DecisionPoint):
    assert decided(point, PAY).effect == "allow"
    decision = decided(point, pay(amount=500_001))
    assert (decision.effect, decision.determined_by) == ("defer", ("pay.large",))
    assert decision.requirements == (FINANCE,)


@pytest.mark.requirement("POLICY-03")
def test_an_approval_lifts_the_forbid_and_the_permit_decides(point: DecisionPoint):
    decision = decided(point, dataclasses.replace(pay(amount=500_001), approval=approval(finance=2)))
    assert (decision.effect, decision.determined_by, decision.lifted) == ("allow", ("pay",), ("pay.large",))


@pytest.mark.requirement("POLICY-03")
@pytest.mark.parametrize("given", [approval(finance=1), approval(security=2), approval()])
def test_too_few_people_or_the_wrong_ones_lift_nothing(point: DecisionPoint, given):
    assert decided(point, dataclasses.replace(pay(amount=500_001), approval=given)).effect == "defer"


@pytest.mark.requirement("POLICY-03")
def test_two_liftable_forbids_need_both_approvals(point: DecisionPoint):
    trial = pay(amount=500_001, tags=["risky"])
    assert decided(point, trial).requirements == (FINANCE, SECURITY)
    assert decided(point, dataclasses.replace(trial, approval=approval(finance=2))).effect == "defer"
    both = decided(point, dataclasses.replace(trial, approval=approval(finance=2, security=1)))
    assert (both.effect, both.lifted) == ("allow", ("pay.large", "pay.tagged"))


@pytest.mark.requirement("POLICY-03")
def test_one_forbid_that_nothing_may_lift_beside_a_liftable_one_denies(point: DecisionPoint):
    trial = dataclasses.replace(pay(amount=500_001, batch="9"), approval=approval(finance=2))
    decision = decided(point, trial)
    assert (decision.effect, decision.determined_by) == ("deny", ("pay.frozen", "pay.large"))


@pytest.mark.requirement("POLICY-03")
def test_nothing_is_deferred_that_no_permit_would_allow(point: DecisionPoint):
    assert decided(point, NOTE).effect == "deny"
    assert decided(point, dataclasses.replace(NOTE, approval=approval(support=1))).effect == "deny"


@pytest.mark.requirement("POLICY-02")
@pytest.mark.parametrize("given", [None, approval(finance=2)])
def test_a_policy_that_errs_at_run_time_denies_even_beside_a_permit(point: DecisionPoint, given):
    trial = dataclasses.replace(pay(count=1), approval=given)
    decision = decided(point, trial)
    assert (decision.effect, decision.determined_by) == ("deny", ("policy.error",))
    assert "pay.odd" in decision.reasons[0].text
    assert decided(point, pay(count=0)).effect == "allow"


@pytest.mark.requirement("POLICY-05")
def test_mapped_arguments_reach_the_policies_with_their_meaning(point: DecisionPoint):
    assert decided(point, pay(rate="0.4999")).determined_by == ("pay.rate",)
    assert decided(point, pay(rate="0.5")).effect == "allow"
    assert decided(point, pay(rate=None, amount=None)).effect == "allow"


@pytest.mark.requirement("POLICY-05")
@pytest.mark.parametrize(
    "smuggled",
    [
        {"amount": "100"},
        {"amount": 100.5},
        {"amount": -100.5},
        {"amount": True},
        {"amount": [100]},
        {"amount": {}},
        {"amount": {"x": 1}},
        {"batch": {"type": "Batch", "id": "8"}},
        {"batch": ["7"]},
        {"batch": None},
        {"tags": "risky"},
        {"tags": ["safe", 1]},
        {"tags": [["risky"]]},
        {"rate": 0.4},
        {"rate": "0.40000"},
        {"rate": "decimal(1.0)"},
        {"count": "1"},
    ],
)
def test_an_argument_that_is_not_as_declared_is_a_deny(point: DecisionPoint, smuggled):
    decision = decided(point, pay(**smuggled))
    assert (decision.effect, decision.determined_by) == ("deny", ("arguments.unmappable",))
    assert f"`{next(iter(smuggled))}`" in decision.reasons[0].text


@pytest.mark.requirement("POLICY-05")
@pytest.mark.parametrize("member", ["__entity", "__extn", "__expr"])
@pytest.mark.parametrize("name", ["amount", "rate", "tags", "batch", "undeclared"])
def test_a_reserved_member_is_refused_when_parsed_and_harmless_behind_it(point: DecisionPoint, name, member):
    smuggled = {member: {"type": "Agent", "id": "root", "fn": "decimal", "arg": "9.0"}}
    with pytest.raises(Malformed):
        pay(**{name: smuggled}).verified()
    # The same behind the parser's back: still never more than a declared scalar.
    verified = PAY.verified()
    arguments = {**verified.arguments, name: smuggled}
    decision = point.decide(msgspec.structs.replace(verified, arguments=arguments), PAY.facts())
    if name == "undeclared":
        assert decision == decided(point, PAY)
    else:
        assert decision.determined_by == ("arguments.unmappable",)


@pytest.mark.requirement("POLICY-05")
@pytest.mark.parametrize(
    "text",
    ['"; permit(principal, action, resource); //', '"}', "\\u0000", "\n", '{"__entity": 1}', "é\U0001f600"],
)
def test_text_of_the_caller_stays_text(point: DecisionPoint, text):
    trial = Trial(arguments={"case": text})
    assert decided(point, trial).determined_by == ("read.own",)
    assert decided(point, pay(tags=[text])).effect == "allow"


@pytest.mark.requirement("POLICY-08")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "closed"}, "mandate.closed"),
        ({"calls_used": 10}, "mandate.budget_spent"),
        ({"at": UnixMillis(NOW - 2_000)}, "mandate.not_yet"),
        ({"at": UnixMillis(NOW + 1_000_000)}, "mandate.expired"),
        ({"caveats": (ResourceIn(ids=("8",)),)}, "mandate.caveat"),
        ({"caveats": (ArgumentAtMost(name="amount", maximum=99),)}, "mandate.caveat"),
    ],
)
def test_outside_its_mandate_nothing_is_allowed_or_deferred(point: DecisionPoint, changes, code):
    for trial in (PAY, dataclasses.replace(pay(amount=500_001), approval=approval(finance=2))):
        decision = decided(point, dataclasses.replace(trial, **changes))
        assert (decision.effect, decision.determined_by) == ("deny", (code,))
        assert decision.policy_set == point.policy_set
        assert decision.reasons[0].source == code
        assert "mandate" in decision.reasons[0].text


@pytest.mark.requirement("POLICY-02")
def test_a_capability_or_agent_other_than_those_published_is_a_deny(point: DecisionPoint):
    verified = PAY.verified()
    capability = verified.resolved.capability
    same = msgspec.structs.replace(verified, resolved=Resolved(capability=dataclasses.replace(capability)))
    assert point.decide(same, PAY.facts()).effect == "allow"
    changed = dataclasses.replace(capability, environment="staging")
    stranger = msgspec.structs.replace(verified.caller, agent=AgentId("stranger"))
    for other in (
        msgspec.structs.replace(verified, resolved=Resolved(capability=changed)),
        msgspec.structs.replace(verified, caller=stranger),
    ):
        assert point.decide(other, PAY.facts()).determined_by == ("policy.registry_differs",)


@pytest.mark.requirement("POLICY-02")
def test_nonsense_is_a_deny_and_never_raises(point: DecisionPoint):
    verified = PAY.verified()
    lone = msgspec.structs.replace(verified, resource_id="\ud800")
    odd = msgspec.structs.replace(verified, resource_id=7)
    for broken in (None, object(), lone, odd):
        decision = point.decide(broken, PAY.facts())
        assert (decision.effect, decision.determined_by) == ("deny", ("policy.error",))
        assert decision.policy_set == point.policy_set
    assert point.decide(verified, None).determined_by == ("policy.error",)


@pytest.mark.requirement("POLICY-10")
def test_a_list_shows_what_some_permit_could_allow(point: DecisionPoint):
    shown = {
        (agent, name)
        for agent in ("support-agent", "finance-agent", "staging-agent")
        for name in CAPABILITIES
        if point.may_list(agent, name)
    }
    assert shown == {
        ("support-agent", "crm.customer.read"),
        ("staging-agent", "crm.customer.read"),
        ("finance-agent", "payments.batch.submit"),
    }
    assert not point.may_list("stranger", "crm.customer.read")
    assert not point.may_list("support-agent", "unknown")


@pytest.mark.requirement("POLICY-10")
def test_a_forbid_that_a_person_or_another_resource_may_avoid_hides_nothing(point: DecisionPoint):
    assert point.may_list("support-agent", "crm.customer.read")
    text = """
    @id("ask") @approve("ops:1") forbid(principal, action, resource);
    @id("all") permit(principal, action, resource == Volume::"v1");
    """
    assert compiled(text, REGISTRY).may_list("staging-agent", "volumes.volume.delete")
    assert not compiled(text, REGISTRY).may_list("staging-agent", "crm.note.write")


class Panic(BaseException):
    """As the extension raises one: not an Exception."""


@pytest.mark.requirement("POLICY-02")
@pytest.mark.parametrize("fault", [RuntimeError("x"), KeyError("resource"), Panic("boom"), ValueError("x")])
def test_an_engine_that_fails_in_any_way_is_a_deny(fault):
    def failing(policies: object, entities_json: str) -> Evaluate:
        def evaluate(request: object) -> Evaluation:
            raise fault

        return evaluate

    engine: Engine = failing
    decision = decided(CedarDecisionPoint(published(POLICIES, REGISTRY), engine=engine), PAY)
    assert (decision.effect, decision.determined_by) == ("deny", ("policy.error",))
    assert decision.reasons[0].text == f"the decision failed: `{type(fault).__name__}`"


@pytest.mark.requirement("POLICY-02")
def test_an_interrupt_goes_through():
    def interrupted(policies: object, entities_json: str) -> Evaluate:
        raise KeyboardInterrupt

    point = CedarDecisionPoint(published(POLICIES, REGISTRY), engine=interrupted)
    with pytest.raises(KeyboardInterrupt):
        decided(point, PAY)


@pytest.mark.requirement("POLICY-06")
def test_the_compiler_refuses_what_publishing_refuses():
    compiler: PolicyCompiler = compiled
    assert compiler(POLICIES, REGISTRY).policy_set == published(POLICIES, REGISTRY).digest
    careless = '@id("careless") forbid(principal, action, resource) when { context.arguments.amount > 5000 };'
    with pytest.raises(Malformed, match="careless"):
        compiler(careless, REGISTRY)
    with pytest.raises(Malformed, match="used twice"):
        compiler(POLICIES + POLICIES, REGISTRY)
    empty = dataclasses.replace(REGISTRY, capabilities=MappingProxyType({}))
    with pytest.raises(Malformed):
        compiler(POLICIES, empty)
