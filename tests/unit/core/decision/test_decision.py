from __future__ import annotations

from answerable.core.decision.decision import Decision, Evaluation, PolicyNote, weigh
from answerable.core.decision.facts import ApprovalFact, Requirement
from answerable.core.identity.names.principal import PrincipalId

FINANCE = Requirement(group="finance", count=2)
SECURITY = Requirement(group="security", count=1)
NOTES = {
    "pay.allowed": PolicyNote(reason="finance may pay"),
    "pay.large": PolicyNote(reason="large payments need two people", approve=FINANCE),
    "pay.foreign": PolicyNote(reason="foreign payees need a look", approve=SECURITY),
    "pay.frozen": PolicyNote(reason="the account is frozen"),
}
ALLOWED = Evaluation(allowed=True, determining=("pay.allowed",))
NOTHING = Evaluation(allowed=False, determining=())
ERRING = Evaluation(allowed=False, determining=(), errors=("overflow in `pay.odd`",))


def forbidden(*ids: str) -> Evaluation:
    return Evaluation(allowed=False, determining=ids)


def approved(*answers: tuple[str, str]) -> ApprovalFact:
    return ApprovalFact(id="a", answered_by=tuple((group, PrincipalId(who)) for group, who in answers))


def weighed(
    first: Evaluation, *, rest: Evaluation = ALLOWED, approval: ApprovalFact | None = None
) -> Decision:
    return weigh(first, notes=NOTES, without=lambda ids: rest, approval=approval, policy_set="d1")


def test_a_clean_allow_is_allowed_with_the_reasons_of_its_permits():
    decision = weighed(ALLOWED)
    assert (decision.effect, decision.determined_by, decision.policy_set) == ("allow", ("pay.allowed",), "d1")
    assert [reason.text for reason in decision.reasons] == ["finance may pay"]


def test_no_permit_is_a_deny():
    decision = weighed(NOTHING)
    assert (decision.effect, decision.determined_by) == ("deny", ("policy.default_deny",))


def test_an_error_is_a_deny_that_says_so():
    decision = weighed(ERRING)
    assert (decision.effect, decision.determined_by) == ("deny", ("policy.error",))
    assert "overflow" in decision.reasons[0].text


def test_a_forbid_that_nothing_may_lift_denies_even_with_an_approval():
    approval = approved(("finance", "ann"), ("finance", "bob"))
    decision = weighed(forbidden("pay.frozen"), approval=approval)
    assert (decision.effect, decision.determined_by) == ("deny", ("pay.frozen",))


def test_a_liftable_forbid_defers_and_says_who_must_approve():
    decision = weighed(forbidden("pay.large"))
    assert (decision.effect, decision.requirements) == ("defer", (FINANCE,))
    assert decision.determined_by == ("pay.large",)


def test_one_forbid_that_nothing_may_lift_beside_a_liftable_one_denies():
    decision = weighed(forbidden("pay.frozen", "pay.large"))
    assert decision.effect == "deny"
    assert decision.determined_by == ("pay.frozen", "pay.large")


def test_the_same_requirement_twice_is_asked_once():
    notes = {**NOTES, "pay.big": PolicyNote(reason="also large", approve=FINANCE)}
    decision = weigh(
        forbidden("pay.big", "pay.large"),
        notes=notes,
        without=lambda ids: ALLOWED,
        approval=None,
        policy_set="d1",
    )
    assert decision.requirements == (FINANCE,)


def test_an_approval_of_every_requirement_lifts_the_forbids():
    approval = approved(("finance", "ann"), ("finance", "bob"), ("security", "eve"))
    decision = weighed(forbidden("pay.foreign", "pay.large"), approval=approval)
    assert (decision.effect, decision.lifted) == ("allow", ("pay.foreign", "pay.large"))
    assert decision.determined_by == ("pay.allowed",)


def test_an_approval_of_one_requirement_of_two_still_defers():
    approval = approved(("finance", "ann"), ("finance", "bob"))
    assert weighed(forbidden("pay.foreign", "pay.large"), approval=approval).effect == "defer"


def test_one_person_twice_is_no_quorum_of_two():
    approval = approved(("finance", "ann"), ("finance", "ann"), ("security", "bob"))
    assert weighed(forbidden("pay.large"), approval=approval).effect == "defer"


def test_nothing_is_deferred_that_would_not_be_allowed_without_the_forbid():
    assert weighed(forbidden("pay.large"), rest=NOTHING).effect == "deny"
    assert weighed(forbidden("pay.large"), rest=ERRING).effect == "deny"


def test_a_forbid_without_a_note_is_one_that_nothing_may_lift():
    decision = weighed(forbidden("unknown"))
    assert decision.effect == "deny"
    assert decision.reasons[0].text == "policy unknown"
