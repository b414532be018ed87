"""Tables of decisions, read strictly, and made into what the decision point is asked."""

from __future__ import annotations

import pytest

from answerable.adapters.cedar import compiled
from answerable.core.decision.policy_case import DEFAULT_AT, Given, GivenTask, cases_in
from answerable.core.decision.policy_trial import case_faults, moment_of, trial_of
from answerable.core.decision.time_windows import lasts
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.documents.fields import Fault
from answerable.core.registry.documents.policy_parts import TimeWindow
from answerable.errors import Malformed
from tests.worlds.policy import REGISTRY

READS = {"agent": "support-agent", "capability": "crm.customer.read", "arguments": {"case": "4711"}}


def read(value):
    faults: list[Fault] = []
    return cases_in(value, faults), [(one.path, one.code) for one in faults]


def one_case(**given):
    cases, faults = read({"cases": [{"name": "one", "given": {**READS, **given}, "expect": "allow"}]})
    assert not faults
    return cases[0].given


@pytest.mark.requirement("HINT-07")
def test_a_case_asks_at_the_tier_that_hints_raise_to_and_never_below_the_registered_one():
    policy = '@id("low") permit(principal, action, resource) when { context.capability.tier < 2 };'
    decide = compiled(policy, REGISTRY).decide
    registered = REGISTRY.capabilities[READS["capability"]].tier
    effects = {tier: decide(*trial_of(one_case(tier=tier), REGISTRY)).effect for tier in range(registered, 4)}
    assert effects == {tier: "allow" if tier < 2 else "deny" for tier in range(registered, 4)}
    assert decide(*trial_of(one_case(), REGISTRY)).effect == "allow"
    below = {**READS, "capability": "payments.batch.submit", "tier": 2}
    with pytest.raises(Malformed, match="can only raise it") as raised:
        trial_of(Given(**below), REGISTRY)
    assert raised.value.code == "case.tier"
    cases, faults = read({"cases": [{"name": "one", "given": below, "expect": "deny"}]})
    assert not faults
    assert ("/given/tier", "case.tier") in [
        (path, code) for path, code, _ in case_faults(cases[0], REGISTRY, [])
    ]
    for odd in (4, -1, "2", True):
        _, faults = read({"cases": [{"name": "one", "given": {**READS, "tier": odd}, "expect": "deny"}]})
        assert [path for path, _ in faults] == ["/cases/0/given/tier"]


@pytest.mark.requirement("SET-07")
@pytest.mark.parametrize(
    "window",
    [
        TimeWindow(name="year_end", begins=1_797_789_600_000, ends=1_798_869_600_000),
        TimeWindow(name="night", starts_at=20 * 60, stops_at=6 * 60),
        TimeWindow(name="weekend", days=("sat", "sun")),
    ],
)
def test_a_case_that_says_no_time_is_outside_the_usual_windows(window):
    assert not lasts(window, DEFAULT_AT)


def test_a_case_lies_over_the_defaults_member_by_member():
    cases, faults = read(
        {
            "defaults": {**READS, "task": {"callsMax": 5}, "proof": "mtls", "resource": "a"},
            "cases": [
                {
                    "name": "one",
                    "given": {
                        "arguments": {"more": 1, "case": None},
                        "task": {"callsUsed": 2},
                        "resource": None,
                    },
                    "expect": "deny",
                    "by": ["x"],
                }
            ],
        }
    )
    assert not faults
    given = cases[0].given
    assert given.arguments == {"more": 1}
    assert (given.task.calls_max, given.task.calls_used) == (5, 2)
    assert (given.proof, given.resource) == ("mtls", None)
    assert (cases[0].expect, cases[0].by, cases[0].approvers) == ("deny", ("x",), None)


