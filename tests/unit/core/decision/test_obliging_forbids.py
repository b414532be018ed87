"""Claims about forbids that obligations lift, and about decisions after a narrowing."""

from __future__ import annotations

import pytest

from answerable.core.decision.decision import (
    Decision,
    Evaluation,
    PolicyNote,
    Reason,
    after_narrowing,
    weigh,
)
from answerable.core.decision.facts import ApprovalFact, Requirement
from answerable.core.identity.names.principal import PrincipalId

pytestmark = pytest.mark.requirement("OBL-03")

FINANCE = Requirement(group="finance", count=1)
SECURITY = Requirement(group="security", count=1)
NOTES = {
    "allowed": PolicyNote(reason="may"),
    "final": PolicyNote(reason="never", internal="the auditors said so"),
    "asks": PolicyNote(reason="ask", approve=FINANCE),
    "redacts": PolicyNote(reason="hide", oblige=("redact:/email", "notify:privacy")),
    "narrows": PolicyNote(reason="less", oblige=("modify:amount<=5000",)),
    "both": PolicyNote(reason="less, and ask", approve=SECURITY, oblige=("modify:amount<=5000", "log:full")),
    "silent": PolicyNote(reason="quiet", oblige=("log:digest",)),
    "newer": PolicyNote(reason="from a later version", oblige=("teleport:/x",)),
}
ALLOWED = Evaluation(allowed=True, determining=("allowed",))


def approved(*groups: str) -> ApprovalFact:
    return ApprovalFact(id="a", answered_by=tuple((group, PrincipalId(f"{group}-1")) for group in groups))


def weighed(*forbids: str, rest: Evaluation = ALLOWED, approval: ApprovalFact | None = None) -> Decision:
    first = Evaluation(allowed=False, determining=forbids)
    return weigh(first, notes=NOTES, without=lambda ids: rest, approval=approval, policy_set="d1")


def test_an_obligation_lifts_its_forbid_and_stays_in_its_place():
    decision = weighed("redacts")
    assert (decision.effect, decision.lifted) == ("allow", ("redacts",))
    assert decision.determined_by == ("allowed",)
    assert decision.obligations == ("redact:/email", "notify:privacy")
    assert decision.requirements == ()


@pytest.mark.requirement("OBL-11")
def test_what_a_lifted_forbid_says_for_people_stays_with_the_decision_and_with_one_that_it_narrowed():
    notes = {**NOTES, "narrows": PolicyNote(reason="less", internal="RB-7", oblige=("modify:amount<=5000",))}
    first = Evaluation(allowed=False, determining=("narrows",))
    wider = weigh(first, notes=notes, without=lambda _: ALLOWED, approval=None, policy_set="d1")
    said = Reason(source="narrows", text="less", internal="RB-7")
    assert wider.reasons == (Reason(source="allowed", text="may"), said)
    allowed = Decision(
        effect="allow",
        reasons=(Reason(source="allowed", text="may"),),
        determined_by=("allowed",),
        policy_set="d1",
    )
    narrowed = after_narrowing(wider, allowed, None)
    assert narrowed.reasons == allowed.reasons
    assert narrowed.all_reasons == (Reason(source="allowed", text="may"), said)


def test_a_final_forbid_comes_first():
    decision = weighed("redacts", "final")
    assert (decision.effect, decision.determined_by) == ("deny", ("final", "redacts"))
    assert decision.obligations == ()
    assert decision.reasons[0] == Reason(source="final", text="never", internal="the auditors said so")


def test_no_obligation_lifts_anything_where_nothing_would_allow_it():
    assert weighed("redacts", rest=Evaluation(allowed=False, determining=())).effect == "deny"
    erring = Evaluation(allowed=False, determining=(), errors=("overflow",))
    assert weighed("redacts", rest=erring).effect == "deny"


def test_one_forbid_with_both_takes_both():
    waiting = weighed("both")
    assert (waiting.effect, waiting.requirements) == ("defer", (SECURITY,))
    assert waiting.obligations == ("modify:amount<=5000", "log:full")
    allowed = weighed("both", approval=approved("security"))
    assert (allowed.effect, allowed.lifted) == ("allow", ("both",))
    assert allowed.obligations == waiting.obligations


def test_what_one_asks_and_another_obliges_takes_both():
    waiting = weighed("asks", "redacts")
    assert (waiting.effect, waiting.requirements) == ("defer", (FINANCE,))
    assert waiting.obligations == ("redact:/email", "notify:privacy")
    allowed = weighed("asks", "redacts", approval=approved("finance"))
    assert (allowed.effect, allowed.obligations) == ("allow", waiting.obligations)


@pytest.mark.requirement("OBL-02")
def test_obligations_that_cannot_be_kept_together_deny():
    decision = weighed("both", "silent", approval=approved("security"))
    assert (decision.effect, decision.determined_by) == ("deny", ("obligation.conflict", "both", "silent"))
    assert decision.reasons[0].source == "obligation.conflict"
    assert decision.obligations == ()


@pytest.mark.requirement("OBL-01")
def test_an_obligation_of_a_later_version_denies():
    decision = weighed("newer")
    assert (decision.effect, decision.determined_by) == ("deny", ("obligation.unknown", "newer"))


def test_after_a_narrowing_the_obligations_of_both_decisions_hold():
    wider = weighed("narrows", "redacts")
    decision = after_narrowing(wider, weighed("silent"), None)
    assert decision.effect == "allow"
    assert decision.obligations == ("log:digest",)
    assert decision.all_obligations == (
        "modify:amount<=5000", "redact:/email", "notify:privacy", "log:digest",
    )  # fmt: skip


def test_people_whose_forbid_the_narrowing_alone_would_lift_are_asked_all_the_same():
    allow = weigh(ALLOWED, notes=NOTES, without=lambda ids: ALLOWED, approval=None, policy_set="d1")
    waiting = after_narrowing(weighed("both"), allow, None)
    assert (waiting.effect, waiting.requirements) == ("defer", (SECURITY,))
    assert waiting.determined_by == ("both",)
    assert after_narrowing(weighed("both"), allow, approved("finance")).effect == "defer"
    assert after_narrowing(weighed("both"), allow, approved("security")).effect == "allow"
    # Approval of the action as it was asked for says nothing about the narrowed one.
    assert after_narrowing(weighed("both", approval=approved("security")), allow, None).effect == "defer"


def test_people_who_were_asked_about_the_wider_action_only_are_not_asked_about_the_narrowed_one():
    allow = weigh(ALLOWED, notes=NOTES, without=lambda ids: ALLOWED, approval=None, policy_set="d1")
    assert after_narrowing(weighed("asks", "narrows"), allow, None).effect == "allow"


def test_those_who_are_asked_about_the_narrowed_action_are_asked_with_those():
    waiting = after_narrowing(weighed("both"), weighed("asks"), None)
    assert (waiting.effect, waiting.requirements) == ("defer", (FINANCE, SECURITY))
