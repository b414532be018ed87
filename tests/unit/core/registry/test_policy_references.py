"""What policy sets name exists, fits, and is named once over all of them."""

from __future__ import annotations

import pytest

from answerable.core.registry.parsing.active import faults_of, inactive, snapshot_of
from answerable.testing.samples import OWNERSHIP, document
from tests.worlds.policy_parts import CLASS, FACTOR, PARTS, SEQUENCE, TRACKER, WINDOW, faults, with_parts

pytestmark = pytest.mark.requirement("PARTS-03")


def capability(name, arguments, **changes):
    spec = {
        "server": "crm",
        "target": name,
        "kind": "write",
        "environment": "staging",
        "tier": 1,
        "sensitivity": "internal",
        "resource": {"type": "Case", "fixed": "all"},
        "arguments": [{"name": one, "type": kind} for one, kind in arguments.items()],
        "ownership": dict(OWNERSHIP),
        **changes,
    }
    return document("Capability", name, spec)


def told(documents):
    """Place, code and message of the only fault, which is one of reference."""
    (fault,) = faults_of(documents)
    assert fault.kind == "reference"
    assert "\n" not in fault.message
    return fault.path, fault.code, fault.message


def total(**match):
    return {"name": "total", "over": "agent", "within": "1h", "sum": "amount", **match}


def test_the_sample_has_no_fault():
    assert faults_of(with_parts(**PARTS)) == ()


@pytest.mark.parametrize(
    ("tracker", "at", "says"),
    [
        ({**TRACKER, "sum": "amont"}, "/sum", "no argument `amont`; did you mean `amount`?"),
        (
            {**TRACKER, "sum": "amount", "capabilities": ["crm.read"]},
            "/sum",
            "capability `crm.read` has no argument",
        ),
        ({**total(), "capabilities": ["crm.refnd"]}, "/capabilities/0", "did you mean `crm.refund`?"),
        ({**TRACKER, "servers": ["erp"]}, "/servers/0", "no Server is called `erp`"),
        (
            {**SEQUENCE, "steps": [{}, {"capabilities": ["crm.read", "crm.rfund"]}]},
            "/steps/1/capabilities/1",
            "did you mean `crm.refund`?",
        ),
        ({**SEQUENCE, "steps": [{"servers": ["cmr"]}, {}]}, "/steps/0/servers/0", "did you mean `crm`?"),
        (
            total(sum="amounts"),
            "/sum",
            "no capability that it matches has an argument `amounts`; did you mean `amount`?",
        ),
        (total(kinds=["read"]), "/sum", "no capability that it matches has an argument `amount`"),
        (total(servers=["crm"], sensitivities=["public"]), "/sum", "no capability that it matches"),
    ],
)
def test_what_a_tracker_names_exists(tracker, at, says):
    path, code, message = told(with_parts(trackers=[tracker]))
    assert (path, code) == (f"/spec/trackers/0{at}", "reference.missing")
    assert says in message


@pytest.mark.parametrize(
    "match", [{}, {"kinds": ["pay"]}, {"environments": ["production"]}, {"servers": ["crm"]}]
)
def test_a_sum_needs_its_argument_on_one_capability_that_matches(match):
    assert faults(with_parts(trackers=[total(**match)])) == []


@pytest.mark.parametrize("kind", ["string", "boolean", "decimal", "string_set"])
def test_a_sum_that_would_leave_out_a_capability_is_a_fault(kind):
    documents = with_parts(trackers=[total()])
    documents.append(capability("crm.credit", {"amount": kind}))
    path, code, message = told(documents)
    assert (path, code) == ("/spec/trackers/0/sum", "reference.argument_type")
    assert message == f"argument `amount` of capability `crm.credit` is {kind}, not integer or minor_units"
    assert faults(with_parts(trackers=[total(kinds=["pay"])]) + documents[-1:]) == []
    named = with_parts(trackers=[total(capabilities=["crm.credit"], kinds=["pay"])]) + documents[-1:]
    assert told(named)[1] == "reference.argument_type"


def test_an_argument_that_is_an_integer_can_be_added_up():
    documents = with_parts(trackers=[total(sum="rows", capabilities=["crm.export"])])
    assert faults([*documents, capability("crm.export", {"rows": "integer"})]) == []


def test_a_capability_that_is_not_active_can_be_named():
    documents = with_parts(trackers=[total(capabilities=["crm.idle"])])
    documents.append(capability("crm.idle", {"amount": "integer"}, ownership={}))
    assert faults(documents) == []
    assert "crm.idle" in snapshot_of(documents).idle


def of(fact, name="", **more):
    return {"name": "some", "points": 10, "fact": fact, **({"of": name} if name else {}), **more}


