"""The worked examples of the specification verify, byte for byte, and its table of steps is the one in the code."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.core.base64url import from_base64url_32
from answerable.core.identity.keys.keys import public_key, verify_signature
from answerable.core.identity.proof.http_signature import (
    SignedRequest,
    parse_signature,
    request_from_http,
    signature_base,
)
from answerable.core.identity.proof.session import SessionKey, derive_key, parse_answer, parse_offer
from answerable.errors import UnverifiedCode
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from reference import declared_codes
from tests.worlds.proof import FixedRegistry, agent

PAGE = (Path(__file__).parents[2] / "docs/reference/wire/proof-of-possession.md").read_text()
BLOCKS = [(kind, text) for kind, text in re.findall(r"```(\w+)\n(.*?)\n```", PAGE, re.DOTALL)]
KEY = public_key(next(text for kind, text in BLOCKS if kind == "json"))
PREFIX = b"answerable="


def requests() -> list[SignedRequest]:
    found = []
    for kind, text in BLOCKS:
        if kind == "http" and text.startswith("POST"):
            head, body = text.split("\n\n", 1)
            line, *fields = head.splitlines()
            method, target, _ = line.split(" ")
            pairs = [field.split(": ", 1) for field in fields]
            headers = [(name.lower().encode(), value.encode()) for name, value in pairs]
            found.append(request_from_http(method, target.encode(), headers, body.encode()))
    return found


def private(label: str) -> bytes:
    match = re.search(rf"{label} `([\w-]{{43}})`", PAGE)
    assert match is not None
    octets = from_base64url_32(match[1])
    assert octets is not None
    return octets


@pytest.mark.requirement("PROOF-07")
def test_the_signed_example_verifies_over_the_base_that_the_page_shows() -> None:
    signed, handshake, _ = requests()
    base = signature_base(signed, signed.signature_input.removeprefix(PREFIX))
    assert base.decode() == next(text for kind, text in BLOCKS if text.startswith('"@method"'))
    example = replace(agent("crm"), keys=(KEY,))
    verifier = CallerVerifier(
        registry=FixedRegistry(example),
        clock=ManualClock(now=1_795_000_000_000),
        entropy=SeededEntropy("wire example nonce"),
        limits=ProofLimits(authorities=frozenset({"gateway.example:8765"})),
    )
    assert verifier.verify(signed).binding == KEY.thumbprint
    assert verifier.open_session(handshake).caller.agent == "crm"
    assert verifier.challenge("epoch") in PAGE


@pytest.mark.requirement("PROOF-07")
def test_the_session_example_derives_its_key_and_its_mac() -> None:
    _, handshake, proved = requests()
    answer = [text for kind, text in BLOCKS if kind == "json"][1].encode()
    base = signature_base(handshake, handshake.signature_input.removeprefix(PREFIX))
    verify_signature(KEY, base, parse_signature(handshake).value)
    key = derive_key(
        private=private("ephemeral private key"),
        public=parse_answer(answer).x25519,
        signature_base=base,
        answer=answer,
    )
    assert f"`{key.hex()}`" in PAGE
    assert len(parse_offer(handshake.body)) == 32
    mac_base = signature_base(proved, proved.signature_input.removeprefix(PREFIX))
    assert SessionKey(key).accepts(mac_base, parse_signature(proved).value)


@pytest.mark.requirement("PROOF-11")
def test_every_step_is_explained_and_no_other() -> None:
    table = PAGE.split("## Steps")[1]
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    steps = {code.step for _, _, code in declared_codes() if isinstance(code, UnverifiedCode)}
    of_proofs = {
        code.step
        for _, _, code in declared_codes()
        if code.id.startswith("proof.") and isinstance(code, UnverifiedCode)
    }
    assert {step for step in of_proofs if step.isalpha()} <= set(listed) <= steps
    assert len(listed) == len(set(listed))
