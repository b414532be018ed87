"""Settings of foreign trust domains, and which bundle replaces which."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.federation import (
    REFRESH_SECONDS_DEFAULT,
    SOURCES_MAX,
    check_endpoint_url,
    federation_source,
    federation_sources,
    jittered,
    refresh_seconds,
    retry_seconds,
    successor,
)
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.errors import Malformed, Unverified

OWN = TrustDomain("ours.example")


def bundle(*, sequence: int | None = None, hint: int | None = None) -> TrustBundle:
    return TrustBundle(
        trust_domain=TrustDomain("other.example"),
        x509_authorities=(),
        jwt_authorities={},
        wit_authorities={},
        sequence=sequence,
        refresh_hint=hint,
    )


def test_each_profile_is_read_with_its_words():
    web = federation_source("other.example https_web https://bundles.example/a?b=c")
    assert (web.trust_domain, web.profile, web.address, web.file) == (
        "other.example",
        "https_web",
        "https://bundles.example/a?b=c",
        "",
    )
    assert federation_source("o https_web https://[::1]:8443 ca.pem").file == "ca.pem"
    spiffe = federation_source("o https_spiffe https://h:8443/x SPIFFE://O/spire/server first.json")
    assert str(spiffe.endpoint_id) == "spiffe://o/spire/server"
    assert spiffe.file == "first.json"
    assert federation_source("o https_spiffe https://h/x spiffe://another/s").file == ""
    assert (
        federation_source("o workload_api unix:///run/spire/agent.sock").address
        == "unix:///run/spire/agent.sock"
    )
    assert federation_source("o workload_api tcp://127.0.0.1:8000").profile == "workload_api"
    assert federation_source("o file /etc/bundle.json").address == "/etc/bundle.json"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "federation.source"),
        ("o https_web", "federation.source"),
        ("O https_web https://h", "spiffe_id.trust_domain"),
        ("o web https://h", "federation.profile"),
        ("o https_web http://h/x", "federation.url"),
        ("o https_web https://h/x ca.pem more", "federation.source"),
        ("o https_spiffe https://h/x", "federation.endpoint_id"),
        ("o https_spiffe https://h/x spiffe://o", "federation.endpoint_id"),
        ("o https_spiffe https://h/x https://o/s", "spiffe_id.scheme"),
        ("o https_spiffe https://h/x spiffe://o/s f g", "federation.source"),
        ("o workload_api /run/agent.sock", "federation.socket"),
        ("o workload_api unix://host/run/agent.sock", "federation.socket"),
        ("o workload_api tcp://localhost:1", "federation.socket"),
        ("o workload_api tcp://127.0.0.1:80/x", "federation.socket"),
        ("o workload_api unix:///s more", "federation.source"),
        ("o file a b", "federation.source"),
    ],
)
def test_what_does_not_fit_is_refused(text, code):
    with pytest.raises(Malformed) as told:
        federation_source(text)
    assert told.value.code == code


@pytest.mark.parametrize(
    "url",
    [
        "http://h/x",
        "https://",
        "https:///x",
        "https://user@h/x",
        "https://user:secret@h/x",
        "https://h:0/x",
        "https://h:x/",
        "https://h\\@evil/x",
        "https://h/a b",
        "https://h/\n",
        "https://hé/x",
        "file:///etc/passwd",
        "https://h/" + "a" * 2048,
    ],
)
def test_the_url_of_an_endpoint_is_https_without_user_information(url):
    with pytest.raises(Malformed) as told:
        check_endpoint_url(url)
    assert told.value.code == "federation.url"


def test_nobody_else_speaks_for_our_own_domain_and_each_domain_has_one_source():
    both = ("a.example file a", "b.example file b")
    assert [one.trust_domain for one in federation_sources(both, own=OWN)] == ["a.example", "b.example"]
    for texts, code in (
        ((f"{OWN} file a",), "federation.own"),
        (("a file a", "a https_web https://h"), "federation.duplicate"),
        (tuple(f"d{n} file a" for n in range(SOURCES_MAX + 1)), "federation.count"),
    ):
        with pytest.raises(Malformed) as told:
            federation_sources(texts, own=OWN)
        assert told.value.code == code


def test_an_older_sequence_never_replaces_a_newer_one():
    known = bundle(sequence=7)
    with pytest.raises(Unverified) as told:
        successor(known, bundle(sequence=6))
    assert (told.value.code, told.value.step) == ("bundle.sequence", "bundle.sequence")
    for fetched in (bundle(sequence=7, hint=1), bundle(sequence=8), bundle()):
        assert successor(known, fetched) is fetched
    assert successor(None, known) is known
    assert successor(bundle(), known) is known


@pytest.mark.requirement("FED-07")
@pytest.mark.parametrize(
    ("hint", "seconds"),
    [(None, 300), (0, 300), (-5, 300), (1, 10), (10, 10), (61, 61), (86_400, 86_400), (2**60, 86_400)],
)
def test_the_hint_counts_within_its_bounds(hint, seconds):
    assert refresh_seconds(bundle(hint=hint)) == seconds
    assert refresh_seconds(None) == REFRESH_SECONDS_DEFAULT


def test_failures_double_the_pause_while_nothing_is_known_and_keep_the_interval_after():
    assert [retry_seconds(None, n) for n in (0, 1, 2, 3, 6, 7, 10**6)] == [10, 10, 20, 40, 300, 300, 300]
    assert [retry_seconds(bundle(hint=60), n) for n in (1, 2, 50)] == [60, 60, 60]


def test_jitter_shortens_by_a_tenth_at_most():
    assert jittered(100, b"\0\0") == 100
    assert jittered(100, b"\xff\xff") == pytest.approx(90)
