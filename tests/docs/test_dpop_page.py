"""The worked example of the page verifies, byte for byte, and its table of refusals is the one in the code."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest

from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.proof import dpop_terms as terms
from answerable.core.identity.proof.dpop import check_message, check_proof, check_signature, read_proof
from answerable.errors import Unverified
from answerable.flows.tokens.verify_dpop import challenge_error
from tests.probes.named_codes import named_codes

pytestmark = pytest.mark.requirement("DPOP-14")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/wire/dpop.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)\n```", PAGE, re.DOTALL)
JSON = [text for kind, text in BLOCKS if kind == "json"]


def test_the_worked_example_verifies() -> None:
    message = next(text for kind, text in BLOCKS if kind == "http" and text.startswith("POST"))
    head, body = message.split("\n\n", 1)
    fields = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    proof = read_proof(fields["DPoP"])
    check_proof(
        proof,
        method="POST",
        urls=("https://gateway.example/mcp/crm",),
        now=UnixMillis(1_795_000_000_000),
        skew_seconds_max=60,
        token=fields["Authorization"].removeprefix("DPoP "),
    )
    check_message(proof, sha256(body.encode()).digest(), needed=True)
    key = public_key(JSON[0])
    assert f"`{key.thumbprint}`" in PAGE
    check_signature(proof, thumbprint=key.thumbprint)
    header, claims = (json.loads(text) for text in JSON[1:3])
    assert header == {"alg": "Ed25519", "jwk": json.loads(key.jwk), "typ": terms.TYPE}
    assert (claims["jti"], claims["nonce"]) == (proof.identifier, proof.nonce)
    assert f"DPoP-Nonce: {proof.nonce}" in PAGE


def test_the_table_of_refusals_is_the_one_in_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (`dpop\..*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(get_args(terms.ChallengeError))
    told = {code: error for error, codes in rows.items() for code in re.findall(r"`(dpop\.\w+)`", codes)}
    for code, error in told.items():
        assert challenge_error(Unverified("", code=code, step="dpop")) == error
    modules = (
        ROOT / "src/answerable" / name
        for name in ("core/identity/proof/dpop.py", "flows/tokens/verify_dpop.py")
    )
    assert {code for code in named_codes(*modules) if code.startswith("dpop.")} - {"dpop.limits"} == set(told)
