"""What a stranger, a hostile agent or a greedy one could present as a chain of hops."""

from __future__ import annotations

import hmac
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from answerable.core.canonical import encode
from answerable.core.identity.compact_jws import signed_statement
from answerable.core.identity.keys import to_base64url
from answerable.core.identity.principal import UnixMillis
from answerable.core.mandate.attenuation import narrower
from answerable.core.mandate.authority import Authority, detail_of, failure
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.constraint import Max, NotOneOf, OneOf, Prefix
from answerable.core.mandate.delegation_chain import (
    CHAIN_CHARS_MAX,
    DEPTH_MAX,
    chain_failure,
    split_chain,
)
from answerable.core.mandate.hop_signing import issue_root
from answerable.core.mandate.hop_token import (
    HOP_CHARS_MAX,
    Confirmation,
    confirmation_by,
    confirmation_of,
    read_raw,
    thumbprint_uri,
)
from answerable.core.mandate.resource_name import trick_in
from answerable.errors import Malformed, Unverified
from answerable.testing.delegation import (
    AGENTS,
    ISSUER,
    LEAST,
    NARROW,
    NOW,
    RESERVED,
    SERVICE,
    WIDE,
    below,
    claims_in,
    forged,
    hop,
    online,
    refund,
    root,
    three,
    trusted,
    verify,
)

STRANGER = AGENTS["stranger"]


def refused(tokens, **changes):
    with pytest.raises((Malformed, Unverified)) as raised:
        verify(tokens, **changes)
    if isinstance(raised.value, Unverified):
        assert raised.value.step == "delegation"
    return raised.value.code.removeprefix("delegation.")


def resigned(token, sign, *, header=None, **changes):
    """The token with other claims, signed by somebody. A change to None takes the claim out."""
    claims = {**claims_in(token), **changes}
    return forged({k: v for k, v in claims.items() if v is not None}, sign, **(header or {}))


@pytest.mark.requirement("DELEG-06")
def test_the_genuine_article_is_accepted_so_that_the_refusals_mean_something():
    chain = verify(three())
    assert [(one.agent, one.form) for one in chain.hops] == [
        ("orchestrator", "online"),
        ("researcher", "online"),
        ("writer", "offline"),
    ]
    assert chain_failure(chain, refund(), reserved=RESERVED) is None


@pytest.mark.requirement("DELEG-06")
@pytest.mark.parametrize(
    "issuer", [ISSUER, "alice", "urn:stranger", thumbprint_uri(STRANGER.public.thumbprint)]
)
def test_a_chain_that_a_stranger_made_up_in_a_persons_name_is_refused(issuer):
    token = resigned(root(agent="stranger"), STRANGER, iss=issuer)
    assert refused((token,)) == "signature_invalid"
    # Nor does it help to put the name of the service's key into the header.
    token = resigned(root(agent="stranger"), STRANGER, header={"kid": SERVICE.public.thumbprint})
    assert refused((token,)) == "signature_invalid"


@pytest.mark.requirement("DELEG-06")
def test_an_agent_cannot_be_the_root_of_its_own_chain():
    """Its own hop names its key in `cnf`, but a first hop has no parent whose key could sign."""
    own = AGENTS["researcher"]
    token = resigned(root(agent="researcher"), own, iss=thumbprint_uri(own.public.thumbprint))
    assert refused((token,)) == "signature_invalid"


@pytest.mark.requirement("DELEG-06")
def test_a_sibling_and_a_grandparent_cannot_sign_below_a_hop_that_is_not_theirs():
    first, second, third = three()
    for name in ("orchestrator", "clerk", "writer", "stranger"):
        key = AGENTS[name]
        for issuer in (
            thumbprint_uri(key.public.thumbprint),
            thumbprint_uri(AGENTS["researcher"].public.thumbprint),
        ):
            assert refused((first, second, resigned(third, key, iss=issuer))) == "signature_invalid"


