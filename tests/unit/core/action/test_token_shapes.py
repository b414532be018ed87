"""What looks like a credential, and what does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answerable.core.action.token_shapes import _SHAPES, described, found_in, hidden_in

PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n+/=\n-----END EC PRIVATE KEY-----\n"
CREDENTIALS = {
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl": "jose",
    "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.Y2lwaGVy.dGFn": "jose",
    PEM: "private_key",
    PEM.partition("-----END")[0]: "private_key",
    "ghp_" + "a1B2" * 9: "github",
    "github_pat_" + "a1B2_" * 8: "github",
    "glpat-" + "x" * 20: "gitlab",
    "AKIA" + "ABCDEFGHIJKLMNOP": "aws",
    "xoxb-1234567890-abcdef": "slack",
    "AIza" + "x" * 35: "google",
    "ya29." + "x" * 40: "google",
    "sk_live_" + "x" * 24: "stripe",
    "sk-ant-" + "x" * 40: "model_provider",
    "npm_" + "x" * 36: "package_index",
    "pypi-AgE" + "x" * 60: "package_index",
    "hvs." + "x" * 24: "vault",
    "authorization: Bearer abcdefghijklmnop.qrst": "authorization",
    "DPoP  abcdefghijklmnopqrst==": "authorization",
    "CLOUD_API_TOKEN=0123456789abcdef01234567": "assigned_secret",
    "db_password: hunter2hunter2hunter2": "assigned_secret",
    '{"apiKey": "0123456789abcdefghij"}': "assigned_secret",
}
HARMLESS = [
    "",
    "a token of thanks",
    "the secret: everything is fine",
    "password reset requested",
    "https://example.com/tokens?page=2",
    "eyJ.a.b",
    "AKIAABC",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "Basic understanding of the matter",
    "4711 Amara Okafor, plan Business",
    "ghp_short",
]


@pytest.mark.parametrize(("text", "kind"), CREDENTIALS.items())
def test_what_looks_like_a_credential_is_found_by_its_kind(text, kind):
    assert [one.kind for one in found_in(json.dumps({"text": text}).encode())] == [kind]


@pytest.mark.parametrize("text", CREDENTIALS)
def test_what_is_found_is_not_in_what_is_shown(text):
    shown, findings = hidden_in(json.dumps({"content": [{"type": "text", "text": f"x {text} y"}]}).encode())
    assert findings
    secret = max(text.replace('"', " ").replace("=", " ").split(), key=len)
    assert secret.encode() not in shown
    told = json.loads(shown)["content"][0]["text"]
    assert told.startswith("x ")
    assert "[hidden: " in told


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_speaks_of_credentials_stays_as_it_was(text):
    whole = json.dumps({"text": text}).encode()
    assert hidden_in(whole) == (whole, ())
    assert found_in(whole) == ()


def test_of_two_shapes_in_one_place_the_one_that_begins_first_is_named():
    shown, findings = hidden_in(b"Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl")
    assert shown == b"Bearer [hidden: jose]"
    assert described(findings) == "1 jose"


def test_a_letter_before_it_does_not_hide_a_token():
    shown, _ = hidden_in(b"xeyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl")
    assert shown == b"x[hidden: jose]"


def test_every_find_is_counted():
    text = b" ".join([b"glpat-" + b"x" * 20, b"glpat-" + b"y" * 20, b"hvs." + b"z" * 24])
    shown, findings = hidden_in(text)
    assert described(findings) == "2 gitlab, 1 vault"
    assert shown == b"[hidden: gitlab] [hidden: gitlab] [hidden: vault]"


@given(st.lists(st.sampled_from([*CREDENTIALS, *HARMLESS]), max_size=4), st.text(max_size=40))
@example([PEM, PEM], '"')
@example([PEM.partition("-----END")[0], PEM], "\\")
def test_json_stays_json_and_nothing_is_found_twice(parts, between):
    whole = json.dumps({"text": f" {between} ".join(parts)}).encode()
    shown, _ = hidden_in(whole)
    assert isinstance(json.loads(shown)["text"], str)
    assert hidden_in(shown)[0] == shown


@given(st.sampled_from(_SHAPES).flatmap(lambda shape: st.from_regex(shape.pattern, fullmatch=True)))
def test_whatever_a_shape_matches_is_found(text):
    assert found_in(text)
