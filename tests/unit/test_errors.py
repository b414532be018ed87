"""A declared code makes the error of its branch, with what is declared unless the call says otherwise."""

from __future__ import annotations

import pytest

from answerable.adapters.postgres_roles.connections import words_of
from answerable.errors import (
    Broken,
    BrokenCode,
    Malformed,
    MalformedCode,
    Refused,
    RefusedCode,
    Unavailable,
    UnavailableCode,
    Unverified,
    UnverifiedCode,
    shown,
)

pytestmark = pytest.mark.requirement("HOUSE-20")


def test_a_call_without_a_message_says_what_is_declared():
    for code, branch in ((MalformedCode, Malformed), (RefusedCode, Refused), (BrokenCode, Broken)):
        error = code("a.b", "it is odd")()
        assert (type(error), error.code, error.message) == (branch, "a.b", "it is odd")


def test_a_message_is_said_as_it_is_also_when_it_is_empty():
    odd = MalformedCode("a.b", "… is odd")
    assert odd("`x` is odd").message == "`x` is odd"
    assert odd("").message == ""


def test_a_refusal_carries_what_it_is_given():
    error = RefusedCode("a.b", "no")("not now", reasons=("late",), entry_index=7, denial={"reason": "x"})
    assert (error.reasons, error.entry_index, error.denial) == (("late",), 7, {"reason": "x"})
    assert RefusedCode("a.b", "no")().reasons == ("no",)


def test_a_step_is_the_declared_one_unless_the_call_names_another():
    code = UnverifiedCode("a.b", "it does not check", step="a")
    error = code()
    assert (type(error), error.step, error.key) == (Unverified, "a", "")
    assert code(step="c", key="k").step == "c"
    assert code(step="c", key="k").key == "k"


def test_port_and_effect_are_the_declared_ones_unless_the_call_says_others():
    code = UnavailableCode("a.b", "it is down", port="a", effect="unknown")
    error = code()
    assert (type(error), error.port, error.effect, error.retry) == (Unavailable, "a", "unknown", False)
    assert code(port="c").port == "c"
    assert code(effect="none").retry
    assert UnavailableCode("a.b", "it is down", port="a")().effect == "none"


@pytest.mark.requirement("ASKING-08")
def test_a_quoted_message_keeps_its_own_quotes_and_ends_no_quote() -> None:
    assert shown("token `4fe\x1b` has been revoked") == "`token '4fe\ufffd' has been revoked`"
    assert shown("`" * 300, 10) == "`" + "'" * 10 + "…`"


@pytest.mark.requirement("ASKING-08")
def test_a_postgresql_server_that_is_down_is_told_in_the_words_of_the_system() -> None:
    refused = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 5432)")
    assert words_of(refused) == "`connection refused`"
