"""Claims about what of an argument's name and value is a secret to whoever reads on."""

from __future__ import annotations

import pytest

from answerable.core.incident.hiding import HIDDEN, hidden

pytestmark = pytest.mark.requirement("CEREMONY-16")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 4_096),
        ("maxTokens", 4_096),
        ("tokens_max", 4_096),
        ("token_count", 12),
        ("prompt-tokens", 1.5),
        ("use_token", True),
        ("credential", None),
    ],
)
def test_how_many_tokens_were_asked_for_is_told(name, value):
    assert hidden({"a": [{name: value}]}) == {"a": [{name: value}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", 123_456),
        ("access_token", "x"),
        ("max_tokens", "4096"),
        ("tokens", ["x"]),
        ("password", 123_456),
        ("secret_token_count", 5),
        ("api_key", {"id": 1}),
    ],
)
def test_what_could_be_a_secret_stays_hidden_a_number_too(name, value):
    assert hidden({name: value}) == {name: HIDDEN}
