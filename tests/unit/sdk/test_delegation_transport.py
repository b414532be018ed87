"""A chain in a message: whole on the other side, or refused with what is wrong; never half, never one of two."""

from __future__ import annotations

import dataclasses

import httpx2
import pytest

from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.delegation_transport_terms import (
    A2A_EXTENSION,
    FIELD,
    FIELD_CHARS_MAX,
    MEMBER,
    MEMBER_CHARS_MAX,
)
from answerable.core.mandate.hop_signing import HopTerms, issue_root
from answerable.core.mandate.hop_token import Mission, confirmation_of
from answerable.errors import AnswerableError, Malformed, Refused
from answerable.sdk.delegation import Narrowing, Receiver, hand_on
from answerable.sdk.delegation_transport import (
    chain_in_a2a,
    chain_in_fields,
    chain_in_meta,
    fields_for,
    one_chain,
    put_in_a2a,
    put_in_meta,
    received,
)
from answerable.sdk.system_access import SYSTEM_WORLD

SERVICE, HOLDER, WRITER = (SigningKey(new_private_jwk("ed25519", bytes([n]) * 32)) for n in (1, 2, 3))
NOW = 1_800_000_000
WORLD = dataclasses.replace(SYSTEM_WORLD, unix_seconds=lambda: NOW + 0.9)


def root(jti: str = "root") -> str:
    return issue_root(
        HopTerms(
            jti=jti,
            agent="holder",
            confirmation=confirmation_of(HOLDER.public),
            audiences=("https://gateway.test",),
            authority=Authority(scopes=("crm.read", "crm.write"), constraints=()),
            issued_at=UnixMillis(NOW * 1000),
            expires_at=UnixMillis((NOW + 3600) * 1000),
            depth_limit=3,
        ),
        issuer="https://gateway.test",
        principal="ada",
        mission=Mission(id="m-1", authority_hash="sha-256:" + "a" * 43),
        key=SERVICE,
    )


def below(chain: str) -> str:
    return hand_on(chain, Receiver(agent="writer", key=WRITER.public), Narrowing(), key=HOLDER, world=WORLD)


CHAIN = below(root())
ABOVE, LEAF = CHAIN.split("~")


def code_of(act) -> str:
    with pytest.raises(AnswerableError) as refused:
        act()
    assert LEAF[:40] not in refused.value.message, "an error shows no token"
    return refused.value.code


@pytest.mark.parametrize(
    "fields",
    [
        fields_for(CHAIN),
        {"Answerable-Delegation": CHAIN, "other": "1"},
        {"ANSWERABLE-DELEGATION": [CHAIN]},
        [("other", b"1"), ("answerable-delegation", CHAIN.encode())],
        [(b"answerable-delegation", CHAIN.encode())],
        httpx2.Headers(fields_for(CHAIN)),
    ],
    ids=["ours", "capitals", "lists", "kafka", "asgi", "httpx"],
)
def test_one_field_is_found_as_each_library_gives_it(fields):
    assert chain_in_fields(fields) == CHAIN