@pytest.mark.requirement("DELEG-06")
def test_an_agent_cannot_pass_its_own_hop_off_as_one_that_the_service_issued():
    first, second, third = three()
    researcher = AGENTS["researcher"]
    assert refused((first, second, resigned(third, researcher, iss=ISSUER))) == "signature_invalid"
    kid = {"kid": SERVICE.public.thumbprint}
    assert (
        refused((first, second, resigned(third, researcher, iss=ISSUER, header=kid))) == "signature_invalid"
    )


@pytest.mark.requirement("DELEG-06")
def test_a_parent_that_names_its_key_by_thumbprint_alone_cannot_hand_on_offline():
    terms = hop("researcher", NARROW, seconds=900)
    bare = replace(terms, confirmation=replace(terms.confirmation, key=None))
    first = root()
    second = online((first,), bare)
    researcher = AGENTS["researcher"]
    token = resigned(three()[2], researcher, par_hash=read_raw(second).hash)
    assert refused((first, second, token)) == "signature_invalid"
    with pytest.raises(Unverified, match="only a token service"):
        below((first, second), "researcher", hop("writer", LEAST))


@pytest.mark.requirement("DELEG-06")
def test_a_garbage_signature_under_an_unknown_parent_says_nothing_of_either():
    first, second, third = three()
    claims = {**claims_in(third), "par_hash": "A" * 43, "iss": thumbprint_uri("B" * 43)}
    token = forged(claims, STRANGER).rpartition(".")[0] + "." + "A" * 86
    for tokens in ((token,), (first, token), (first, second, token)):
        assert refused(tokens) == "signature_invalid"


@pytest.mark.requirement("DELEG-01")
@pytest.mark.parametrize(
    "wider",
    [
        replace(LEAST, scopes=("crm.refund", "crm.export")),
        replace(LEAST, scopes=("crm.*",)),
        replace(LEAST, constraints=LEAST.constraints[1:]),
        replace(LEAST, constraints=()),
        replace(
            LEAST, constraints=(Max(key="argument:crm.refund:amount", bound=1001), *LEAST.constraints[1:])
        ),
        WIDE,
    ],
)
def test_a_child_made_by_hand_to_have_more_than_its_parent_is_refused(wider):
    """Signed by the very key that may sign: only what is in it is wrong."""
    first, second, third = three()
    token = resigned(third, AGENTS["researcher"], authorization_details=[detail_of(wider)])
    assert refused((first, second, token)) == "not_narrower"


