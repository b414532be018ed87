"""Where keys may come from."""

from __future__ import annotations

import json

import pytest

from answerable.adapters.oidc.sources import discovered, issuer_source
from answerable.errors import AnswerableError


def code_of(ask) -> str:
    with pytest.raises(AnswerableError) as told:
        ask()
    return told.value.code


@pytest.mark.parametrize(
    "url",
    [
        "https://a.test",
        "https://a.test:8443/x",
        "http://127.0.0.1:1",
        "http://[::1]:1/x",
        "http://localhost:1",
    ],
)
def test_https_and_plain_loopback_are_accepted(url):
    assert issuer_source(url).issuer == url


@pytest.mark.parametrize(
    "url",
    [
        "", "http://a.test", "http://localhost.a.test", "http://10.0.0.1", "http://169.254.169.254/x", "ftp://a.test",
        "https://", "https://u:p@a.test", "https://a.test?x", "https://a.test#x", "https://a.test/a b",
        "https://a.test:x", "https://é.test", "file:///etc/passwd", "http://127.0.0.1.a.test", "https://[", "HTTPS://a",
        "https://a.test/" + "x" * 2100,
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url):
    assert code_of(lambda: issuer_source(url)) == "issuer.url"


def test_a_remote_issuer_cannot_have_its_keys_on_this_machine():
    assert code_of(lambda: issuer_source("https://a.test", key_set_url="http://127.0.0.1/k")) == "issuer.url"
    assert issuer_source("http://127.0.0.1:1", key_set_url="http://127.0.0.1:2/k")


def test_an_issuer_whose_keys_are_given_is_only_a_name():
    assert issuer_source("kubernetes/serviceaccount", key_set=b"{}").issuer == "kubernetes/serviceaccount"


@pytest.mark.parametrize(
    "document",
    [
        b"", b"[]", b"{}", {"issuer": "https://b.test", "jwks_uri": "https://b.test/k"},
        {"issuer": "https://a.test/", "jwks_uri": "https://a.test/k"}, {"issuer": "https://a.test"},
        {"issuer": "https://a.test", "jwks_uri": 7}, {"issuer": "https://a.test", "jwks_uri": "http://a.test/k"},
        {"issuer": "https://a.test", "jwks_uri": "http://127.0.0.1/k"},
    ],
)  # fmt: skip
def test_a_discovery_document_must_be_the_issuers_own_and_lead_to_https(document):
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    assert code_of(lambda: discovered(text, issuer_source("https://a.test"))) == "issuer.answer"


def test_a_good_discovery_document_says_where_the_keys_are():
    text = b'{"issuer": "https://a.test", "jwks_uri": "https://keys.test/k", "more": [1]}'
    assert discovered(text, issuer_source("https://a.test")) == "https://keys.test/k"
