"""Whatever form a secret passes in that people and programs commonly write, it is found, and told by name alone."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.lease.secret_watch import CANARY_FORMS, CANARY_OCTETS, SecretWatch, canary_value
from answerable.errors import Malformed

pytestmark = pytest.mark.requirement("SECRET-04")

SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=["Cc"]), min_size=12, max_size=40
)
FORMS = {
    "plain": lambda value: value.encode(),
    "json": lambda value: json.dumps({"a": value}).encode(),
    "json in json": lambda value: json.dumps(value, ensure_ascii=False).encode(),
    "json with escaped slashes": lambda value: (
        json.dumps(value, ensure_ascii=False).replace("/", "\\/").encode()
    ),
    "json with capital escapes": lambda value: re.sub(
        r"\\u([0-9a-f]{4})", lambda at: "\\u" + at[1].upper(), json.dumps(value)
    ).encode(),
    "html": lambda value: escape(value).encode(),
    "lower percent": lambda value: re.sub("%..", lambda at: at[0].lower(), quote(value, safe="")).encode(),
    "query": lambda value: quote_plus(value).encode(),
    "path": lambda value: quote(value, safe="").encode(),
    "hex": lambda value: value.encode().hex().encode(),
    "HEX": lambda value: value.encode().hex().upper().encode(),
    "utf-16": lambda value: value.encode("utf-16-le"),
    "basic": lambda value: b64encode(b"user:" + value.encode()),
    "base64": lambda value: b64encode(value.encode() + b"tail"),
    "base64url": lambda value: urlsafe_b64encode(b"ab" + value.encode() + b"!"),
}


@pytest.mark.parametrize("form", FORMS)
@given(value=SECRETS, before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_a_secret_is_found_in_every_common_form_whatever_is_around_it(form, value, before, after):
    watch = SecretWatch([("crm", value)])
    assert watch.found_in(before + FORMS[form](value) + after) == ("crm",)
    assert value not in repr(watch)


@given(
    value=SECRETS,
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    form=st.sampled_from(sorted(FORMS)),
)
def test_a_secret_that_comes_in_pieces_is_found_like_one_that_came_whole(value, cuts, form):
    passing = SecretWatch([("crm", value), ("other", "zzzzzzzzzzzz" * 20)]).passing()
    content = b"head " + FORMS[form](value) + b" tail"
    found: set[str] = set()
    while content:
        cut = cuts[len(content) % len(cuts)]
        found.update(passing.found_in(content[:cut]))
        content = content[cut:]
    assert "crm" in found


@given(value=SECRETS, form=st.sampled_from(sorted(FORMS)), at=st.integers(0, 70_000))
def test_one_among_very_many_secrets_is_found_like_one_alone(many, value, form, at):
    watch = SecretWatch([("crm", value), *many])
    assert "crm" in watch.found_in(bytes(at) + FORMS[form](value) + bytes(10))
    assert watch.found_in(bytes(at)) == ()


@pytest.fixture(scope="module")
def many():
    return [(f"s{number}", f"of-many-{number:012}") for number in range(500)]


@given(content=st.binary(max_size=200).map(lambda raw: bytes(one % 32 for one in raw)), value=SECRETS)
def test_nothing_is_found_where_nothing_is(content, value):
    assert SecretWatch([("crm", value)]).found_in(content) == ()


def test_one_secret_within_another_is_found_with_it():
    watch = SecretWatch([("long", "abcdefgh-12345678"), ("short", "12345678"), ("tiny", "1234")])
    assert watch.found_in(b"x abcdefgh-12345678 y") == ("long", "short")
    assert watch.found_in(b"1234") == ()
    assert SecretWatch([]).found_in(b"anything") == ()


@given(octets=st.binary(min_size=CANARY_OCTETS, max_size=CANARY_OCTETS), form=st.sampled_from(CANARY_FORMS))
def test_a_canary_is_found_like_any_other_and_looks_like_what_it_was_to_look_like(octets, form):
    value = canary_value(form, octets)
    starts = {"aws": "AKIA", "github": "ghp_", "slack": "xoxb-", "url": "postgresql://"}
    assert value.startswith(starts.get(form, ""))
    assert SecretWatch([("planted", value)]).found_in(f"a log line with {value} in it".encode()) == (
        "planted",
    )


@pytest.mark.parametrize(("form", "octets"), [("else", bytes(64)), ("aws", b"short")])
def test_what_is_no_canary_is_refused(form, octets):
    with pytest.raises(Malformed) as odd:
        canary_value(form, octets)
    assert odd.value.code == "secret.canary_form"
