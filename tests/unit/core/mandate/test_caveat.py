"""Caveats on the wire and against attempts."""

from __future__ import annotations

import pytest

from answerable.core.mandate.caveat import (
    ArgumentAtMost,
    ArgumentEquals,
    Attempt,
    EnvironmentIs,
    ResourceIn,
    from_wire,
    to_wire,
)
from answerable.errors import Malformed

ATTEMPT = Attempt(
    capability="crm.read",
    environment="production",
    resource_type="Case",
    resource_id="4711",
    arguments={"case": "4711", "amount": 5, "flag": True},
)


@pytest.mark.parametrize(
    "caveat",
    [
        ResourceIn(ids=("4711", "4712")),
        ArgumentEquals(name="case", value="4711"),
        ArgumentEquals(name="amount", value=5),
        ArgumentEquals(name="flag", value=True),
        ArgumentAtMost(name="amount", maximum=5),
        EnvironmentIs(environment="production"),
    ],
)
def test_each_caveat_survives_the_wire_and_holds_where_it_should(caveat):
    assert from_wire(to_wire(caveat)) == caveat
    assert caveat.failure(ATTEMPT) is None


@pytest.mark.parametrize(
    ("caveat", "says"),
    [
        (ResourceIn(ids=("1",)), "covers case `1` only, not case `4711`"),
        (ResourceIn(ids=("1", "2", "3", "4", "5")), "`1`, `2`, `3` and 2 more only"),
        (ArgumentEquals(name="amount", value="5"), "to be `5`, got `5`"),
        (ArgumentEquals(name="amount", value=True), "to be `True`"),
        (ArgumentEquals(name="flag", value=1), "to be `1`"),
        (ArgumentEquals(name="none", value="x"), "got nothing"),
        (ArgumentAtMost(name="amount", maximum=4), "up to 4, got `5`"),
        (ArgumentAtMost(name="flag", maximum=4), "up to 4, got `True`"),
        (ArgumentAtMost(name="none", maximum=4), "got nothing"),
        (EnvironmentIs(environment="staging"), "is for the staging environment, not production"),
    ],
)
def test_each_caveat_says_why_an_attempt_is_outside(caveat, says):
    failure = caveat.failure(ATTEMPT)
    assert failure is not None
    assert says in failure


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ([9, "x"], "caveat.unknown"),
        ([0], "caveat.unknown"),
        ([-1, ["x"]], "caveat.unknown"),
        ([2**40], "caveat.unknown"),
        ([True, ["x"]], "caveat.malformed"),
        ([1.0, ["x"]], "caveat.malformed"),
        (["1", ["x"]], "caveat.malformed"),
        ([], "caveat.malformed"),
        ({}, "caveat.malformed"),
        (None, "caveat.malformed"),
        ([1], "caveat.malformed"),
        ([1, []], "caveat.malformed"),
        ([1, [1]], "caveat.malformed"),
        ([1, "x"], "caveat.malformed"),
        ([1, ["x"], 0], "caveat.malformed"),
        ([2, "a", 1.5], "caveat.malformed"),
        ([2, "a", None], "caveat.malformed"),
        ([3, "a", True], "caveat.malformed"),
        ([3, "a", "5"], "caveat.malformed"),
        ([4, 1], "caveat.malformed"),
        ([5, "email", []], "caveat.malformed"),
        ([5, "email", [1]], "caveat.malformed"),
        ([5, "email", ["Example.com"]], "caveat.malformed"),
        ([5, "fax", ["example.com"]], "caveat.malformed"),
        ([6, "secret"], "caveat.malformed"),
        ([7, []], "caveat.malformed"),
        ([7, ["send"]], "caveat.malformed"),
        ([8, []], "caveat.malformed"),
    ],
)
def test_a_caveat_that_is_not_understood_refuses(wire, code):
    with pytest.raises(Malformed) as raised:
        from_wire(wire)
    assert raised.value.code == code
