"""Warrants on their way to the broker: one reading, one key, one broker, one action, one time."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import freeze
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import (
    LeaseName,
    account_of,
    checked_lease_name,
    lease_name,
    lease_of,
    octets_of,
)
from answerable.core.ledger.warrant_token import WARRANT_TYP, verified_warrant
from answerable.errors import Malformed, Unverified
from answerable.testing.samples import signing_key
from tests.worlds.lease import warrant

KEY, OTHER = signing_key("scout"), signing_key("rover")
NOW = UnixMillis(1_700_000_000_000)


def read(token: str, *, broker: str = "broker", now: int = NOW):
    return verified_warrant(token, broker=broker, keys=(KEY.public,), now=UnixMillis(now))


def test_what_was_signed_is_what_is_read():
    one = warrant(now=NOW, window="task", ttl_ms=900_000)
    assert read(one.signed(KEY)) == one


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"broker": "another"}, "warrant.audience"),
        ({"deadline": UnixMillis(NOW)}, "warrant.late"),
    ],
)
def test_of_another_broker_or_time_it_is_not_believed(change, code):
    with pytest.raises(Unverified) as refused:
        read(replace(warrant(now=NOW), **change).signed(KEY))
    assert refused.value.code == code


def test_under_another_key_it_is_not_believed():
    with pytest.raises(Unverified) as refused:
        read(warrant(now=NOW).signed(OTHER))
    assert refused.value.code == "warrant.key"


def test_of_another_kind_it_is_not_believed():
    claims = json.loads(payload(warrant(now=NOW).signed(KEY)))
    with pytest.raises(Unverified) as refused:
        read(signed_statement(claims, typ="answerable-mandate+jwt", key=KEY))
    assert refused.value.code == "warrant.type"


def payload(token: str) -> bytes:
    part = token.split(".")[1]
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize("claim", sorted(json.loads(payload(warrant(now=NOW).signed(KEY)))))
def test_a_claim_that_is_missing_changed_or_of_another_kind_refuses(claim):
    token = warrant(now=NOW).signed(KEY)
    claims = json.loads(payload(token))
    for odd in (None, [], {}, "", -1, True, 1.5, [["a"]], "x" * 3000):
        if odd == claims[claim] or (claim == "under" and odd == []):
            continue
        with pytest.raises((Malformed, Unverified)):
            read(signed_statement({**claims, claim: odd}, typ=WARRANT_TYP, key=KEY))
    rest = {name: value for name, value in claims.items() if name != claim}
    with pytest.raises(Malformed):
        read(signed_statement(rest, typ=WARRANT_TYP, key=KEY))
    with pytest.raises(Malformed):
        read(signed_statement({**claims, "also": 1}, typ=WARRANT_TYP, key=KEY))
    # Changed on its way, its signature does not fit.
    header, _, signature = token.split(".")
    changed = urlsafe_b64encode(json.dumps({**claims, claim: "x"}).encode()).decode().rstrip("=")
    with pytest.raises((Malformed, Unverified)):
        read(f"{header}.{changed}.{signature}")


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3), st.text(max_size=8))
def test_it_is_about_one_action_and_no_other(arguments, tool):
    one = warrant(now=NOW)
    came = {"arguments": arguments, "method": "tools/call", "server": "db", "target": tool}
    one = replace(one, digest=freeze(came).hex)
    assert one.is_about(tool=tool, arguments=arguments)
    assert not one.is_about(tool=tool + "x", arguments=arguments)
    assert not one.is_about(tool=tool, arguments={**arguments, "more": 1})
    assert not replace(one, server="other").is_about(tool=tool, arguments=arguments)


@given(st.binary(min_size=16, max_size=16))
def test_a_name_says_its_octets_and_has_one_spelling(octets):
    name = lease_name(octets)
    assert octets_of(name) == octets
    assert checked_lease_name(name) == name
    assert lease_of(account_of(name)) == name
    assert len(account_of(name)) == 30


@given(st.text(max_size=40))
def test_whatever_is_no_name_is_not_taken_for_one(text):
    with suppress(Malformed):
        assert lease_name(octets_of(checked_lease_name(text))) == text
    if lease_of(text) is not None:
        assert account_of(LeaseName(text[4:])) == text
