"""Risk factors of policy sets: each fact has its comparison, and every fault is found."""

from __future__ import annotations

import pytest

from tests.worlds.policy_parts import FACTOR, PARTS, of, read_parts, told, without

pytestmark = pytest.mark.requirement("PARTS-01")


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        ({"fact": "argument", "of": "amount", "atLeast": -5, "atMost": 5}, (-5, 5, ())),
        ({"fact": "argument", "of": "case", "oneOf": ["4711", "a b"]}, (None, None, ("4711", "a b"))),
        ({"fact": "window", "of": "freeze"}, (None, None, ())),
        (
            {"fact": "destination_class", "oneOf": ["unknown", "none", "ours"]},
            (None, None, ("unknown", "none", "ours")),
        ),
        ({"fact": "tier", "atLeast": 3}, (3, None, ())),
        ({"fact": "sensitivity", "oneOf": ["restricted"]}, (None, None, ("restricted",))),
        ({"fact": "environment", "oneOf": ["production"]}, (None, None, ("production",))),
        ({"fact": "irreversible"}, (None, None, ())),
        ({"fact": "drifted"}, (None, None, ())),
        ({"fact": "hops", "atLeast": 1}, (1, None, ())),
        ({"fact": "budget_left_percent", "atMost": 0}, (None, 0, ())),
    ],
)
def test_each_fact_has_its_comparison(factor, expected):
    (found,) = read_parts(**{**PARTS, "risk": [{"name": "some", "points": 1, **factor}]}).risk
    assert (found.fact, found.of) == (factor["fact"], factor.get("of", ""))
    assert (found.at_least, found.at_most, found.one_of) == expected


FACTORS = [
    (without(FACTOR, least=1), "/least", "document.unknown_key", "did you mean `atLeast`?"),
    (without(FACTOR, "points"), "", "document.missing", "`points` is missing"),
    (without(FACTOR, points=0), "/points", "document.range", "expected 1 to 1000, got 0"),
    (without(FACTOR, points=-5), "/points", "document.range", "expected 1 to 1000"),
    (without(FACTOR, points=1001), "/points", "document.range", "got 1001"),
    (without(FACTOR, points=1.5), "/points", "document.type", "expected an integer"),
    (without(FACTOR, "fact"), "", "document.missing", "`fact` is missing"),
    (of("budget"), "/fact", "document.choice", "known here"),
    (of("destinationClass", oneOf=["x"]), "/fact", "document.choice", "did you mean `destination_class`?"),
    (of("history", atLeast=1), "", "document.missing", "`of` is missing"),
    (of("history", of="Refunds", atLeast=1), "/of", "document.pattern", "did you mean `refunds`?"),
    (of("argument", of="a b"), "/of", "document.pattern", "is not an argument name"),
    (of("window"), "", "document.missing", "`of` is missing"),
    (of("tier", of="agent", atLeast=1), "/of", "policy_set.risk", "is not allowed with"),
    (of("history", of="refunds"), "", "policy_set.risk", "by `atLeast`, `atMost` or both"),
    (of("history", of="refunds", oneOf=["x"]), "", "policy_set.risk", "by `atLeast`"),
    (of("window", of="freeze", atLeast=1), "", "policy_set.risk", "it is true or not"),
    (of("sensitivity", atLeast=1), "", "policy_set.risk", "by `oneOf`"),
    (of("irreversible", oneOf=["true"]), "", "policy_set.risk", "it is true or not"),
    (
        of("argument", of="amount", atLeast=1, oneOf=["x"]),
        "/oneOf",
        "policy_set.risk",
        "makes one comparison",
    ),
    (of("tier", atLeast=4), "/atLeast", "document.range", "expected 0 to 3, got 4"),
    (of("hops", atLeast=17), "/atLeast", "document.range", "expected 0 to 16, got 17"),
    (of("budget_left_percent", atMost=101), "/atMost", "document.range", "expected 0 to 100"),
    (of("tier", atLeast=3, atMost=2), "/atMost", "policy_set.risk", "no value satisfies both"),
    (of("tier", atLeast="3"), "/atLeast", "document.type", "expected an integer, got text `3`"),
    (of("sensitivity", oneOf=["secret"]), "/oneOf/0", "document.choice", "known here: public"),
    (of("environment", oneOf=["Prod"]), "/oneOf/0", "name.invalid", "is not a name"),
    (of("argument", of="case", oneOf=["a\nb"]), "/oneOf/0", "document.pattern", "on one line"),
    (of("argument", of="case", oneOf=[]), "/oneOf", "document.size", "expected 1 to 100 texts"),
    (
        of("argument", of="case", oneOf=[str(number) for number in range(101)]),
        "/oneOf",
        "document.size",
        "expected 1 to 100 texts",
    ),
    (of("argument", of="case", oneOf="4711"), "/oneOf", "document.type", "expected a list"),
]


@pytest.mark.parametrize(("factor", "at", "code", "says"), FACTORS)
def test_a_factor_that_is_none_is_a_fault(factor, at, code, says):
    path, found, message = told(**{**PARTS, "risk": [factor]})
    assert (path, found) == (f"/spec/risk/0{at}", code)
    assert says in message