@pytest.mark.requirement("DELEG-09")
@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"sub": "bob"}, "principal_altered"),
        ({"del_depth": 1}, "depth_invalid"),
        ({"del_depth": 3}, "depth_invalid"),
        ({"del_depth": True}, "depth_invalid"),
        ({"del_depth": "2"}, "depth_invalid"),
        ({"del_max_depth": 7}, "not_narrower"),
        ({"del_max_depth": 2}, "depth_invalid"),
        ({"del_max_depth": 0}, "malformed"),
        ({"par_hash": None}, "par_hash_mismatch"),
        ({"par_hash": "A" * 43}, "par_hash_mismatch"),
        ({"par_hash": "ä"}, "par_hash_mismatch"),
        ({"mission": None}, "malformed"),
        ({"mission": {"id": "m-2", "authority_hash": "sha-256:" + "A" * 43}}, "mission_altered"),
        ({"exp": NOW // 1000 + 901}, "expired"),
        ({"exp": NOW // 1000 + 301}, "expired"),
        ({"iat": NOW // 1000 + 61, "exp": NOW // 1000 + 240}, "expired"),
        ({"nbf": NOW // 1000 + 61}, "expired"),
        ({"exp": NOW // 1000}, "expired"),
        ({"aud": "elsewhere.test"}, "audience_mismatch"),
        ({"jti": "hop-orchestrator"}, "malformed"),
    ],
)
def test_a_last_hop_that_lies_about_its_place_is_refused_by_the_name_of_the_lie(changes, outcome):
    first, second, third = three()
    token = resigned(third, AGENTS["researcher"], **changes)
    assert refused((first, second, token)) == outcome


@pytest.mark.requirement("DELEG-09")
def test_what_was_given_for_elsewhere_is_not_handed_on_to_here():
    first = root(audiences=("elsewhere.test",))
    token = resigned(three()[1], SERVICE, par_hash=read_raw(first).hash)
    assert refused((first, token)) == "audience_mismatch"


@pytest.mark.requirement("DELEG-09")
def test_possession_and_status_are_asked_and_unknown_is_no():
    asked: list[str] = []

    def proved(confirmation):
        asked.append(confirmation.thumbprint)
        return True

    verify(three(), proved=proved)
    assert asked == [AGENTS["writer"].public.thumbprint], "the key of the last hop, and only it"
    assert refused(three(), proved=lambda _: False) == "holder_binding_failed"
    assert refused(three(), proved=lambda _: None) == "holder_binding_failed"
    for ended in ("hop-orchestrator", "hop-researcher", "hop-writer"):
        told = {"status": lambda one, ended=ended: "revoked" if one.jti == ended else "valid"}
        assert refused(three(), **told) == "revoked"
        told = {"status": lambda one, ended=ended: "unknown" if one.jti == ended else "valid"}
        assert refused(three(), **told) == "status_unknown"
    assert refused(three(), status=lambda _: None) == "status_unknown"


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
    assert refused((first,) * (DEPTH_MAX + 2)) == "depth_invalid"
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
    for depth in range(1, DEPTH_MAX + 2):
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


def reading(name: str) -> Attempt:
    return Attempt(
        capability="files.read",
        environment="production",
        resource_type="File",
        resource_id=name,
        arguments={},
    )


UNDER = Authority(
    scopes=("files.*",), constraints=(Prefix(key="resource:files.read", prefix="reports/2026"),)
)
EXACT = Authority(
    scopes=("files.*",), constraints=(OneOf(key="resource:files.read", members=("reports/pay",)),)
)
BANNED = Authority(
    scopes=("files.*",), constraints=(NotOneOf(key="resource:files.read", members=("Admin", "café")),)
)

TRICKS = [
    "reports/2026/../../etc/passwd",
    "reports/2026/..",
    "reports/2026/./x",
    "reports/2026/..;v=1/secret",
    "reports/2026/... /x",
    "reports/2026/.. /x",
    "reports/2026\\..\\..\\etc",
    "reports/2026/%2e%2e/secret",
    "reports/2026/%2E%2E%2Fsecret",
    "reports/2026/%252e%252e/secret",
    "reports/2026/%c0%ae%c0%ae/secret",
    "reports/2026/%5c..",
    "reports/2026/%00.pdf",
    "reports/2026/%u002e%u002e/x",
    "reports/2026/%",
    "reports/2026/%2",
    "reports/2026/x\x00",
    "reports/2026/x\n",
    "reports/2026/\u200bx",
    "reports/2026/\u202egpj.exe",
    "reports/2026/\ufeffx",
    "reports/2026/\u2028x",
    "reports/2026/cafe\u0301",
    "reports/2026/\uff0e\uff0e\uff0fx",
    "reports/2026/\u2025/x",
    "reports/2026/p\u0430y",
    "reports/2026/\ue000",
    "reports/20261",
    "reports/2026-old/x",
    "Reports/2026/x",
    "REPORTS/2026/x",
    "r\u0435ports/2026/x",
    " reports/2026/x",
    "reports/2026?/../../x",
    "x/../reports/2026/y",
    "",
]


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize("name", TRICKS)
def test_no_tricky_name_is_under_a_prefix(name):
    why = failure(UNDER, reading(name))
    assert why is not None
    assert why.code == "delegation.ceiling_exceeded"
    assert why.text.isprintable()


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "name",
    [
        "reports/2026",
        "reports/2026/",
        "reports/2026/q3.pdf",
        "reports/2026/a%20b",
        "reports/2026/café",
        "reports/2026/..hidden",
    ],
)
def test_plain_names_are_under_their_prefix_so_that_the_refusals_mean_something(name):
    assert failure(UNDER, reading(name)) is None


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "name",
    [
        "Reports/pay",
        "reports/pay/",
        "reports/p\u0430y",
        "reports/p\u200bay",
        "./reports/pay",
        "reports%2fpay",
        "reports//pay",
        "reports/pay ",
    ],
)
def test_a_list_names_what_it_names_to_the_character(name):
    assert failure(EXACT, reading("reports/pay")) is None
    assert failure(EXACT, reading(name)) is not None


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "name",
    [
        "Admin",
        "admin",
        "ADMIN",
        "Ad\u200bmin",
        "%41dmin",
        "Ａdmin",
        "\u0410dmin",
        "Admin ",
        "admin.",
        "cafe\u0301",
        "CAFÉ",
        "./Admin",
        "Admin\\",
    ],
)
def test_a_ban_holds_for_whatever_could_be_read_as_what_is_banned(name):
    assert failure(BANNED, reading("users")) is None
    assert failure(BANNED, reading(name)) is not None


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "prefix",
    [
        "reports/2026/../2025",
        "reports/20260",
        "reports/2026/%2e%2e/",
        "reports/2026/\u200b",
        "Reports/2026/x",
    ],
)
def test_a_child_cannot_spell_its_way_out_of_its_parents_prefix(prefix):
    bound = Prefix(key="resource:files.read", prefix=prefix)
    if trick_in(prefix) is None:
        assert narrower(replace(UNDER, constraints=(bound,)), UNDER) is not None
    else:
        with pytest.raises(Malformed) as raised:
            replace(UNDER, constraints=(bound,))
        assert raised.value.code == "delegation.malformed"


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("crm.*", "crmx.read"),
        ("crm.*", "crm"),
        ("drive.*", "drive.Read"),
        ("User.Read", "user.read"),
        ("crm.read", "crm.*"),
    ],
)
def test_scopes_are_neither_folded_nor_cut(held, asked):
    assert narrower(Authority(scopes=(asked,)), Authority(scopes=(held,))) is not None


@pytest.mark.requirement("DELEG-06")
def test_a_chain_with_a_key_of_each_kind_verifies():
    first = root(agent="clerk")
    second = below((first,), "clerk", hop("writer", NARROW))
    assert verify((first, second)).leaf.confirmation == confirmation_of(AGENTS["writer"].public)
    assert verify((first, second)).leaf.form == "offline"
    assert refused((first, second), keys_of=lambda issuer: ()) == "signature_invalid"
    assert refused((first, second), audience="elsewhere.test") == "audience_mismatch"
    assert refused((first, second), now=UnixMillis(NOW + 240_000)) == "expired"
    assert trusted("anybody") == ()


@pytest.mark.requirement("DELEG-13")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authority": WIDE}, "not_narrower"),
        ({"seconds": 1000}, "expired"),
        ({"seconds": 301}, "expired"),
        ({"seconds": 0}, "expired"),
        ({"audiences": ("answerable.test", "elsewhere.test")}, "audience_mismatch"),
        ({"audiences": ()}, "malformed"),
        ({"depth_limit": 7}, "not_narrower"),
        ({"depth_limit": 2}, "depth_invalid"),
        ({"jti": "hop-researcher"}, "malformed"),
        ({"more": {"sub": "bob"}}, "malformed"),
        ({"more": {"par_hash": "A" * 43}}, "malformed"),
        ({"more": {"del_depth": 0}}, "malformed"),
        ({"jti": "x" * 513}, "malformed"),
    ],
)
def test_nobody_mints_by_our_functions_what_our_verifier_would_refuse(changes, code):
    first, second, _ = three()
    with pytest.raises((Malformed, Unverified)) as raised:
        below((first, second), "researcher", hop("writer", **{"authority": LEAST, **changes}))
    assert raised.value.code == f"delegation.{code}"


