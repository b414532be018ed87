from __future__ import annotations

import pytest

from answerable.core.decision.argument_values import SET_MEMBERS_MAX, Unmappable, mapped_arguments
from answerable.core.decision.policy_context import (
    context_type,
    members_of,
    moving_context,
    moving_members,
    shared_context,
)
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.documents.capability import ArgumentMapping
from tests.worlds.policy import AGENTS, CAPABILITIES, REGISTRY, Trial

MAPPINGS = (
    ArgumentMapping(name="text", type="string"),
    ArgumentMapping(name="flag", type="boolean"),
    ArgumentMapping(name="count", type="integer"),
    ArgumentMapping(name="amount", type="minor_units"),
    ArgumentMapping(name="rate", type="decimal"),
    ArgumentMapping(name="tags", type="string_set"),
)


def test_each_declared_type_has_its_cedar_value():
    mapped = mapped_arguments(
        MAPPINGS,
        {"text": "é", "flag": False, "count": -3, "amount": 2**53 - 1, "rate": "12.5", "tags": ["b", "a"]},
    )
    assert mapped == {
        "text": "é",
        "flag": False,
        "count": -3,
        "amount": 2**53 - 1,
        "rate": {"__extn": {"fn": "decimal", "arg": "12.5"}},
        "tags": ["b", "a"],
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0", "0.0"),
        ("-0.5", "-0.5"),
        ("12", "12.0"),
        ("922337203685477.5807", "922337203685477.5807"),
        ("1.0000", "1.0000"),
    ],
)
def test_a_decimal_is_rebuilt_from_its_digits(written: str, shown: str):
    assert mapped_arguments(MAPPINGS, {"rate": written}) == {
        "rate": {"__extn": {"fn": "decimal", "arg": shown}}
    }


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1.",
        ".5",
        "01",
        "+1",
        "1e3",
        "1.23456",
        "922337203685477.5808",
        "1" * 16,
        "١",
        "1.0\n",
        1,
        1.5,
        True,
    ],
)
def test_what_is_no_decimal_of_four_places_is_refused(written):
    assert isinstance(mapped_arguments(MAPPINGS, {"rate": written}), Unmappable)


@pytest.mark.parametrize("name", ["count", "amount"])
@pytest.mark.parametrize("value", ["5000", 5000.5, True, 2**53, -(2**53), [5000], {"__entity": {}}])
def test_a_number_is_an_exact_integer_or_refused(name, value):
    found = mapped_arguments(MAPPINGS, {name: value})
    assert isinstance(found, Unmappable)
    assert found.argument == name


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("text", 5, "a whole number"),
        ("text", {"__extn": {"fn": "ip", "arg": "::1"}}, "an object"),
        ("text", ["x"], "a list"),
        ("flag", "true", "text"),
        ("flag", 1, "a whole number"),
        ("tags", "x", "text"),
        ("tags", ["x", 1], "a list"),
        ("tags", [{"__entity": {"type": "Agent", "id": "x"}}], "a list"),
        ("tags", ["x"] * (SET_MEMBERS_MAX + 1), "a list"),
        ("count", True, "true or false"),
        ("count", 1.5, "a number with a fraction"),
    ],
)
def test_a_wrong_type_is_refused_and_named_without_its_value(name, value, said):
    found = mapped_arguments(MAPPINGS, {name: value})
    assert isinstance(found, Unmappable)
    assert found.text.startswith(f"argument `{name}` must be ")
    assert found.text.endswith(f", got {said}")


def test_null_is_absent_and_absent_is_not_shown():
    assert mapped_arguments(MAPPINGS, {"text": None, "undeclared": 1.5}) == {}


@pytest.mark.parametrize("arguments", [{}, {"case": None}])
def test_a_required_argument_must_be_there(arguments):
    found = mapped_arguments((ArgumentMapping(name="case", type="string", required=True),), dict(arguments))
    assert isinstance(found, Unmappable)
    assert found.text == "argument `case` must be text, got nothing"


def test_values_have_exactly_the_members_of_the_type():
    trial = Trial()
    capability = CAPABILITIES[trial.capability]
    attributes = context_type(capability, REGISTRY.parts)["attributes"]
    assert isinstance(attributes, dict)
    verified = trial.verified()
    shared = shared_context(verified, AGENTS[AgentId(trial.agent)], REGISTRY.parts)
    moving = moving_context(shared, verified, trial.facts(), arguments={"case": "1"}, parts=REGISTRY.parts)
    assert set(moving) == moving_members(capability, REGISTRY.parts)
    context = shared | moving
    assert set(attributes) == set(context) == set(members_of(capability, REGISTRY.parts))
    for member, inner in attributes.items():
        assert isinstance(inner, dict)
        shown = context[member]
        if inner["type"] != "Record":
            assert not isinstance(shown, dict)
            continue
        names = inner["attributes"]
        assert isinstance(names, dict)
        assert isinstance(shown, dict)
        needed = {name for name, kind in names.items() if kind.get("required", True)}
        assert needed <= set(shown) <= set(names), member


def test_an_argument_is_optional_in_the_type_unless_it_is_required():
    attributes = context_type(CAPABILITIES["payments.batch.submit"], REGISTRY.parts)["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["arguments"] == {
        "type": "Record",
        "attributes": {
            "batch": {"type": "String", "required": True},
            "amount": {"type": "Long", "required": False},
            "rate": {"type": "Extension", "name": "decimal", "required": False},
            "tags": {"type": "Set", "element": {"type": "String"}, "required": False},
            "count": {"type": "Long", "required": False},
        },
    }
