"""The grammar of a proof: one spelling, bounded, and everything else refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.proof.http_signature import (
    digest_field,
    parse_signature,
    request_from_http,
    sign_request,
    signature_base,
)
from answerable.errors import Unverified
from tests.worlds.proof import BODY, ProofWorld, request

WORLD = ProofWorld()
SIGNED = WORLD.signed()
MAC = WORLD.session().proved(7)


def test_the_signature_base_is_that_of_the_specification() -> None:
    message = replace(request(mandate="m-4711"), content_digest=digest_field(bytes(32)))
    assert signature_base(message, b'("@method");x').decode() == (
        '"@method": POST\n'
        '"@authority": gateway.example:8765\n'
        '"@request-target": /mcp\n'
        '"content-digest": sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\n'
        '"answerable-mandate": m-4711\n'
        '"@signature-params": ("@method");x'
    )


def test_parsing_gives_back_what_was_signed() -> None:
    signature = parse_signature(SIGNED)
    assert (signature.keyid, signature.algorithm) == (WORLD.crm_key.public.thumbprint, "ed25519")
    assert (signature.epoch, len(signature.nonce), len(signature.value)) == (WORLD.verifier.epoch, 22, 64)
    assert signature.created == WORLD.clock.now() // 1000
    mac = parse_signature(MAC)
    assert (mac.algorithm, mac.nonce, mac.epoch, len(mac.value)) == ("hmac-sha256", "7", "", 32)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"answerable=", b"sig1="),
        (b"answerable=", b" answerable="),
        (b"answerable=(", b'other=("@method");created=1, answerable=('),
        (b'"@method" ', b""),
        (b'"@method" "@authority"', b'"@authority" "@method"'),
        (b'"content-digest"', b'"content-digest";req'),
        (b' "answerable-mandate"', b""),
        (b' "answerable-mandate"', b' "answerable-mandate" "date"'),
        (b"(", b"( "),
        (b";created=", b"; created="),
        (b";created=", b";created=0"),
        (b";created=", b";created=-"),
        (b";created=1", b";created=99999991"),
        (b";created=", b";expires=9999999999;created="),
        (b";keyid=", b";keyid="),
        (b'alg="ed25519"', b'alg="ED25519"'),
        (b'alg="ed25519"', b'alg="hmac-sha256"'),
        (b'alg="ed25519"', b'alg="none"'),
        (b';alg="ed25519"', b""),
        (b'tag="answerable-1"', b'tag="answerable-2"'),
        (b';tag="answerable-1"', b""),
        (b';tag="answerable-1"', b';tag="answerable-1";tag="answerable-1"'),
        (b';tag="answerable-1"', b';tag="answerable-1"\n'),
        (b';nonce="', b';nonce="0'),
        (b';nonce="', b';nonce="A'),
    ],
)
def test_any_other_spelling_of_the_input_is_refused(old: bytes, new: bytes) -> None:
    assert old in SIGNED.signature_input
    changed = replace(SIGNED, signature_input=SIGNED.signature_input.replace(old, new, 1))
    if changed == SIGNED:
        parse_signature(changed)
        return
    with pytest.raises(Unverified) as caught:
        parse_signature(changed)
    assert (caught.value.step, caught.value.code) == ("proof", "proof.malformed")


@pytest.mark.parametrize(
    "sequence", [b"0", b"01", b"-1", b"+1", b"1.0", b"1e3", b"", b"1" * 16, b" 7", "٧".encode()]
)
def test_a_sequence_number_has_one_spelling_and_a_bound(sequence: bytes) -> None:
    changed = MAC.signature_input.replace(b'nonce="7"', b'nonce="' + sequence + b'"')
    with pytest.raises(Unverified):
        parse_signature(replace(MAC, signature_input=changed))


@pytest.mark.parametrize("length", [0, 1, 20, 43, 86, 88, 98, 99])
def test_a_truncated_signature_is_refused(length: int) -> None:
    for message in (SIGNED, MAC):
        if length < len(message.signature):
            with pytest.raises(Unverified):
                parse_signature(replace(message, signature=message.signature[:length]))


def test_a_signature_of_the_other_kind_and_spare_bits_are_refused() -> None:
    for message, other in ((SIGNED, MAC), (MAC, SIGNED)):
        with pytest.raises(Unverified):
            parse_signature(replace(message, signature=other.signature))
    for message, padding in ((SIGNED, b"==:"), (MAC, b"=:")):
        place = len(message.signature) - len(padding) - 1
        head, last = message.signature[:place], message.signature[place]
        with pytest.raises(Unverified):
            parse_signature(replace(message, signature=head + bytes([last + 1]) + padding))


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [
        ("post", b"/mcp", b"a"),
        ("", b"/mcp", b"a"),
        ("P" * 17, b"/mcp", b"a"),
        ("PO ST", b"/mcp", b"a"),
        ("POST", b"mcp", b"a"),
        ("POST", b"", b"a"),
        ("POST", b"/m cp", b"a"),
        ("POST", b"/m\ncp", b"a"),
        ("POST", b"/\xff", b"a"),
        ("POST", b"/" + b"a" * 2048, b"a"),
        ("POST", b"/mcp", b""),
        ("POST", b"/mcp", b"Gateway.example"),
        ("POST", b"/mcp", b"a b"),
        ("POST", b"/mcp", b"user@a"),
        ("POST", b"/mcp", b"a\n"),
    ],
)
def test_a_request_whose_form_cannot_be_signed_is_refused(method: str, target: bytes, host: bytes) -> None:
    with pytest.raises(Unverified) as caught:
        request_from_http(method, target, [(b"host", host)], b"")
    assert caught.value.step == "proof"


@pytest.mark.parametrize("mandate", [b"", b" m", b"m ", b"m\t1", b"m" * 201, "ä".encode()])
def test_a_mandate_field_is_printable_and_bounded(mandate: bytes) -> None:
    with pytest.raises(Unverified):
        request_from_http("POST", b"/", [(b"host", b"a"), (b"answerable-mandate", mandate)], b"")


def test_signature_and_input_come_together() -> None:
    host = (b"host", b"a")
    for alone in ((b"signature", b"x"), (b"signature-input", b"x")):
        with pytest.raises(Unverified):
            request_from_http("POST", b"/", [host, alone], b"")
    with pytest.raises(Unverified):
        request_from_http("POST", b"/", [host, (b"signature", b""), (b"signature-input", b"")], b"")
    with pytest.raises(Unverified):
        request_from_http("POST", b"/", [], b"")


def test_a_message_without_proof_is_read_with_its_mandate() -> None:
    plain = request_from_http("GET", b"/mcp", [(b"host", b"a"), (b"answerable-mandate", b"m-1")], BODY)
    assert (plain.mandate_id, plain.signature_input, plain.body) == ("m-1", b"", BODY)


def test_a_signer_learns_first_that_its_request_cannot_be_read() -> None:
    for wrong in ({"keyid": "short"}, {"created": 0}, {"nonce": "7"}):
        with pytest.raises(Unverified):
            sign_request(
                request(),
                **{  # one wrong value at a time
                    "algorithm": "ed25519",
                    "keyid": "k" * 43,
                    "created": 1,
                    "nonce": "0" * 26 + "." + "n" * 22,
                    "sign": WORLD.crm_key.sign,
                    **wrong,
                },
            )