@pytest.mark.requirement("DELEG-13")
def test_only_the_holder_of_the_last_hop_mints_below_it():
    first, second, third = three()
    terms = hop("clerk", LEAST)
    for name in ("orchestrator", "writer", "stranger", "clerk"):
        with pytest.raises(Unverified) as raised:
            below((first, second), name, terms)
        assert raised.value.code == "delegation.signature_invalid"
    with pytest.raises(Malformed):
        below((), "researcher", terms)
    with pytest.raises(Malformed):
        online((), terms)
    with pytest.raises(Malformed):
        below((second,), "researcher", hop("writer", LEAST))
    with pytest.raises(Malformed):
        below((resigned(first, SERVICE, mission=None),), "orchestrator", hop("researcher", NARROW))
    with pytest.raises(Malformed):
        below((resigned(first, SERVICE, del_depth="0"),), "orchestrator", hop("researcher", NARROW))
    # A hop that its own parent signed may be handed on again, by its holder or by the service.
    fourth = online((first, second, third), hop("clerk", LEAST))
    assert [one.form for one in verify((first, second, third, fourth)).hops][2:] == ["offline", "online"]
    assert (
        verify((first, second, third, below((first, second, third), "writer", terms))).leaf.agent == "clerk"
    )


@pytest.mark.requirement("DELEG-13")
def test_a_token_service_mints_no_first_hop_that_names_a_key_as_its_issuer_or_no_limit():
    with pytest.raises(Unverified, match="del_max_depth"):
        root(depth_limit=None)
    terms = hop("orchestrator", WIDE, depth_limit=3)
    urn = thumbprint_uri(SERVICE.public.thumbprint)
    mission = verify((root(),)).root.mission
    assert mission is not None
    with pytest.raises(Unverified) as raised:
        issue_root(terms, issuer=urn, principal="alice", mission=mission, key=SERVICE)
    assert raised.value.code == "delegation.signature_invalid"


