from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import compiled
from answerable.core.decision.budget_left import budget_left
from answerable.core.decision.decision import Decision
from answerable.core.decision.destination_class import classed
from answerable.core.decision.risk import risk_of
from answerable.core.decision.time_windows import lasts
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.budget import Account
from answerable.core.registry.documents.destination import DestinationMapping
from answerable.core.registry.documents.policy_parts import DestinationClass, RiskFactor, TimeWindow
from tests.worlds.policy import CAPABILITIES, NOW, PARTS, REGISTRY, Trial

READ = CAPABILITIES["crm.customer.read"]
PAY = Trial(capability="payments.batch.submit", arguments={"batch": "7", "amount": 100_000})
PERMIT = '@id("all") permit(principal, action, resource);'


def decided(policies: str, trial: Trial) -> Decision:
    return compiled(policies, REGISTRY).decide(trial.verified(), trial.facts())


def effect_with(condition: str, trial: Trial) -> str:
    return decided(
        f'{PERMIT} @id("no") forbid(principal, action, resource) when {{ {condition} }};', trial
    ).effect


def at(text: str) -> UnixMillis:
    return UnixMillis(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


@pytest.mark.requirement("FACTS-01")
def test_a_decision_carries_what_it_was_asked_with_the_source_of_each_part():
    trial = replace(PAY, history={"paid_today": 5, "started_here": 2})
    asked = json.loads(decided(PERMIT, trial).question)
    context = asked["context"]
    assert context["history"] == {"paid_today": 5, "started_here": 2}
    assert context["windows"] == {"freeze": False}
    assert context["risk"] == {"factors": ["much", "again", "for_good"], "score": 70}
    assert context["arguments"] == {"batch": "7", "amount": 100_000}
    assert asked["principal"] == {"environment": "production", "id": "support-agent", "use_case": "support"}
    assert asked["action"] == {"id": "payments.batch.submit", "kind": "pay"}
    assert asked["resource"] == {"id": "7", "type": "Batch"}
    assert not {"rule", "sources"} & asked.keys(), (
        "policies were asked, and the version says where each part is from"
    )


@pytest.mark.requirement("FACTS-01")
def test_a_denial_by_a_rule_carries_the_question_and_the_code_of_the_rule():
    asked = json.loads(decided(PERMIT, replace(PAY, state="closed")).question)
    assert asked["rule"] == "mandate.closed"
    assert asked["mandate_state"] == "closed"
    wrong = replace(PAY, arguments={"batch": "7", "amount": "much"})
    assert json.loads(decided(PERMIT, wrong).question)["rule"] == "arguments.unmappable"


@pytest.mark.requirement("FACTS-02")
@pytest.mark.parametrize(
    ("condition", "trial"),
    [
        ("context.budget.calls_left < 3", replace(PAY, calls_used=8)),
        ("context.budget.left_percent < 30", replace(PAY, calls_used=8)),
        ('context.chain.person == "maria" && context.chain.depth == 0', PAY),
        ('context.chain.agents.contains("support-agent")', PAY),
        ('context.destination.class == "none"', PAY),
        ("context.history.paid_today > 0", replace(PAY, history={"paid_today": 1, "started_here": 0})),
        ("context.windows.freeze", replace(PAY, at=UnixMillis(NOW + 1_500))),
        ("context.risk.score >= 50", PAY),
        ('context.risk.factors.contains("much")', PAY),
        ("context.agent.tier == 3", PAY),
        ('context.task.purpose like "answer*"', PAY),
    ],
)
def test_policies_decide_on_every_kind_of_fact(condition, trial):
    assert effect_with(condition, trial) == "deny"
    assert effect_with(f"!({condition})", trial) == "allow"


@pytest.mark.requirement("FACTS-06")
def test_a_tracker_without_a_value_denies():
    found = decided(PERMIT, replace(PAY, history={"paid_today": 0}))
    assert (found.effect, found.determined_by) == ("deny", ("facts.unknown",))


@pytest.mark.requirement("FACTS-03")
def test_a_risk_factor_about_a_fact_that_was_not_gathered_raises():
    factor = RiskFactor(name="x", points=1, fact="history", of="nobody", at_least=1)
    with pytest.raises(LookupError):
        risk_of((factor,), {"history": {}})


@pytest.mark.requirement("FACTS-03")
@given(st.dictionaries(st.sampled_from(["amount", "count"]), st.integers(-10, 200_000)), st.integers(0, 3))
def test_the_score_is_the_sum_of_the_points_of_the_factors_it_names(arguments, paid):
    context = {
        "arguments": arguments,
        "history": {"paid_today": paid},
        "capability": {"reversible": paid % 2 == 0},
    }
    found: dict[str, Any] = risk_of(PARTS.risk, context)
    points = {factor.name: int(factor.points) for factor in PARTS.risk}
    assert found["score"] == sum(points[name] for name in found["factors"])
    assert found == risk_of(PARTS.risk, context)
    assert ("much" in found["factors"]) == (arguments.get("amount", 0) >= 100_000)


@pytest.mark.requirement("FACTS-04")
@pytest.mark.parametrize(
    ("window", "moment", "expected"),
    [
        (TimeWindow(name="w", begins=10, ends=20), UnixMillis(9), False),
        (TimeWindow(name="w", begins=10, ends=20), UnixMillis(10), True),
        (TimeWindow(name="w", begins=10, ends=20), UnixMillis(20), False),
        (TimeWindow(name="w", days=("sat", "sun")), at("2026-11-27T23:59:59"), False),
        (TimeWindow(name="w", days=("sat", "sun")), at("2026-11-28T00:00:00"), True),
        (TimeWindow(name="w", starts_at=540, stops_at=1020), at("2026-11-27T09:00:00"), True),
        (TimeWindow(name="w", starts_at=540, stops_at=1020), at("2026-11-27T17:00:00"), False),
        (TimeWindow(name="w", days=("fri",), starts_at=1320, stops_at=360), at("2026-11-28T05:59:00"), True),
        (TimeWindow(name="w", days=("fri",), starts_at=1320, stops_at=360), at("2026-11-27T05:59:00"), False),
        (TimeWindow(name="w", days=("fri",), starts_at=1320, stops_at=360), at("2026-11-28T06:00:00"), False),
    ],
)
def test_a_named_time_lasts_as_it_says(window, moment, expected):
    assert lasts(window, moment) is expected


CLASSES = (
    DestinationClass(name="inside", type="email", members=("example.com",)),
    DestinationClass(name="partner", type="email", members=("ada@partner.example", "other.example")),
    DestinationClass(name="own_hosts", type="host", members=("*.example.com", "example.com")),
    DestinationClass(name="star", type="name", members=("*.queue",)),
)
MAIL = replace(READ, destination=DestinationMapping(type="email", arguments=("to",)))
NAME = replace(READ, destination=DestinationMapping(type="name", arguments=("to",)))
HOST = replace(READ, destination=DestinationMapping(type="host", arguments=("to",)))


@pytest.mark.requirement("FACTS-05")
@pytest.mark.parametrize(
    ("capability", "sent", "worst", "classes"),
    [
        (MAIL, ("eva@example.com",), "inside", ("inside",)),
        (MAIL, ("eva@example.com", "ada@partner.example"), "partner", ("inside", "partner")),
        (MAIL, ("eva@example.com", "bob@partner.example"), "unknown", ("inside", "unknown")),
        (MAIL, ("eva@sub.example.com",), "unknown", ("unknown",)),
        (HOST, ("api.example.com:8443",), "own_hosts", ("own_hosts",)),
        (HOST, ("notexample.com",), "unknown", ("unknown",)),
        (NAME, ("*.queue",), "star", ("star",)),
        (NAME, ("other.queue",), "unknown", ("unknown",)),
        (READ, (), "none", ("none",)),
        (replace(READ, kind="egress"), (), "unknown", ("unknown",)),
        (MAIL, (), "unknown", ("unknown",)),
    ],
)
def test_the_least_trusted_destination_counts(capability, sent, worst, classes):
    found = classed(CLASSES, capability, sent)
    assert (found.worst, found.classes) == (worst, classes)


@pytest.mark.requirement("FACTS-02")
def test_of_several_accounts_the_one_with_least_left_counts():
    accounts = (
        Account(id="m", limits={"calls": 10, "rows": 100, "money:EUR": 500}),
        Account(id="h", limits={"rows": 20}),
    )
    used = {"m": {"calls": 1, "rows": 10}, "h": {"rows": 19}}
    found = budget_left(accounts, lambda account: used[account], READ)
    assert found == {"calls_left": 9, "rows_left": 1, "left_percent": 5}
