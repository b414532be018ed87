"""Tokens and proofs at the resource, and proofs of those who ask for a token."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.dpop import dpop_proof
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY
from answerable.errors import Malformed, Unavailable, Unverified
from answerable.flows.tokens.verify_dpop import BoundToken, DpopLimits, challenge_error, has_credential
from tests.worlds.dpop import BODY, TARGET, TOKEN, URL, DpopWorld
from tests.worlds.proof import ProofWorld, agent, request


@pytest.fixture
def world() -> DpopWorld:
    return DpopWorld()


def test_a_holder_is_proved_with_token_key_and_message(world: DpopWorld) -> None:
    first, second = world.verify(), world.verify()
    thumbprint = world.holder.public.thumbprint
    assert (first.token, first.key, first.content) == (TOKEN, thumbprint, "agent-of-the-token")
    assert first.message_digest == sha256(BODY).digest()
    assert first.at == world.clock.now()
    assert (first.binding, first.sequence) != (second.binding, second.sequence)
    assert second.sequence > first.sequence
    assert first.binding.startswith(f"dpop:{thumbprint},run=")
    assert world.started().verify("POST", TARGET, world.headers(), BODY).binding != first.binding


@pytest.mark.requirement("DPOP-10")
def test_a_holder_becomes_a_caller_that_names_its_key(world: DpopWorld) -> None:
    caller = world.verify().caller(AgentId("crm"), UNKNOWN_IDENTITY)
    assert (caller.agent, caller.proof, caller.key) == ("crm", "dpop", world.holder.public.thumbprint)
    assert caller.holds(key=world.holder.public.thumbprint)
    assert not caller.holds(key=world.thief.public.thumbprint)


@pytest.mark.requirement("DPOP-12")
def test_a_first_request_learns_the_nonce_and_is_accepted_with_it(world: DpopWorld) -> None:
    with pytest.raises(Unverified) as told:
        world.verify(world.headers(world.proof(nonce="")))
    fields = dict(world.verifier.challenge(told.value))
    assert fields[b"www-authenticate"] == b'DPoP error="use_dpop_nonce", algs="ES256 Ed25519"'
    world.verify(world.headers(world.proof(nonce=fields[b"dpop-nonce"].decode())))
    assert world.verifier.nonce_field() == (b"dpop-nonce", fields[b"dpop-nonce"])


@pytest.mark.requirement("DPOP-12")
def test_a_refusal_says_what_kind_it_is_and_nothing_of_the_token(world: DpopWorld) -> None:
    cases: list[tuple[Any, str]] = [
        (world.headers(world.proof(nonce="")), "use_dpop_nonce"),
        (world.headers(world.proof(method="GET")), "invalid_dpop_proof"),
        (world.headers(world.proof(token="other")), "invalid_dpop_proof"),
        (world.headers("garbage"), "invalid_dpop_proof"),
        (world.headers(world.proof(world.thief)), "invalid_token"),
        (world.headers(token="not.a.token", proof=world.proof(token="not.a.token")), "invalid_token"),
        (world.headers(scheme="Bearer"), "invalid_token"),
    ]
    for headers, expected in cases:
        with pytest.raises(Unverified) as told:
            world.verify(headers)
        assert challenge_error(told.value) == expected
        said = dict(world.verifier.challenge(told.value))
        assert said[b"www-authenticate"] == f'DPoP error="{expected}", algs="ES256 Ed25519"'.encode()
        assert said[b"dpop-nonce"].decode() == world.nonce()
        assert TOKEN not in told.value.message


@pytest.mark.requirement("DPOP-02", "DPOP-07")
@pytest.mark.parametrize("name", [b"authorization", b"dpop"])
def test_a_field_that_is_missing_or_there_twice_is_refused(world: DpopWorld, name: bytes) -> None:
    good = world.headers()
    field = next(one for one in good if one[0] == name)
    expected = "dpop.credential" if name == b"authorization" else "dpop.malformed"
    assert world.refused([one for one in good if one[0] != name]) == expected
    assert world.refused([*good, field]) == expected
    assert world.refused([*good, (name, b"")]) == expected
    world.verify(good)


@pytest.mark.requirement("DPOP-07")
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"DPoP",
        b"DPoP ",
        f"DPoP  {TOKEN}".encode(),
        f"DPoP {TOKEN} ".encode(),
        f"DPoP {TOKEN}, DPoP {TOKEN}".encode(),
        f"Bearer {TOKEN}".encode(),
        f"bearer {TOKEN}".encode(),
        f"Basic {TOKEN}".encode(),
        f"dpop-bound {TOKEN}".encode(),
        b"DPoP " + b"a" * 16_384,
        b"DPoP \xff",
    ],
)
def test_a_credential_in_another_form_is_refused_before_the_token_is_looked_at(
    world: DpopWorld, value: bytes
) -> None:
    headers = [(name, value if name == b"authorization" else was) for name, was in world.headers()]
    world.tokens = {}
    assert world.refused(headers) == "dpop.credential"


def test_the_scheme_is_understood_in_any_case(world: DpopWorld) -> None:
    world.verify(world.headers(scheme="dpop"))
    world.verify(world.headers(scheme="DPOP"))


@pytest.mark.requirement("DPOP-07")
def test_a_token_that_is_bound_to_no_key_counts_for_nothing(world: DpopWorld) -> None:
    world.tokens[TOKEN] = ""
    assert world.refused() == "dpop.binding"
    with pytest.raises(Unverified):
        BoundToken(key="", content=None)


@pytest.mark.requirement("DPOP-08")
def test_a_message_needs_a_proof_that_covers_it_but_an_empty_one_has_nothing_to_cover(
    world: DpopWorld,
) -> None:
    assert world.refused(world.headers(world.proof(message=None))) == "dpop.message"
    for method in ("GET", "DELETE"):
        world.verify(world.headers(world.proof(method=method, message=None)), method=method, body=b"")
    assert world.refused(world.headers(world.proof(message=b"other")), body=b"") == "dpop.message"


@pytest.mark.requirement("DPOP-08")
def test_a_signature_over_the_message_by_the_same_key_covers_it_too() -> None:
    proofs = ProofWorld()
    proofs.registry.swap(agent("crm", proofs.crm_key), agent("pay", proofs.pay_key))

    world = DpopWorld(holder=proofs.crm_key, clock=proofs.clock, signed_by=proofs.verifier.head_of)
    bare = world.headers(world.proof(message=None))[1:]
    assert world.refused(bare) == "dpop.message"

    def fields(key: Any, body: bytes = BODY) -> list[tuple[bytes, bytes]]:
        message = proofs.signed(replace(request(body=body, mandate=""), target=TARGET), key=key)
        return [
            (b"host", message.authority),
            (b"content-digest", message.content_digest),
            (b"signature-input", message.signature_input),
            (b"signature", message.signature),
        ]

    world.verify([*bare, *fields(proofs.crm_key)])
    fresh = world.headers(world.proof(message=None))[1:]
    assert world.refused([*fresh, *fields(proofs.pay_key)]) == "dpop.binding"
    assert world.refused([*fresh, *fields(proofs.crm_key, b"{}")]) == "proof.digest"
    # Both at once are both checked.
    both = world.headers(world.proof(message=b"{}"))[1:]
    assert world.refused([*both, *fields(proofs.crm_key)]) == "dpop.message"
    # Where no signature is taken, one changes nothing.
    world = DpopWorld(holder=proofs.crm_key, clock=proofs.clock)
    assert (
        world.refused([*world.headers(world.proof(message=None))[1:], *fields(proofs.crm_key)])
        == "dpop.message"
    )


@pytest.mark.requirement("DPOP-05")
def test_who_asks_for_a_token_proves_a_key_once_and_needs_no_token(world: DpopWorld) -> None:
    proof = world.proof(url=f"{URL}/token", token="", message=None)
    headers = [(b"dpop", proof.encode())]
    assert world.verifier.prove_key("POST", b"/token", headers, b"grant_type=x") == (
        world.holder.public.thumbprint
    )
    for body in (b"grant_type=x", b""):
        with pytest.raises(Unverified) as told:
            world.verifier.prove_key("POST", b"/token", headers, body)
        assert told.value.code == "dpop.replay"
    covered = world.proof(url=f"{URL}/token", token="", message=b"grant_type=x")
    with pytest.raises(Unverified) as told:
        world.verifier.prove_key("POST", b"/token", [(b"dpop", covered.encode())], b"grant_type=y")
    assert told.value.code == "dpop.message"


@pytest.mark.requirement("DPOP-09")
def test_a_store_that_cannot_tell_refuses_all() -> None:
    class Broken:
        epoch = bytes(32)

        def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> Any:
            raise Unavailable("gone", code="replay.unavailable", port="replay")

    world = DpopWorld()
    world.store = Broken()
    world.verifier = world.started()
    with pytest.raises(Unavailable):
        world.verify()


@pytest.mark.parametrize(
    "limits",
    [
        {"urls": frozenset()},
        {"urls": frozenset({URL}), "skew_seconds_max": 0},
        {"urls": frozenset({"gateway.example"})},
        {"urls": frozenset({URL + "/?a=1"})},
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        DpopLimits(**limits)


@pytest.mark.requirement("DPOP-06")
def test_the_period_of_nonces_is_bounded(world: DpopWorld) -> None:
    with pytest.raises(Malformed):
        world.started(limits=replace(world.limits, nonce_seconds=1))


def test_whether_a_message_is_to_be_judged_here_shows_in_its_fields(world: DpopWorld) -> None:
    assert has_credential(world.headers())
    assert has_credential([(b"authorization", b"Bearer x")])
    assert has_credential([(b"dpop", b"x")])
    assert not has_credential([(b"signature", b"x")])


@pytest.mark.requirement("DPOP-04")
def test_a_prefix_that_a_proxy_takes_off_belongs_to_the_configured_url() -> None:
    world = DpopWorld(limits=DpopLimits(urls=frozenset({f"{URL}/agents/", "http://127.0.0.1:8765"})))
    for url in (f"{URL}/agents/mcp/crm", "http://127.0.0.1:8765/mcp/crm"):
        world.verify(world.headers(world.proof(url=url)))
    assert world.refused(world.headers(world.proof(url=f"{URL}/mcp/crm"))) == "dpop.url"


def test_a_proof_made_by_the_core_alone_is_accepted(world: DpopWorld) -> None:
    proof = dpop_proof(
        world.holder, method="POST", url=URL + TARGET.decode(), identifier="0123456789abcdef",
        issued_at=world.clock.now() // 1000, token=TOKEN, nonce=world.nonce(), message=BODY,
    )  # fmt: skip
    world.verify(world.headers(proof))
