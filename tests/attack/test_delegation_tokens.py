"""Hops that ask to be read in another way: algorithms, headers, spellings, shapes and sizes."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.mandate.authority import detail_of
from answerable.core.mandate.delegation_chain import (
    CHAIN_CHARS_MAX,
    split_chain,
)
from answerable.core.mandate.hop_token import (
    HOP_CHARS_MAX,
    read_raw,
)
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX
from answerable.errors import Malformed, Unverified
from answerable.testing.delegation import (
    AGENTS,
    SERVICE,
    WIDE,
    claims_in,
    forged,
    root,
    three,
    verify,
)
from tests.worlds.delegation_forgery import refused, resigned


@pytest.mark.requirement("DELEG-07")
@pytest.mark.parametrize("alg", ["none", "None", "HS256", "EdDSA", "ES256", "RS256", "ES256K", "ed25519", ""])
def test_only_the_algorithm_of_the_key_itself_is_accepted(alg):
    for signature in ("", to_base64url(bytes(64))):
        genuine = forged(claims_in(root()), SERVICE, alg=alg)
        token = genuine if signature else f"{genuine.rpartition('.')[0]}.{signature}"
        assert refused((token,)) in ("signature_invalid", "malformed")


@pytest.mark.requirement("DELEG-11")
@pytest.mark.parametrize("secret", ["jwk", "x", "thumbprint"])
def test_a_public_key_is_never_taken_for_a_shared_secret(secret):
    known = {"jwk": SERVICE.public.jwk, "x": SERVICE.public.jwk, "thumbprint": SERVICE.public.thumbprint}[
        secret
    ]
    header = encode({"alg": "HS256", "kid": SERVICE.public.thumbprint, "typ": "at+jwt"})
    text = f"{to_base64url(header)}.{to_base64url(encode(claims_in(root())))}"
    mac = hmac.digest(known.encode(), text.encode(), "sha256")
    assert refused((f"{text}.{to_base64url(mac)}",)) == "signature_invalid"


@pytest.mark.requirement("DELEG-07")
@pytest.mark.parametrize(
    "header",
    [
        {"crit": "exp"},
        {"b64": "false"},
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test"},
        {"cty": "JWT"},
        {"c14n": "none"},
        {"typ": "JWT"},
        {"typ": "dpop+jwt"},
        {"typ": "answerable-mandate+jwt"},
    ],
)
def test_a_header_that_asks_for_another_reading_is_refused(header):
    assert refused((forged(claims_in(root()), SERVICE, **header),)) == "malformed"


@pytest.mark.requirement("DELEG-07")
def test_a_header_may_say_that_it_is_canonical_and_a_type_may_be_written_out():
    for header in ({"c14n": "JCS"}, {"typ": "application/at+jwt"}):
        assert verify((forged(claims_in(root()), SERVICE, **header),)).root.agent == "orchestrator"


@pytest.mark.requirement("DELEG-07")
def test_a_kid_that_names_another_key_is_refused_although_the_signature_fits():
    first, second, third = three()
    other = {"kid": AGENTS["writer"].public.thumbprint}
    assert (
        refused((first, second, resigned(third, AGENTS["researcher"], header=other))) == "signature_invalid"
    )
    assert refused((resigned(first, SERVICE, header={"kid": "ключ"}),)) == "signature_invalid"


def spelled(payload: bytes) -> str:
    """A root of the token service with this payload, to the byte."""
    header = encode({"alg": "Ed25519", "kid": SERVICE.public.thumbprint, "typ": "at+jwt"})
    text = f"{to_base64url(header)}.{to_base64url(payload)}"
    return f"{text}.{to_base64url(SERVICE.sign(text.encode()))}"


@pytest.mark.requirement("DELEG-07")
def test_a_member_given_twice_and_another_spelling_of_the_same_claims_are_refused():
    payload = encode(claims_in(root()))
    assert verify((spelled(payload),)).root.principal == "alice"
    assert refused((spelled(payload[:-1] + b',"sub":"bob"}'),)) == "duplicate_member"
    assert refused((spelled(b" " + payload),)) == "non_canonical"
    assert refused((spelled(payload.replace(b'"alice"', b'"\\u0061lice"')),)) == "non_canonical"
    assert refused((spelled(payload.replace(b'"exp":', b'"exp":0e1,"zexp":')),)) in (
        "non_canonical",
        "malformed",
    )
    assert refused((spelled(payload.replace(b'"iat":', b'"iat":NaN,"ziat":')),)) == "non_finite"
    assert (
        refused((spelled(payload.replace(b'"del_max_depth":6', b'"del_max_depth":9007199254740993')),))
        == "malformed"
    )
    assert refused((spelled(b"[]"),)) == "malformed"
    assert refused((spelled(b"\xff"),)) == "malformed"


@pytest.mark.requirement("DELEG-07")
def test_tokens_and_chains_beyond_their_bounds_are_refused_before_they_are_read():
    first = root()
    assert refused(()) == "malformed"
    assert refused((first + "A" * HOP_CHARS_MAX,)) == "malformed"
    assert refused(["A" * (CHAIN_CHARS_MAX // 10)] * 11) == "malformed"
    assert refused((first,) * (DELEGATION_DEPTH_MAX + 2)) == "depth_invalid"
    with pytest.raises(Malformed):
        split_chain("A" * (CHAIN_CHARS_MAX + 1))
    with pytest.raises(Unverified, match="at most 17"):
        split_chain("~" * 100_000)
    assert split_chain("~".join(three())) == three()
    deep = encode({**claims_in(first), "more": None}).replace(b"null", b"[" * 40 + b"]" * 40)
    assert refused((spelled(deep),)) == "malformed"


@pytest.mark.requirement("DELEG-07")
def test_a_hop_with_a_hostile_list_is_refused_without_reading_it():
    details = detail_of(WIDE)
    changed: list[dict[str, Any]] = [
        {"scopes": ["a.b"] * 65},
        {"scopes": []},
        {"scopes": ["crm.refund", "crm.refund"]},
        {"scopes": ["crm.refund\n"]},
        {"scopes": ["*"]},
        {"scopes": [1]},
        {"scopes": "crm.*"},
        {"constraints": [{"key": "calls", "max": 1}] * 513},
        {"constraints": {}},
        {"constraints": [7]},
        {"locations": ["https://evil.test"]},
        {"type": "openid_credential"},
    ]
    for changes in changed:
        token = resigned(root(), SERVICE, authorization_details=[{**details, **changes}])
        assert refused((token,)) == "malformed", changes
    for several in ([], [details, details], details, None):
        assert refused((resigned(root(), SERVICE, authorization_details=several),)) == "malformed"


@pytest.mark.requirement("DELEG-07")
def test_sixteen_deep_is_the_end_whatever_is_configured_or_signed():
    tokens = [root(depth_limit=60)]
    for depth in range(1, DELEGATION_DEPTH_MAX + 2):
        claims = {
            **claims_in(tokens[-1]),
            "jti": f"hop-{depth}",
            "del_depth": depth,
            "par_hash": read_raw(tokens[-1]).hash,
        }
        claims.pop("del_max_depth", None)
        tokens.append(signed_statement(claims, typ="at+jwt", key=SERVICE))
    assert len(verify(tokens[:17], depth_max=99).hops) == 17
    assert refused(tokens, depth_max=99) == "depth_invalid"
    assert len(verify(tokens[:6]).hops) == 6
    assert refused(tokens[:7]) == "depth_invalid"
    # Whoever says that nothing may be below them is believed.
    short = [root(depth_limit=1), resigned(tokens[1], SERVICE, par_hash=read_raw(root(depth_limit=1)).hash)]
    assert refused(short) == "depth_invalid"
    for limit in (0, -1, True, "6", None, 6.5):
        assert refused((resigned(root(), SERVICE, del_max_depth=limit),)) == "depth_invalid"


CNF = {"jkt": SERVICE.public.thumbprint}


@pytest.mark.requirement("DELEG-07")
@pytest.mark.parametrize(
    "cnf",
    [
        None,
        {},
        "jkt",
        {"jkt": "short"},
        {"jkt": 7},
        {"kid": "somebody"},
        {**CNF, "kid": "somebody"},
        {"x5t#S256": "short"},
        {"answerable_process": "short"},
        {"answerable_process": "A" * 43, "jkt": "A" * 43},
        {**CNF, "x5t#S256": "A" * 43},
        {"jwk": None},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": {"kty": "RSA", "n": "AAAA", "e": "AQAB"}},
        {
            "jkt": "A" * 43,
            "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        },
    ],
)
def test_a_hop_is_bound_to_exactly_one_key_or_refused(cnf):
    assert refused((resigned(root(), SERVICE, cnf=cnf),)) == "malformed"


@pytest.mark.requirement("DELEG-07")
def test_a_private_key_in_a_token_is_refused_and_never_shown():
    secret = to_base64url(sha256(b"stranger").digest())
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": secret}
    with pytest.raises(Malformed) as raised:
        verify((resigned(root(), SERVICE, cnf={"jwk": jwk}),))
    assert raised.value.code == "delegation.malformed"
    assert secret not in str(raised.value)


@pytest.mark.requirement("DELEG-07")
@pytest.mark.parametrize(
    "changes",
    [
        {"sub": ""},
        {"sub": "alice\nbob"},
        {"sub": 7},
        {"client_id": None},
        {"jti": "x" * 513},
        {"iss": None},
        {"aud": []},
        {"aud": None},
        {"aud": [""]},
        {"aud": [7]},
        {"aud": ["a"] * 17},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": -1},
        {"nbf": 10**12},
        {"nbf": {}},
        {"mission": "m-1"},
        {"mission": {"id": "m-1"}},
        {"mission": {"id": "m-1", "authority_hash": "sha-256:short"}},
        {"mission": {"id": "", "authority_hash": "sha-256:" + "A" * 43}},
        {"par_hash": "A" * 43},
    ],
)
def test_claims_of_another_shape_are_malformed(changes):
    assert refused((resigned(root(), SERVICE, **changes),)) == "malformed"