@pytest.mark.parametrize(
    ("given", "path", "code"),
    [
        ({"agnet": "x"}, "/cases/0/given/agnet", "document.unknown_key"),
        ({"task": {"calls": 1}}, "/cases/0/given/task/calls", "document.unknown_key"),
        ({"task": {"callsMax": 0}}, "/cases/0/given/task/callsMax", "document.range"),
        ({"task": {"state": "opne"}}, "/cases/0/given/task/state", "document.choice"),
        ({"task": {"startedAt": "2026-02-30T00:00:00Z"}}, "/cases/0/given/task/startedAt", "document.time"),
        ({"identity": {"grade": "kernle"}}, "/cases/0/given/identity/grade", "document.choice"),
        ({"identity": {"drifted": "no"}}, "/cases/0/given/identity/drifted", "document.type"),
        ({"budget": {"leftPercent": 101}}, "/cases/0/given/budget/leftPercent", "document.range"),
        ({"history": {"reads": -1}}, "/cases/0/given/history/reads", "document.range"),
        ({"history": {"reads": True}}, "/cases/0/given/history/reads", "document.range"),
        ({"windows": {"night": 1}}, "/cases/0/given/windows/night", "document.type"),
        ({"approval": {"finance": 10}}, "/cases/0/given/approval/finance", "document.range"),
        ({"proof": "word"}, "/cases/0/given/proof", "document.choice"),
        ({"at": "tomorrow"}, "/cases/0/given/at", "document.time"),
        ({"chain": ["a"] * 17 + ["support-agent"]}, "/cases/0/given/chain", "document.size"),
        ({"chain": ["support-agent", "other"]}, "/cases/0/given/chain", "case.chain"),
        ({"arguments": ["case"]}, "/cases/0/given/arguments", "document.type"),
        ({"agent": "Nobody"}, "/cases/0/given/agent", "name.invalid"),
    ],
)
def test_every_fault_of_what_is_given_has_its_place(given, path, code):
    _, faults = read({"cases": [{"name": "one", "given": {**READS, **given}, "expect": "allow"}]})
    assert faults == [(path, code)]


def test_a_fault_of_the_defaults_is_told_once_and_there():
    case = {"given": {"agent": "support-agent"}, "expect": "allow"}
    _, faults = read(
        {"defaults": {**READS, "proof": "word"}, "cases": [{"name": "a", **case}, {"name": "b", **case}]}
    )
    assert faults == [("/defaults/proof", "document.choice")]


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ([], [("", "document.type")]),
        ({"case": []}, [("/case", "document.unknown_key"), ("", "document.missing")]),
        ({"cases": [{"given": READS}]}, [("/cases/0", "document.missing"), ("/cases/0", "document.missing")]),
        (
            {"cases": [{"name": "a", "given": READS, "expect": "allow"}] * 2},
            [("/cases/1/name", "document.duplicate")],
        ),
        (
            {"cases": [{"name": "a", "given": READS, "expect": "defer", "approvers": ["finance"]}]},
            [("/cases/0/approvers/0", "document.pattern")],
        ),
    ],
)
def test_every_fault_of_a_table_has_its_place(value, faults):
    assert read(value)[1] == faults


def test_what_is_not_given_is_as_the_reference_says():
    verified, facts = trial_of(one_case(), REGISTRY)
    assert (facts.at, facts.mandate_state, facts.mandate_calls_used, facts.approval) == (
        DEFAULT_AT,
        "open",
        0,
        None,
    )
    assert facts.budget == {"calls_left": 100, "left_percent": 100}
    assert facts.history == {"started_here": 0, "paid_today": 0}
    mandate = verified.mandate
    assert (mandate.not_before, mandate.expires_at) == (DEFAULT_AT - 3_600_000, DEFAULT_AT + 3_600_000)
    assert (mandate.agent, mandate.use_case) == ("support-agent", "support")
    assert [grant.capability for grant in mandate.grants] == ["crm.customer.read"]
    assert (verified.caller.proof, verified.caller.identity.grade, verified.hops) == (
        "signature",
        "claimed",
        (),
    )
    assert verified.resource_id == "4711"


