"""Tokens of manifests as they are read back, claim by claim."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.manifests.manifest_token import (
    MANIFEST_TYP,
    manifest_claims,
    stored_manifest,
    verified_manifest,
)
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.statement import claims_in
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.manifest_register import sample_manifest, sample_signed
from answerable.testing.samples import registry_documents, signing_key

CLAIMS: dict[str, Any] = claims_in(
    manifest_claims(sample_manifest(), owner=PrincipalId("alice"), at=UnixMillis(START))
)


def token(claims: Any) -> str:
    return signed_statement(claims, typ=MANIFEST_TYP, key=signing_key("alice"))


@pytest.mark.parametrize(
    "changes",
    [
        {"iat_ms": -1},
        {"iat_ms": "1"},
        {"iat_ms": True},
        {"iat_ms": 1.5},
        {"iss": 1},
        {"iss": "Alice"},
        {"sub": None},
        {"sub": ""},
        {"manifest": []},
        {"manifest": None},
        {"aud": "elsewhere"},
    ],
)
def test_a_claim_that_is_not_what_it_should_be_refuses_whoever_reads_it(changes):
    spoilt = token({**CLAIMS, **changes})
    with pytest.raises(Malformed):
        stored_manifest(spoilt)
    with pytest.raises(Malformed):
        verified_manifest(spoilt, current=snapshot_of(registry_documents()))


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_a_claim_that_is_missing_refuses(claim):
    with pytest.raises(Malformed):
        stored_manifest(token({name: CLAIMS[name] for name in CLAIMS if name != claim}))


def test_claims_that_are_no_object_refuse():
    header, _, signature = sample_signed().token.split(".")
    with pytest.raises(Malformed):
        stored_manifest(f"{header}.W10.{signature}")


def test_what_was_signed_is_read_back_with_its_signer_key_and_time():
    signed = sample_signed(at=7)
    assert (signed.signed_by, signed.signed_at) == ("alice", START + 7)
    assert signed.key == signing_key("alice").public.thumbprint
    with pytest.raises(AnswerableError):
        verified_manifest(signed.token, current=snapshot_of([]))