@pytest.mark.requirement("DELEG-13")
def test_further_claims_are_carried_for_readers_that_know_them():
    more = {
        "act": {"sub": "orchestrator"},
        "txn": "t-1",
        "status": {"status_list": {"idx": 7, "uri": "https://s.test"}},
    }
    token = root(more=more)
    assert {name: claims_in(token)[name] for name in more} == more
    assert verify((token,)).root.agent == "orchestrator"


@pytest.mark.requirement("DELEG-06")
def test_a_hop_bound_to_a_certificate_is_handed_on_by_the_token_service_alone():
    bound = Confirmation(method="x5t#S256", thumbprint=to_base64url(sha256(b"certificate").digest()))
    first = root(confirmation=bound)
    second = online((first,), hop("researcher", NARROW))
    assert verify((first, second)).root.confirmation == bound
    with pytest.raises(Unverified):
        below((first,), "orchestrator", hop("researcher", NARROW))
    own = AGENTS["orchestrator"]
    token = resigned(second, own, iss=thumbprint_uri(bound.thumbprint))
    assert refused((first, token)) == "signature_invalid"


@pytest.mark.requirement("DELEG-09")
def test_a_chain_that_names_no_mandate_is_refused_at_its_first_hop():
    assert refused((resigned(root(), SERVICE, mission=None),)) == "malformed"


@pytest.mark.requirement("DELEG-13")
def test_a_hop_for_a_deployment_is_handed_on_for_one_resource_of_it_and_not_the_other_way():
    whole, part, other = "answerable.test", "answerable.test/mcp/crm", "answerable.test/mcp/files"
    first = root(audiences=(whole,))
    second = below((first,), "orchestrator", hop("researcher", NARROW, audiences=(part,)))
    third = below((first, second), "researcher", hop("writer", LEAST, audiences=(part,)))
    assert verify((first, second, third)).leaf.audiences == (part,)
    for wider in (whole, other, "answerable.test/mcp/crm2", "answerable.testx"):
        with pytest.raises(Unverified) as raised:
            below((first, second), "researcher", hop("writer", LEAST, audiences=(wider,)))
        assert raised.value.code == "delegation.audience_mismatch"


@pytest.mark.requirement("DELEG-06")
def test_a_hop_bound_to_a_process_is_handed_on_by_the_token_service_alone():
    bound = confirmation_by("answerable_process", to_base64url(sha256(b"process").digest()))
    first = root(confirmation=bound)
    assert verify((first, online((first,), hop("researcher", NARROW)))).root.confirmation == bound
    with pytest.raises(Unverified):
        below((first,), "orchestrator", hop("researcher", NARROW))
