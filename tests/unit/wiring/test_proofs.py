"""The parts that judge holders of tokens, put together as the product does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from answerable.errors import Unverified
from answerable.flows.tokens.verify_dpop import BoundToken, DpopLimits, DpopVerifier
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.assemble import authorities_of
from answerable.wiring.proofs import FILE, opened_replay_store, token_holders
from answerable.wiring.settings import load_settings
from tests.worlds.dpop import BODY, TARGET, TOKEN, URL, DpopWorld
from tests.worlds.proof import ProofWorld, request


@pytest.mark.requirement("DPOP-05", "DPOP-08")
def test_all_processes_on_a_data_directory_remember_the_same_proofs(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    proofs = ProofWorld()
    world = DpopWorld(holder=proofs.crm_key, clock=proofs.clock)
    processes: list[DpopVerifier[None]] = [
        token_holders(
            proofs.verifier,
            store=opened_replay_store(settings, SeededEntropy(number), proofs.clock),
            limits=DpopLimits(urls=frozenset({URL})),
            token_of=lambda _: BoundToken(key=proofs.crm_key.public.thumbprint, content=None),
            clock=proofs.clock,
            entropy=proofs.entropy,
        )
        for number in range(2)
    ]
    assert settings.registers.database.with_name(FILE).is_file()
    assert processes[0].nonce_field() == processes[1].nonce_field()
    nonce = processes[0].nonce_field()[1].decode()
    headers = world.headers(world.proof(nonce=nonce))
    assert processes[1].verify("POST", TARGET, headers, BODY).token == TOKEN
    with pytest.raises(Unverified) as told:
        processes[0].verify("POST", TARGET, headers, BODY)
    assert told.value.code == "dpop.replay"
    # A signature that the gateway knows covers the message as well as a claim does.
    signed = proofs.signed(replace(request(body=BODY, mandate=""), target=TARGET))
    fields = [
        (b"host", signed.authority),
        (b"content-digest", signed.content_digest),
        (b"signature-input", signed.signature_input),
        (b"signature", signed.signature),
    ]
    bare = world.headers(world.proof(message=None, nonce=nonce))[1:]
    assert processes[0].verify("POST", TARGET, [*bare, *fields], BODY).key == proofs.crm_key.public.thumbprint


def test_a_caller_signs_for_a_local_name_or_for_an_allowed_host_bare_or_with_the_port(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    allowed = replace(settings, gateway=replace(settings.gateway, allowed_hosts=("Gateway.example",)))
    local = {"127.0.0.1", "localhost", "[::1]"}
    assert authorities_of(settings, None) == local
    assert authorities_of(allowed, ("127.0.0.1", 8443)) == {
        name + port for name in (*local, "gateway.example") for port in ("", ":8443")
    }