@pytest.mark.parametrize(
    ("factor", "at", "code", "says"),
    [
        (of("history", "refund", atLeast=1), "/of", "missing", "a tracker `refund`; did you mean `refunds`?"),
        (of("window", "freze"), "/of", "missing", "a window `freze`; did you mean `freeze`?"),
        (of("window", "refunds"), "/of", "missing", "no policy set declares a window `refunds`"),
        (of("destination_class", oneOf=["ours", "our"]), "/oneOf/1", "missing", "did you mean `ours`?"),
        (of("destination_class", oneOf=["unknow"]), "/oneOf/0", "missing", "did you mean `unknown`?"),
        (of("argument", "amuont", atLeast=1), "/of", "missing", "did you mean `amount`?"),
        (
            of("argument", "amount", oneOf=["1"]),
            "/of",
            "argument_type",
            "is minor_units, not string or string_set",
        ),
        (
            of("argument", "case", atMost=1),
            "/of",
            "argument_type",
            "of capability `crm.read` is string, not integer or minor_units (nor of 1 more)",
        ),
        (of("argument", "amount"), "/of", "argument_type", "compare it by `atLeast`, `atMost` or `oneOf`"),
    ],
)
def test_what_a_factor_looks_at_exists_and_fits(factor, at, code, says):
    path, found, message = told(with_parts(**{**PARTS, "risk": [factor]}))
    assert (path, found) == (f"/spec/risk/0{at}", f"reference.{code}")
    assert says in message


def test_a_factor_may_look_at_what_another_set_declares():
    factors = [
        of("history", "refunds", atLeast=1),
        {**of("window", "freeze"), "name": "when"},
        {**of("destination_class", oneOf=["ours", "none", "unknown"]), "name": "where"},
    ]
    shared = {key: PARTS[key] for key in ("trackers", "windows", "destinations")}
    assert faults(with_parts({"risk": factors}, **shared)) == []


@pytest.mark.parametrize(
    ("key", "part", "what"),
    [
        ("trackers", SEQUENCE, "tracker"),
        ("windows", WINDOW, "window"),
        ("destinations", CLASS, "class"),
        ("risk", of("irreversible"), "factor"),
    ],
)
def test_a_name_that_two_sets_declare_is_a_fault_of_both(key, part, what):
    first = {**part, "type": "name", "members": ["ops"]} if key == "destinations" else part
    other = {**first, "name": "other", **({"members": ["room"]} if key == "destinations" else {})}
    documents = with_parts({key: [other, part]}, **{key: [first]})
    found = faults_of(documents)
    assert [(one.document, one.path, one.code) for one in found] == [
        (len(documents) - 2, f"/spec/{key}/0/name", "reference.declared_twice"),
        (len(documents) - 1, f"/spec/{key}/1/name", "reference.declared_twice"),
    ]
    assert [one.message for one in found] == [
        f"{what} `{part['name']}` is also declared by PolicySet `more-0`",
        f"{what} `{part['name']}` is also declared by PolicySet `house`",
    ]


def test_a_destination_is_in_one_class_over_all_sets():
    theirs = {"name": "theirs", "type": "host", "members": ["a.test", "mail.example.com"]}
    documents = with_parts({"destinations": [theirs]}, destinations=[CLASS])
    path, code, message = told(documents)
    assert (path, code) == ("/spec/destinations/0/members/1", "reference.declared_twice")
    assert message == "`mail.example.com` is in class `ours` of PolicySet `house` already, which comes first"


def test_the_bounds_hold_for_all_sets_together():
    def windows(first, count):
        return [{**WINDOW, "name": f"w{number}"} for number in range(first, first + count)]

    assert faults(with_parts({"windows": windows(40, 24)}, windows=windows(0, 40))) == []
    documents = with_parts({"windows": windows(40, 25)}, {"trackers": [TRACKER]}, windows=windows(0, 40))
    path, code, message = told(documents)
    assert (path, code) == ("/spec/windows", "reference.count")
    assert "together declare 65 `windows` up to this one, expected at most 64" in message


def test_one_mistake_is_not_told_twice():
    risk = [
        of("history", "refunds", atLeast=1),
        {**of("argument", "limit", atLeast=1), "name": "limit"},
        {**of("window", "freeze"), "name": "when"},
        {**of("destination_class", oneOf=["ours"]), "name": "where"},
    ]
    unreadable = {"trackers": [{**TRACKER, "over": "session"}]}
    documents = with_parts(unreadable, risk=risk, trackers=[total(sum="limit")])
    documents.append(capability("crm.list", {"limit": "integer"}, tier=9))
    named = [total(capabilities=["crm.list"], sum="limit")]
    assert faults(documents) == [
        ("/spec/trackers/0/over", "document.choice"),
        ("/spec/tier", "document.range"),
    ]
    assert faults(with_parts(trackers=named) + documents[-1:]) == [("/spec/tier", "document.range")]


def test_a_set_with_a_fault_of_reference_is_never_left_out():
    documents = with_parts(**{**PARTS, "risk": [FACTOR, of("window", "nowhere")]})
    assert [fault.code for fault in faults_of(documents)] == ["reference.missing"]
    assert inactive(documents) == []
    assert [one.name for one in snapshot_of(documents).parts.risk] == ["much", "some"]
