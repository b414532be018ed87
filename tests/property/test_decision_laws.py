"""Laws of the decision, on random policy sets and requests, against real Cedar and against the reference model."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.engine import public_engine
from answerable.core.decision.decision import Decision
from answerable.core.identity.names.principal import UnixMillis
from answerable.testing.policy_model import CONDITIONS, ModelDecision, ModelPolicy, expected
from tests.worlds.policy import AGENTS, CAPABILITIES, NOW, REGISTRY, Trial, approval

KINDS = sorted({capability.kind for capability in CAPABILITIES.values()})
IDS = {"Customer": ("4711", "4712"), "Batch": ("7", "8"), "Volume": ("v1", "v2")}
GROUPS = ("finance", "security")
WIDTH = {"deny": 0, "defer": 1, "allow": 2}
OBLIGATIONS = (
    "redact:/email", "mask:/rows/*/iban?", "rows_max:/rows=10", "notify:finance", "witnessed", "log:full",
    "log:digest",
)  # fmt: skip


@st.composite
def heads(draw: st.DrawFn) -> dict[str, object]:
    """A head that can match something: strict validation refuses all others."""
    actions = draw(st.lists(st.sampled_from([*CAPABILITIES, *KINDS]), max_size=2, unique=True))
    types = sorted(
        {
            capability.resource.type
            for capability in CAPABILITIES.values()
            if not actions or capability.name in actions or capability.kind in actions
        }
    )
    resource_type = draw(st.sampled_from(["", *types]))
    return {
        "principal": draw(
            st.sampled_from(
                ["", "Agent::support-agent", "Agent::finance-agent", "Agent::nobody", "UseCase::support"]
            )
        ),
        "actions": tuple(actions),
        "resource_type": resource_type,
        "resource_id": draw(st.sampled_from(["", *IDS[resource_type]])) if resource_type else "",
    }


@st.composite
def policies(draw: st.DrawFn, *, name: str, effect: str = "") -> ModelPolicy:
    """Any policy; forbids may be liftable."""
    chosen = effect or draw(st.sampled_from(["permit", "permit", "forbid"]))
    approve = draw(st.sampled_from([None, None, ("finance", 1), ("finance", 2), ("security", 1)]))
    oblige = draw(st.one_of(st.just([]), st.lists(st.sampled_from(OBLIGATIONS), max_size=3, unique=True)))
    both = {"log:full", "log:digest"} <= set(oblige)
    return ModelPolicy(
        id=name,
        effect=chosen,
        condition=draw(st.one_of(st.none(), st.sampled_from(CONDITIONS))),
        approve=approve if chosen == "forbid" else None,
        oblige=() if chosen == "permit" or both else tuple(oblige),
        **draw(heads()),
    )


@st.composite
def policy_sets(draw: st.DrawFn) -> tuple[ModelPolicy, ...]:
    """Up to ten, with a permit on everything in half of them so that forbids have something to forbid."""
    count = draw(st.integers(0, 9))
    found = [draw(policies(name=f"p{number}")) for number in range(count)]
    if draw(st.booleans()):
        found.append(ModelPolicy(id="all", effect="permit"))
    return tuple(found)


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    """Any action of any agent on a named or an unnamed resource, with an approval or none."""
    capability = CAPABILITIES[draw(st.sampled_from(sorted(CAPABILITIES)))]
    resource_id = draw(st.sampled_from([*IDS[capability.resource.type], "other"]))
    arguments: dict[str, object] = {capability.resource.argument: resource_id}
    if capability.kind == "pay":
        arguments |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "amount": st.sampled_from([None, -5, 0, 1, 500_000, 500_001, 2**53 - 1]),
                    "rate": st.sampled_from(["1.4999", "1.5", "-3", "7.25"]),
                    "tags": st.lists(st.sampled_from(["urgent", "late"]), max_size=3),
                    "count": st.integers(-3, 3),
                },
            )
        )
    people = draw(st.one_of(st.none(), st.fixed_dictionaries({group: st.integers(0, 2) for group in GROUPS})))
    return Trial(
        agent=draw(st.sampled_from(sorted(AGENTS))),
        capability=capability.name,
        arguments=arguments,
        calls_used=draw(st.integers(0, 9)),
        proof=draw(st.sampled_from(["mtls", "signature"])),
        at=UnixMillis(NOW + draw(st.sampled_from([0, 999, 1_000, 1_999, 2_000]))),
        history={
            "paid_today": draw(st.sampled_from([0, 1, 2**53 - 1])),
            "started_here": draw(st.integers(0, 5)),
        },
        approval=None if people is None else approval(**people),
    )


def text(own: tuple[ModelPolicy, ...]) -> str:
    return "\n".join(policy.text() for policy in own)


def decided(own: tuple[ModelPolicy, ...], trial: Trial, *, slicing: bool = True) -> Decision:
    return CedarDecisionPoint(published(text(own), REGISTRY), slicing=slicing).decide(
        trial.verified(), trial.facts()
    )


def modelled(own: tuple[ModelPolicy, ...], trial: Trial) -> ModelDecision:
    approvers = None
    if trial.approval is not None:
        groups = [group for group, _ in trial.approval.answered_by]
        approvers = {group: groups.count(group) for group in groups}
    return expected(own, trial.model(), approvers)


@pytest.mark.requirement("POLICY-04")
@given(own=policy_sets(), asked=st.lists(trials(), min_size=1, max_size=8))
def test_slices_the_whole_set_both_calls_and_the_model_decide_alike(own, asked):
    policy_set = published(text(own), REGISTRY)
    sliced = CedarDecisionPoint(policy_set)
    others = [
        CedarDecisionPoint(policy_set, slicing=False),
        CedarDecisionPoint(policy_set, engine=public_engine),
    ]
    for trial in asked:
        verified, facts = trial.verified(), trial.facts()
        decision = sliced.decide(verified, facts)
        assert all(other.decide(verified, facts) == decision for other in others)
        model = modelled(own, trial)
        assert decision.effect == model.effect
        assert frozenset(decision.determined_by) == model.determined_by
        assert frozenset(decision.lifted) == model.lifted
        assert frozenset(decision.obligations) == model.obligations


@pytest.mark.requirement("POLICY-01")
@given(own=policy_sets(), more=policies(name="added", effect="forbid"), trial=trials())
def test_adding_a_forbid_never_widens(own, more, trial):
    assert WIDTH[decided((*own, more), trial).effect] <= WIDTH[decided(own, trial).effect]


@pytest.mark.requirement("OBL-03")
@given(own=policy_sets(), more=policies(name="added", effect="forbid"), trial=trials())
def test_adding_a_forbid_leaves_what_is_allowed_under_the_same_obligations_or_more(own, more, trial):
    before, after = decided(own, trial), decided((*own, more), trial)
    if after.effect != "deny":
        assert before.effect != "deny"
        assert set(before.obligations) <= set(after.obligations)
        assert set(before.requirements) <= set(after.requirements) or after.effect == "allow"


@pytest.mark.requirement("OBL-03")
@given(own=policy_sets(), trial=trials())
def test_what_an_obligation_lifts_would_be_denied_without_it(own, trial):
    final = tuple(
        dataclasses.replace(policy, oblige=()) if policy.approve is None else policy for policy in own
    )
    with_lift, without = decided(own, trial), decided(final, trial)
    lifted_by_it = {policy.id for policy in own if policy.oblige and policy.approve is None}
    if with_lift.effect == "allow" and lifted_by_it & set(with_lift.lifted):
        assert without.effect == "deny"
    assert (
        WIDTH[without.effect] <= WIDTH[with_lift.effect] or "obligation.conflict" in with_lift.determined_by
    )


@pytest.mark.requirement("POLICY-03")
@given(own=policy_sets(), more=policies(name="added", effect="permit"), trial=trials())
def test_adding_a_permit_never_removes_a_person(own, more, trial):
    before, after = decided(own, trial), decided((*own, more), trial)
    if before.effect == "defer":
        assert after.effect != "allow"
        assert after.requirements in ((), before.requirements)


@pytest.mark.requirement("POLICY-01")
@given(own=st.lists(policies(name="x", effect="forbid"), max_size=5), trial=trials())
def test_without_a_permit_nothing_is_allowed_or_deferred(own, trial):
    named = tuple(dataclasses.replace(policy, id=f"p{number}") for number, policy in enumerate(own))
    assert decided(named, trial).effect == "deny"


@pytest.mark.requirement("POLICY-02")
@given(own=policy_sets(), trial=trials())
def test_a_policy_that_errs_denies_whatever_the_others_say(own, trial):
    overflowing = CONDITIONS[2]
    trial = dataclasses.replace(
        trial, capability="payments.batch.submit", arguments={"batch": "7", "amount": 5}
    )
    erring = ModelPolicy(id="erring", effect="permit", condition=overflowing)
    decision = decided((*own, erring), trial)
    assert (decision.effect, decision.determined_by) == ("deny", ("policy.error",))


@pytest.mark.requirement("POLICY-03")
@given(own=policy_sets(), trial=trials())
def test_an_approval_never_turns_a_deny_into_an_allow(own, trial):
    without = decided(own, dataclasses.replace(trial, approval=None))
    everybody = decided(own, dataclasses.replace(trial, approval=approval(finance=9, security=9)))
    assert (without.effect == "deny") == (everybody.effect == "deny")
    if without.effect == "defer":
        assert everybody.lifted == without.determined_by
        assert everybody.obligations == without.obligations


@pytest.mark.requirement("POLICY-10")
@given(own=policy_sets(), trial=trials())
def test_what_is_allowed_or_deferred_is_listed(own, trial):
    point = CedarDecisionPoint(published(text(own), REGISTRY))
    if point.decide(trial.verified(), trial.facts()).effect != "deny":
        assert point.may_list(trial.agent, trial.capability)
