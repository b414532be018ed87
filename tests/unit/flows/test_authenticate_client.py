"""Who asks the token service, by each way there is, and what of it a token may be bound to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.mandate import oauth_terms as oauth
from answerable.errors import Malformed, Refused, Unverified
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.tokens.authenticate_client import Asked, ClientAuthenticator, TokenClient
from answerable.flows.tokens.find_parent import confirmation_for
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh_replay_store
from answerable.testing.samples import signing_key

pytestmark = pytest.mark.anyio
ISSUER = "https://tokens.example"


async def authenticator(**parts: Any) -> tuple[Bench, ClientAuthenticator]:
    bench = await Bench().registered()
    known = KnownCallers(registry=bench.authority.registry)
    given: dict[str, Any] = {
        "verifier": SimpleNamespace(verify=lambda *_: CALLER),
        "known": known,
        "trust": SimpleNamespace(bundle=lambda _: None),
        "replay": fresh_replay_store(),
        "clock": bench.clock,
        "issuer": lambda: ISSUER,
    }
    return bench, ClientAuthenticator(**{**given, **parts})


CALLER = VerifiedCaller(
    agent=AgentId("scout"), proof="svid", binding="b", sequence=1, message_digest=bytes(32), at=0,
    certificate="C" * 43, identity=CallerIdentity(instance="spiffe://example.org/scout/1"),
)  # fmt: skip


def asked(*headers: tuple[bytes, bytes], **values: str) -> Asked:
    fields = tuple((name, b"x") for name in (b"content-digest", b"signature-input", b"signature"))
    return Asked(
        method="POST",
        target=b"/oauth/token",
        headers=((b"host", b"tokens.example"), *fields, *headers),
        body=b"",
        channel=None,
        values=values,
    )


async def test_what_the_gateway_takes_for_a_proof_is_one_here_with_all_that_it_proved():
    _, ours = await authenticator()
    client = ours.authenticate(asked())
    assert (client.agent, client.method, client.certificate, client.key) == ("scout", "svid", "C" * 43, "")
    for named in ("scout", "spiffe://example.org/scout/1"):
        assert ours.authenticate(asked(client_id=named)) == client
    with pytest.raises(Unverified, match="the proof is by another client") as told:
        ours.authenticate(asked(client_id="rover"))
    assert told.value.code == "client.subject"


@pytest.mark.parametrize("name", [b"authorization", b"proxy-authorization"])
async def test_a_secret_in_a_field_is_no_proof_even_beside_one(name):
    _, ours = await authenticator()
    with pytest.raises(Unverified) as told:
        ours.authenticate(asked((name, b"Basic x")))
    assert told.value.code == "client.credential"


async def test_a_statement_of_no_known_kind_or_without_its_text_is_malformed():
    _, ours = await authenticator()
    for values in (
        {"client_assertion_type": "urn:other", "client_assertion": "x"},
        {"client_assertion_type": oauth.CLIENT_JWT_BEARER},
        {"client_assertion_type": oauth.CLIENT_JWT_SPIFFE},
    ):
        with pytest.raises(Malformed) as told:
            ours.authenticate(asked(**values))
        assert told.value.code == "oauth.invalid_request"


async def test_a_jwt_svid_of_a_domain_that_is_not_trusted_is_refused():
    _, ours = await authenticator()
    values = {"client_assertion_type": oauth.CLIENT_JWT_SPIFFE, "client_assertion": "a.b.c"}
    with pytest.raises((Unverified, Malformed)):
        ours.authenticate(asked(**values))


async def test_a_token_is_bound_to_what_was_proved_and_to_nothing_that_was_named():
    bench, _ = await authenticator()
    desk = cast("Any", SimpleNamespace(known=KnownCallers(registry=bench.authority.registry)))
    now = bench.clock.now()

    def client(**proved: str) -> TokenClient:
        return TokenClient(agent=AgentId("scout"), identity=CallerIdentity(), method="x", **proved)

    own, other = signing_key("scout").public, signing_key("rover").public
    assert confirmation_for(desk, client(key=own.thumbprint), "", now).key == own
    assert confirmation_for(desk, client(certificate="C" * 43), own.thumbprint, now).key == own
    assert confirmation_for(desk, client(certificate="C" * 43), "", now).method == "x5t#S256"
    assert confirmation_for(desk, client(process="P" * 43), "", now).method == "answerable_process"
    with pytest.raises(Malformed, match="no key was proved that the token can be bound to"):
        confirmation_for(desk, client(), "", now)
    with pytest.raises(Refused, match="another agent or instance"):
        confirmation_for(desk, client(key=own.thumbprint), other.thumbprint, now)
    with pytest.raises(Unverified):
        confirmation_for(desk, client(), "unknown", now)
