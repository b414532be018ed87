"""Tokens that go with a proof: those of our own service that are bound to a key, and no others."""

from __future__ import annotations

import pytest

from answerable.core.mandate.hop_token import confirmation_by
from answerable.errors import Unverified
from answerable.flows.tokens.verify_holder import bound_token
from answerable.testing import delegation as bench


def test_a_token_of_our_own_is_bound_to_the_key_in_it():
    held = bound_token(bench.trusted)(bench.root())
    assert (held.key, held.content) == (bench.AGENTS["orchestrator"].public.thumbprint, bench.root())


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("nonsense", "dpop.token"),
        (bench.three()[2], "delegation.signature_invalid"),
        (bench.root(confirmation=confirmation_by("x5t#S256", "A" * 43)), "dpop.token"),
        (
            bench.forged(bench.claims_in(bench.root()), bench.agent_key("stranger")),
            "delegation.signature_invalid",
        ),
    ],
    ids=["nonsense", "signed by an agent", "bound to a certificate", "signed by a stranger"],
)
def test_no_other_token_is_held_by_a_proof(token, code):
    with pytest.raises(Unverified) as told:
        bound_token(bench.trusted)(token)
    assert told.value.code == code