def test_what_is_given_is_what_is_asked():
    verified, facts = trial_of(
        one_case(
            at="2027-01-01T00:00:00Z",
            resource="other",
            chain=["finance-agent", "support-agent"],
            task={
                "callsMax": 8,
                "callsUsed": 6,
                "principal": "maria",
                "useCase": "finance",
                "state": "closed",
            },
            budget={"moneyLeft": 5, "callsLeft": 1},
            history={"paid_today": 7},
            identity={
                "grade": "kernel",
                "kernel": ["code_digest"],
                "measured": ["prompt_digest", "code_digest"],
            },
            approval={"finance": 2},
        ),
        REGISTRY,
    )
    assert (verified.resource_id, verified.mandate.agent, verified.mandate.principal) == (
        "other",
        "finance-agent",
        "maria",
    )
    assert [hop.agent for hop in verified.hops] == ["finance-agent", "support-agent"]
    assert facts.budget == {"calls_left": 1, "left_percent": 25, "money_left": 5}
    assert facts.history == {"started_here": 0, "paid_today": 7}
    assert facts.mandate_state == "closed"
    assert facts.approval is not None
    assert len(facts.approval.answered_by) == 2
    assert verified.caller.identity.manifest_fields == (
        ("code_digest", "kernel"),
        ("prompt_digest", "sidecar"),
    )


def test_a_case_that_says_nowhere_what_is_touched_cannot_be_made():
    with pytest.raises(Malformed) as caught:
        trial_of(one_case(arguments={}), REGISTRY)
    assert caught.value.code == "resource.unknown"


@pytest.mark.parametrize("other", [{"agent": "nobody"}, {"capability": "crm.nothing"}])
def test_a_case_of_what_is_not_active_cannot_be_made(other):
    with pytest.raises(Malformed) as caught:
        trial_of(one_case(**other), REGISTRY)
    assert caught.value.code == "case.unknown"


NIGHT = TimeWindow(name="night", days=("mon",), starts_at=20 * 60, stops_at=6 * 60)
FREEZE = TimeWindow(name="freeze", begins=DEFAULT_AT + 86_400_000, ends=DEFAULT_AT + 2 * 86_400_000)
NOON = TimeWindow(name="noon", starts_at=11 * 60, stops_at=13 * 60)


def given(*, at: int | None = None, **windows: bool) -> Given:
    return Given(
        agent="a", capability="c", windows=tuple(windows.items()), at=None if at is None else UnixMillis(at)
    )


def test_named_times_say_when_a_case_happens():
    every = (NIGHT, FREEZE, NOON)
    assert moment_of(given(), every) == DEFAULT_AT
    assert moment_of(given(noon=True), every) == DEFAULT_AT
    assert moment_of(given(freeze=True), every) == FREEZE.begins
    assert moment_of(given(freeze=True, noon=False), every) > FREEZE.begins
    monday_evening = DEFAULT_AT + 4 * 86_400_000 + 8 * 3_600_000
    assert moment_of(given(night=True), every) == monday_evening


@pytest.mark.parametrize("wanted", [{"night": True, "noon": True}, {"at": DEFAULT_AT, "noon": False}])
def test_named_times_that_never_are_so_are_a_fault(wanted):
    with pytest.raises(Malformed) as caught:
        moment_of(given(**wanted), (NIGHT, FREEZE, NOON))
    assert caught.value.code == "case.windows"


def test_a_name_that_is_not_there_is_told_with_the_one_that_was_meant():
    cases, _ = read(
        {
            "cases": [
                {
                    "name": "one",
                    "given": {
                        **READS,
                        "agent": "suport-agent",
                        "arguments": {"case": "1", "cases": "2", "unseen": 3},
                        "history": {"paid_todya": 1},
                        "windows": {"freez": True},
                    },
                    "expect": "allow",
                    "by": ["readz", "mandate.expired"],
                }
            ]
        }
    )
    found = list(case_faults(cases[0], REGISTRY, ["reads"]))
    assert {code for _, code, _ in found} == {"case.unknown"}
    assert {path for path, _, _ in found} == {
        "/given/agent",
        "/given/history/paid_todya",
        "/given/windows/freez",
        "/by/0",
        "/given/arguments/cases",
    }
    assert all("did you mean" in message for _, _, message in found)


def test_a_task_that_no_mandate_could_be_is_refused():
    with pytest.raises(Malformed) as caught:
        trial_of(Given(**{**READS, "task": GivenTask(purpose="two\nlines")}), REGISTRY)
    assert caught.value.code == "mandate.malformed"


def test_a_case_that_names_no_more_than_the_call_is_given_what_is_usual():
    given = one_case()
    usual = Given(agent=given.agent, capability=given.capability, arguments=given.arguments)
    assert given == usual
