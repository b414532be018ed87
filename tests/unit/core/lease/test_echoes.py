"""Secrets that come back."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.lease.credential_redaction import HIDDEN, Echoes, EchoStream

SECRET = 'canary "8d1f" näh/er+ü=0c7e'


def spelled(secret: str) -> list[bytes]:
    plain = secret.encode()
    return [
        plain,
        quote(secret, safe="").encode(),
        quote(secret, safe="").lower().encode() if secret.isascii() else plain,
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        plain.hex().encode(),
        plain.hex().upper().encode(),
    ]


@pytest.mark.parametrize("number", range(6))
def test_each_spelling_is_hidden_and_what_is_around_it_stays(number):
    content = b"before " + spelled(SECRET)[number] + b" after"
    assert Echoes([SECRET]).hidden_in(content) == b"before " + HIDDEN + b" after"


@pytest.mark.parametrize("coded", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("before", [b"", b"u", b"us", b"user:"])
@pytest.mark.parametrize("after", [b"", b"x", b"xyz"])
def test_in_base64_it_is_hidden_wherever_it_begins(coded, before, after):
    content = coded(before + SECRET.encode() + after)
    hidden = Echoes([SECRET]).hidden_in(content)
    assert HIDDEN in hidden
    assert coded(SECRET.encode()[2:-2])[4:-8] not in hidden


def test_what_holds_no_secret_comes_back_as_it_was():
    content = bytes(range(256)) * 3
    assert Echoes([SECRET]).hidden_in(content) is content or Echoes([SECRET]).hidden_in(content) == content
    assert Echoes([]).hidden_in(content) is content
    assert Echoes([""]).bytes_max == 0


def test_of_two_secrets_the_longer_is_hidden_whole():
    credential_redaction = Echoes(["abcdefgh", "abcdefgh-and-more"])
    assert (
        credential_redaction.hidden_text("abcdefgh-and-more abcdefgh")
        == f"{HIDDEN.decode()} {HIDDEN.decode()}"
    )
    assert "abc" not in repr(credential_redaction)


@given(st.text(max_size=40), st.text(max_size=40), st.lists(st.integers(0, 200), max_size=6))
def test_in_pieces_it_is_hidden_as_in_one(before, after, cuts):
    credential_redaction = Echoes(["canary-8d1f0c7e"])
    whole = before + "canary-8d1f0c7e" + after
    places = sorted({min(cut, len(whole)) for cut in cuts})
    pieces = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]
    stream = EchoStream(credential_redaction)
    told = "".join([*(stream.pass_on(piece) for piece in pieces), stream.rest()])
    assert told == credential_redaction.hidden_text(whole)


@pytest.mark.requirement("SAME-09")
@pytest.mark.parametrize("secret", ["canary-8d1f0c7e", SECRET])
def test_the_longest_spelling_of_a_secret_is_hidden_wherever_a_stream_is_cut(secret):
    credential_redaction = Echoes([secret])
    longest = max(spelled(secret), key=len).decode()
    assert len(longest.encode()) == credential_redaction.bytes_max
    for cut in range(len(longest) + 1):
        stream = EchoStream(credential_redaction)
        told = [
            stream.pass_on(f"before {longest[:cut]}"),
            stream.pass_on(f"{longest[cut:]} after"),
            stream.rest(),
        ]
        assert "".join(told) == f"before {HIDDEN.decode()} after", cut


def test_a_stream_without_secrets_passes_everything_at_once():
    stream = EchoStream(Echoes([]))
    assert stream.pass_on("näher") == "näher"
    assert stream.rest() == ""


def test_a_short_secret_is_looked_for_as_it_is_and_not_in_base64_of_others():
    assert Echoes(["ab"]).hidden_text("xaby YWI") == f"x{HIDDEN.decode()}y YWI"