def test_where_nothing_came_there_is_nothing():
    assert chain_in_fields({}) == chain_in_fields([("answerable-mandate", "m-1")]) == ""
    assert chain_in_meta({"answerable/other": 1}) == ""
    assert chain_in_a2a({}, ["urn:other"]) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {FIELD: CHAIN, "Answerable-Delegation": CHAIN},
        {FIELD: [CHAIN, CHAIN]},
        [(FIELD, CHAIN), (FIELD, below(root("other")))],
        {FIELD: f"{CHAIN}, {CHAIN}"},
        httpx2.Headers([(FIELD, CHAIN), (FIELD, CHAIN)]),
        {FIELD: ""},
        {FIELD: []} | {"Answerable-Delegation": ""},
        {FIELD: 7},
        {FIELD: None},
        {FIELD: CHAIN + " "},
        {FIELD: CHAIN + "\n"},
        {FIELD: CHAIN.replace("e", "е", 1)},
        {FIELD: CHAIN.encode("utf-16")},
        {FIELD: CHAIN + "A" * FIELD_CHARS_MAX},
    ],
)
def test_what_is_no_single_bounded_ascii_text_is_refused(fields):
    assert code_of(lambda: chain_in_fields(fields)) == "delegation.carriage"


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        (LEAF, "delegation.depth_invalid"),
        (f"{LEAF}~{ABOVE}", "delegation.depth_invalid"),
        (f"{root('other')}~{LEAF}", "delegation.par_hash_mismatch"),
        (f"{ABOVE}~", "delegation.malformed"),
        ("~".join([ABOVE] * 18), "delegation.depth_invalid"),
        (ABOVE.replace(".", "..", 1), "delegation.malformed"),
    ],
    ids=["cut", "reordered", "grafted", "empty hop", "too deep", "no token"],
)
def test_a_chain_that_does_not_hang_together_is_refused_where_it_arrives_and_before_it_leaves(chain, code):
    assert code_of(lambda: chain_in_fields({FIELD: chain})) == code
    assert code_of(lambda: chain_in_meta({MEMBER: chain})) == code
    assert code_of(lambda: chain_in_a2a({MEMBER: chain}, [A2A_EXTENSION])) == code
    assert code_of(lambda: fields_for(chain)) == code
    assert code_of(lambda: put_in_a2a({}, [], chain)) == code


def test_mcp_and_a2a_carry_it_in_one_member():
    meta: dict[str, object] = {"progressToken": 1}
    put_in_meta(meta, CHAIN)
    assert (chain_in_meta(meta), len(meta)) == (CHAIN, 2)
    metadata: dict[str, object] = {}
    extensions: list[str] = ["urn:other"]
    put_in_a2a(metadata, extensions, CHAIN)
    put_in_a2a(metadata, extensions, CHAIN)
    assert (chain_in_a2a(metadata, extensions), extensions) == (CHAIN, ["urn:other", A2A_EXTENSION])


def test_a_chain_never_takes_the_place_of_another_one():
    meta: dict[str, object] = {MEMBER: CHAIN}
    assert code_of(lambda: put_in_meta(meta, below(root("other")))) == "delegation.carriage"
    assert code_of(lambda: put_in_a2a(meta, [], below(root("other")))) == "delegation.carriage"
    assert meta == {MEMBER: CHAIN}


@pytest.mark.parametrize(
    ("metadata", "extensions"),
    [
        ({MEMBER: CHAIN}, []),
        ({}, [A2A_EXTENSION]),
        ({MEMBER: CHAIN}, [A2A_EXTENSION, A2A_EXTENSION]),
        ({MEMBER: [CHAIN]}, [A2A_EXTENSION]),
        ({MEMBER: CHAIN + "A" * MEMBER_CHARS_MAX}, [A2A_EXTENSION]),
        ({"Answerable/Delegation": CHAIN}, [A2A_EXTENSION]),
    ],
)
def test_an_a2a_message_has_chain_and_extension_together_and_once(metadata, extensions):
    assert code_of(lambda: chain_in_a2a(metadata, extensions)) == "delegation.carriage"


def test_two_places_of_a_message_may_repeat_one_chain_and_not_have_two():
    assert one_chain("", CHAIN, CHAIN) == CHAIN
    assert one_chain("", "") == ""
    with pytest.raises(Malformed, match="different chains"):
        one_chain(CHAIN, ABOVE)


def test_a_receiver_takes_what_is_for_its_own_key_and_says_when_nothing_came():
    assert received(CHAIN, WRITER.public) == CHAIN
    assert code_of(lambda: received(CHAIN, HOLDER.public)) == "delegation.holder_binding_failed"
    with pytest.raises(Refused, match="the message has no delegation chain") as missing:
        received("", WRITER.public)
    assert missing.value.code == "delegation.missing"
