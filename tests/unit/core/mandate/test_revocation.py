"""Names in their one spelling, and what stands under them."""

from __future__ import annotations

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import (
    REVOCATION_KINDS,
    Revocation,
    RevocationTarget,
    described,
    hop_names,
    instance_names,
    revocable,
)
from answerable.errors import Malformed

THUMBPRINT = "A" * 43
DIGEST = "a" * 64
GOOD = {
    "token": "tok-1",
    "hop": THUMBPRINT,
    "mandate": "m-1",
    "agent": "scout",
    "key": THUMBPRINT,
    "manifest": DIGEST,
    "owner": "alice",
    "vendor": "acme",
    "trust_domain": "example.org",
}


@pytest.mark.parametrize("kind", REVOCATION_KINDS)
def test_every_kind_takes_a_good_name_as_it_is_and_refuses_a_bad_one(kind):
    assert revocable(kind, GOOD[kind]) == (kind, GOOD[kind])
    for bad in ("", " ", "two words", "naïve`", "x" * 5000):
        with pytest.raises(Malformed):
            revocable(kind, bad)


def test_an_unknown_kind_is_told_what_there_is():
    with pytest.raises(Malformed) as raised:
        revocable("everything", "x")
    assert raised.value.code == "revocation.kind"
    assert "trust_domain" in raised.value.message


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("manifest", f"sha256:{DIGEST}", DIGEST),
        ("trust_domain", "spiffe://Example.ORG", "example.org"),
        ("agent", "SPIFFE://Example.org/agent/scout/1", "spiffe://example.org/agent/scout/1"),
        ("key", DIGEST, to_base64url(bytes.fromhex(DIGEST))),
    ],
)
def test_two_spellings_of_one_name_are_one_name(kind, given, kept):
    assert revocable(kind, given) == RevocationTarget(kind, kept)


def test_a_trust_domain_is_no_agent():
    with pytest.raises(Malformed) as raised:
        revocable("agent", "spiffe://example.org")
    assert raised.value.code == "revocation.name"


def test_a_sub_agent_is_under_its_own_name_its_parents_and_its_trust_domain():
    names = instance_names("spiffe://example.org/agent/scout/abc/sub-1")
    assert RevocationTarget("trust_domain", "example.org") in names
    for path in ("/agent/scout/abc", "/agent/scout/abc/sub-1"):
        assert RevocationTarget("agent", f"spiffe://example.org{path}") in names
    assert instance_names("") == ()


def test_a_hop_is_named_as_a_token_and_as_its_children_name_it():
    assert hop_names(jti="tok-1", par_hash=THUMBPRINT) == (("token", "tok-1"), ("hop", THUMBPRINT))


@pytest.mark.parametrize("reason", ["x" * 501, "two\nlines", "\x1b[2J"])
def test_a_reason_is_one_printable_line(reason):
    with pytest.raises(Malformed) as raised:
        Revocation(what=revocable("agent", "scout"), at=UnixMillis(0), by="operator", reason=reason)
    assert raised.value.code == "revocation.reason"


def test_who_is_refused_is_told_what_was_revoked_and_neither_by_whom_nor_why():
    one = Revocation(
        what=revocable("trust_domain", "example.org"), at=UnixMillis(0), by="mallory", reason="leak"
    )
    refused = one.refusal()
    assert (refused.code, refused.message) == (
        "revoked.trust_domain",
        "trust domain `example.org` has been revoked",
    )
    assert described(one.what) in refused.message
    assert "mallory" not in str(refused.reasons)
    assert "leak" not in str(refused.reasons)
