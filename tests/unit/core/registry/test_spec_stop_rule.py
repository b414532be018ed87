"""What the spec of a StopRule must look like."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.documents.stop_rule import STOP_RULES_MAX, WATCHED, Canary, StopRule
from answerable.core.registry.parsing.active import faults_of, findings, inactive, snapshot_of
from answerable.testing.builders import bench_documents, with_trackers
from answerable.testing.samples import OWNERSHIP
from tests.worlds.rule import rule

pytestmark = pytest.mark.requirement("RULE-01")

COUNTED = {"limit": 3, "within": "10m"}
NEEDS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(WATCHED, COUNTED),
    "canary": {"canary": {"resources": ["9999"]}},
    "refusal_flood": {},
    "tracker": {"tracker": "refunds", "limit": 3},
}
REFUNDS = {"name": "refunds", "over": "agent", "within": "1h", "capabilities": ["crm.refund"]}


def documents(*rules: Any) -> list[Any]:
    return [*(with_trackers(one, [REFUNDS]) for one in bench_documents()), *rules]


def faults(*rules: Any) -> list[tuple[str, str]]:
    return [(fault.code, fault.path) for fault in faults_of(documents(*rules))]


@pytest.mark.parametrize("watches", WATCHED)
def test_each_kind_is_read_with_what_it_needs_and_is_in_force(watches: str) -> None:
    found = documents(rule("one", watches, **NEEDS[watches]))
    assert faults_of(found) == ()
    noun = snapshot_of(found).stop_rules["one"]
    assert (noun.watches, noun.over, noun.holds, noun.dry_run) == (watches, "agent", "agent", False)


def test_all_that_can_be_said_is_read() -> None:
    said = rule(
        "one", "canary", over="mandate", holds="server", graceSeconds=30, dryRun=True, expiresSeconds=60,
        canary={"capabilities": ["crm.refund"], "resources": ["9999"], "values": ["trap-7f3a90"]},
    )  # fmt: skip
    noun = snapshot_of(documents(said)).stop_rules["one"]
    canary = Canary(capabilities=("crm.refund",), resources=("9999",), values=("trap-7f3a90",))
    assert isinstance(noun, StopRule)
    assert (noun.over, noun.holds, noun.canary) == ("mandate", "server", canary)
    assert (noun.grace_seconds, noun.dry_run, noun.expires_seconds) == (30, True, 60)


def test_it_holds_what_it_is_counted_by_where_nothing_is_said() -> None:
    found = snapshot_of(documents(rule("one", "fan_out", over="mandate", **COUNTED)))
    assert found.stop_rules["one"].holds == "mandate"


@pytest.mark.parametrize(
    ("watches", "spec", "fault"),
    [
        ("denied_rate", {**COUNTED, "limt": 1}, ("document.unknown_key", "/spec/limt")),
        ("denied_rate", {"limit": 3}, ("stop_rule.key", "/spec/within")),
        ("denied_rate", {"within": "1h"}, ("stop_rule.key", "/spec/limit")),
        ("denied_rate", {**COUNTED, "within": "soon"}, ("document.pattern", "/spec/within")),
        ("denied_rate", {**COUNTED, "limit": -1}, ("document.range", "/spec/limit")),
        ("denied_rate", {**COUNTED, "tracker": "refunds"}, ("stop_rule.key", "/spec/tracker")),
        ("denied_rate", {**COUNTED, "canary": {"resources": ["1"]}}, ("stop_rule.key", "/spec/canary")),
        ("denied_rate", {**COUNTED, "over": "mandate", "holds": "agent"}, ("stop_rule.key", "/spec/holds")),
        ("denied_rate", {**COUNTED, "holds": "everything"}, ("document.choice", "/spec/holds")),
        ("denied_rate", {**COUNTED, "graceSeconds": 3601}, ("document.range", "/spec/graceSeconds")),
        ("fan_out", {**COUNTED, "holds": "tool"}, ("stop_rule.key", "/spec/holds")),
        ("refusal_flood", {"limit": 1}, ("stop_rule.key", "/spec/limit")),
        ("refusal_flood", {"over": "mandate", "holds": "mandate"}, ("stop_rule.key", "/spec/over")),
        ("tracker", {"tracker": "refunds"}, ("stop_rule.key", "/spec/limit")),
        ("tracker", {"limit": 1}, ("document.missing", "/spec")),
        ("tracker", {"tracker": "refnds", "limit": 1}, ("reference.missing", "/spec/tracker")),
        ("tracker", {"tracker": "refunds", "limit": 1, "within": "1h"}, ("stop_rule.key", "/spec/within")),
        ("canary", {}, ("stop_rule.key", "/spec/canary")),
        ("canary", {"canary": {}}, ("document.missing", "/spec/canary")),
        ("canary", {"canary": {"values": ["short"]}}, ("document.size", "/spec/canary/values/0")),
        ("canary", {"canary": {"hosts": ["x"], "resources": ["1"]}}, ("document.unknown_key", "/spec/canary/hosts")),
        (
            "canary",
            {"canary": {"resources": [str(one) for one in range(101)]}},
            ("document.size", "/spec/canary/resources"),
        ),
        (
            "canary",
            {"canary": {"capabilities": ["crm.none"]}},
            ("reference.missing", "/spec/canary/capabilities/0"),
        ),
        ("sleeps", {**COUNTED}, ("document.choice", "/spec/watches")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_fault_where_it_stands(
    watches: str, spec: dict[str, Any], fault: tuple[str, str]
) -> None:
    assert fault in faults(rule("one", watches, **spec))


def test_a_rule_nobody_answers_for_is_a_fault_and_is_not_left_out_quietly() -> None:
    without = rule("one", "denied_rate", **COUNTED, ownership={"owner": "alice"})
    assert ("stop_rule.ownership", "/spec/ownership") in faults(without)
    nobody = rule("one", "denied_rate", **COUNTED, ownership={**OWNERSHIP, "owner": "zed"})
    assert ("reference.missing", "/spec/ownership/owner") in faults(nobody)


def test_a_rule_outlasts_an_owner_who_is_disabled_and_is_looked_at_again() -> None:
    found = documents(rule("one", "denied_rate", **COUNTED))
    for one in found:
        if one["kind"] == "Principal" and one["metadata"]["name"] == OWNERSHIP["owner"]:
            one["spec"]["status"] = "disabled"
    assert "one" in snapshot_of(found).stop_rules
    assert "StopRule" not in {one.kind for one in inactive(found)}
    overdue = [one for one in findings(found, today="2099-01-01") if one.kind == "StopRule"]
    assert [one.code for one in overdue] == ["registry.review_overdue"]


def test_there_are_only_as_many_as_are_looked_at() -> None:
    rules = [rule(f"r-{number}", "denied_rate", **COUNTED) for number in range(STOP_RULES_MAX + 1)]
    assert faults(*rules) == [("document.count", "")]
    assert faults(*rules[1:]) == []
