"""Join tokens: their form, what they grant, when they are good."""

from __future__ import annotations

from hashlib import sha256

import pytest

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.workload.join_token import join_token, join_token_digest, join_token_text
from answerable.errors import Malformed, Unverified

TEXT = join_token_text(bytes(32))
NOW = UnixMillis(1_000_000)


def made(**changed):
    terms = {"name": "first", "agent": AgentId("biller"), "now": NOW, "seconds": 600, **changed}
    return join_token(TEXT, **terms)


def test_it_is_found_by_its_digest_and_says_name_and_agent():
    token = made(extra=("join_token:name:batch",))
    assert token.digest == sha256(TEXT.encode()).digest() == join_token_digest(TEXT)
    assert token.selectors == ("join_token:agent:biller", "join_token:name:batch", "join_token:name:first")
    assert TEXT not in repr(token)


def test_it_is_good_from_when_it_was_made_until_its_end():
    token = made()
    assert [token.is_good(UnixMillis(NOW + at)) for at in (-1, 0, 599_999, 600_000)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "A"}, "name.invalid"),
        ({"seconds": 0}, "join_token.lifetime"),
        ({"seconds": 86_401}, "join_token.lifetime"),
        ({"extra": ("x",)}, "attestation.selector"),
        ({"extra": ("unix:uid:0",)}, "join_token.selector"),
        ({"extra": ("join_token:agent:other",)}, "join_token.selector"),
        ({"extra": tuple(f"join_token:name:n{n}" for n in range(64))}, "join_token.selector"),
    ],
)
def test_terms_that_are_not_good_are_refused(change, code):
    with pytest.raises(Malformed) as told:
        made(**change)
    assert told.value.code == code


@pytest.mark.parametrize("text", ["", "ajt_", TEXT + "x", TEXT[:-1] + "é", TEXT.upper()])
def test_what_is_no_token_is_refused_and_not_shown(text):
    with pytest.raises(Unverified) as told:
        join_token_digest(text)
    assert told.value.code == "join_token.refused"
    assert not text or text not in told.value.message


def test_a_token_takes_32_random_bytes():
    with pytest.raises(Malformed) as told:
        join_token_text(bytes(31))
    assert told.value.code == "join_token.secret"
