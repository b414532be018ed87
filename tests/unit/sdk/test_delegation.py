"""Handing on with one's own key: never wider, never longer, never another's."""

from __future__ import annotations

import dataclasses

import pytest

from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.constraint import MaxSubtree, OneOf
from answerable.core.mandate.hop_signing import HopTerms, issue_root
from answerable.core.mandate.hop_token import Mission, confirmation_of, read_hop
from answerable.errors import AnswerableError
from answerable.sdk.delegation import Narrowing, Receiver, hand_on
from answerable.sdk.system_access import SYSTEM_WORLD

SERVICE, HOLDER, WRITER = (SigningKey(new_private_jwk("ed25519", bytes([n]) * 32)) for n in (1, 2, 3))
NOW = 1_800_000_000
WORLD = dataclasses.replace(SYSTEM_WORLD, unix_seconds=lambda: NOW + 0.9)
TO_WRITER = Receiver(agent="writer", key=WRITER.public)
BOUND = MaxSubtree(key="calls", bound=9)


def root(seconds: int = 3600) -> str:
    return issue_root(
        HopTerms(
            jti="root",
            agent="holder",
            confirmation=confirmation_of(HOLDER.public),
            audiences=("https://gateway.test",),
            authority=Authority(scopes=("crm.read", "crm.write"), constraints=(BOUND,)),
            issued_at=UnixMillis(NOW * 1000),
            expires_at=UnixMillis((NOW + seconds) * 1000),
            depth_limit=3,
        ),
        issuer="https://gateway.test",
        principal="ada",
        mission=Mission(id="m-1", authority_hash="sha-256:" + "a" * 43),
        key=SERVICE,
    )


def handed(narrowing: Narrowing, *, key: SigningKey = HOLDER, seconds: int = 3600) -> str:
    return hand_on(root(seconds), TO_WRITER, narrowing, key=key, world=WORLD)


def test_what_is_not_named_is_handed_on_as_it_is():
    leaf = read_hop(handed(Narrowing()).rpartition("~")[2])
    assert leaf.authority == read_hop(root()).authority
    assert (leaf.agent, leaf.confirmation.thumbprint) == ("writer", WRITER.public.thumbprint)
    assert leaf.expires_at == (NOW + 300) * 1000


def test_a_tighter_bound_stands_in_the_place_of_the_looser_one():
    narrowing = Narrowing(
        scopes=("crm.read",),
        constraints=(MaxSubtree(key="calls", bound=2), OneOf(key="resource:crm.read", members=("4711",))),
    )
    leaf = read_hop(handed(narrowing).rpartition("~")[2])
    assert leaf.authority == Authority(scopes=("crm.read",), constraints=narrowing.constraints)


def test_a_part_never_outlives_what_it_comes_from():
    leaf = read_hop(handed(Narrowing(seconds=300), seconds=20).rpartition("~")[2])
    assert leaf.expires_at == (NOW + 20) * 1000


@pytest.mark.parametrize(
    ("narrowing", "key", "code"),
    [
        (Narrowing(scopes=("crm.delete",)), HOLDER, "delegation.not_narrower"),
        (Narrowing(constraints=(MaxSubtree(key="calls", bound=10),)), HOLDER, "delegation.not_narrower"),
        (Narrowing(seconds=301), HOLDER, "delegation.lifetime"),
        (Narrowing(seconds=0), HOLDER, "delegation.lifetime"),
        (Narrowing(), WRITER, "delegation.signature_invalid"),
    ],
)
def test_more_than_one_has_is_not_signed(narrowing: Narrowing, key: SigningKey, code: str):
    with pytest.raises(AnswerableError) as refused:
        handed(narrowing, key=key)
    assert refused.value.code == code
