"""People who log in at an OpenID provider that others wrote, and consent to one mandate each."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from answerable.adapters.oidc import HttpIssuerKeys, issuer_source
from answerable.adapters.system import SystemClock
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.people.person_issuer import PersonIssuer
from answerable.core.mandate.mission import terms_nonce
from answerable.core.mandate.token import terms_of
from answerable.errors import AnswerableError, Unverified
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.verify_person import PersonVerifier
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key, public_jwk
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import AUDIENCE, signing_key
from tests.stand_ins.oidc_provider import oidc_provider as running_provider
from tests.stand_ins.oidc_provider import tokens_of
from tests.system.test_sidecar_tasks import documents as documents_of
from tests.worlds.gateway import modern, modern_headers
from tests.worlds.mandate import bench, changed, documents, for_alice
from tests.worlds.parts import to_apply, to_issue
from tests.worlds.up import OWNERSHIP, SETTINGS, WAIT_SECONDS_MAX, House, house

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import SigningKey

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MISSION-06")]

CLIENT = "answerable-client"
SUBJECT = "alice@example.test"


@pytest.fixture(scope="module")
def provider():
    with running_provider() as url:
        yield url


async def made_over(provider: str, keys: HttpIssuerKeys):
    """A bench whose registry knows alice as that provider does."""
    made = await bench()
    made.clock.advance((SystemClock().now() - made.clock.now()) // 1000)
    issuer = PersonIssuer(issuer=provider, audience=CLIENT, login_seconds_max=600)
    made.walk.asking.people = PersonVerifier(clock=made.clock, keys=keys, issuers=(issuer,))
    known = changed(documents(), "Principal", "alice", oidc={"issuer": provider, "subject": SUBJECT})
    await apply_registry(*to_apply(made.walk), known, by="operator")
    return made


def now_terms(made, identity: str = "m-app"):
    now = UnixMillis(made.clock.now())
    return replace(for_alice(identity), not_before=now, expires_at=UnixMillis(now + 3_600_000))


def over(terms, id_token: str) -> str:
    return signed_mandate(replace(terms, id_token=id_token), audience=AUDIENCE, key=signing_key("portal"))


async def test_a_person_who_logs_in_consents_to_one_mandate_through_an_application(provider: str):
    async with HttpIssuerKeys([issuer_source(provider)], clock=SystemClock()) as keys:
        made = await made_over(provider, keys)
        terms = now_terms(made)
        nonce = terms_nonce(terms, audience=AUDIENCE)
        shown = tokens_of(provider, client=CLIENT, subject=SUBJECT, nonce=nonce)["id_token"]
        mandate = await issue_mandate(*to_issue(made.walk), over(terms, shown))
        assert (mandate.principal, mandate.application) == ("alice", "portal")
        await made.act(mandate=mandate.id)
        for other in (now_terms(made, "m-2"), replace(terms, purpose="Refund everybody")):
            with pytest.raises(AnswerableError) as told:
                await issue_mandate(*to_issue(made.walk), over(other, shown))
            assert told.value.code in ("person.nonce", "mandate.duplicate")


@pytest.mark.parametrize(
    ("client", "subject", "code"),
    [("somebody-else", SUBJECT, "oidc.audience"), (CLIENT, "mallory@example.test", "mandate.other_person")],
)
async def test_a_token_of_another_client_or_person_gives_nothing(provider: str, client, subject, code):
    async with HttpIssuerKeys([issuer_source(provider)], clock=SystemClock()) as keys:
        made = await made_over(provider, keys)
        terms = now_terms(made)
        nonce = terms_nonce(terms, audience=AUDIENCE)
        shown = tokens_of(provider, client=client, subject=subject, nonce=nonce)["id_token"]
        with pytest.raises(AnswerableError) as told:
            await issue_mandate(*to_issue(made.walk), over(terms, shown))
        assert told.value.code == code


async def test_a_token_made_for_nothing_in_particular_gives_nothing(provider: str):
    async with HttpIssuerKeys([issuer_source(provider)], clock=SystemClock()) as keys:
        made = await made_over(provider, keys)
        shown = tokens_of(provider, client=CLIENT, subject=SUBJECT)["id_token"]
        with pytest.raises(Unverified) as told:
            await issue_mandate(*to_issue(made.walk), over(now_terms(made), shown))
        assert told.value.code == "person.nonce"


def served(provider: str, place: Path) -> str:
    """A CRM, a person known by that provider alone, and an application that gives tasks for one case."""
    known = documents_of(place, giver="writer", taker="scout")
    return (
        known.replace("keyFile: ada.pub.jwk", f"oidc: {{issuer: '{provider}', subject: '{SUBJECT}'}}")
        .replace(
            "purpose: Read two cases",
            "purpose: Read case {case}\n  parameters: [{name: case, pattern: '[0-9]{4}'}]",
        )
        .replace('["4711", "4712"]', '["{case}"]')
        + f"""---
apiVersion: answerable/v1
kind: Application
metadata: {{name: portal}}
spec: {{useCases: [support], keyFile: portal.pub.jwk, ownership: {OWNERSHIP}}}
"""
    )


async def read_by_writer(home: House, key: SigningKey, mandate: str, case: str) -> str:
    client, base = open_client(f"unix:{home.data / 'gateway.sock'}", SignatureAuth(key, mandate=mandate))
    body = modern("tools/call", {"name": "customer_read", "arguments": {"case_id": case}})
    named = modern_headers("tools/call", "customer_read").items()
    fields = {name.replace("_", "-"): value for name, value in named}
    fields |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    async with client, asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            answer = await client.post(f"{base}/mcp/crm", content=body, headers=fields)
            # The CRM was registered a moment ago.
            if "does not offer" not in answer.text:
                return answer.text
            await asyncio.sleep(0.1)


@pytest.mark.requirement("MISSION-07")
async def test_a_person_gives_a_task_through_an_application_and_the_whole_product_with_one_value(
    provider: str, tmp_path: Path
):
    settings = SETTINGS + f'person_issuers = ["{provider} {CLIENT} 600"]\n'
    keys = {name: create_key(tmp_path / f"{name}.jwk", seed=os.urandom(32)) for name in ("portal", "writer")}
    for name, key in keys.items():
        (tmp_path / f"{name}.pub.jwk").write_text(public_jwk(key))
    async with house(tmp_path, settings) as home:
        await home.start()
        await asyncio.to_thread(home.apply, served(provider, tmp_path))
        transport = httpx2.AsyncHTTPTransport(uds=str(home.data / "control.sock"))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=30
        ) as control:
            wanted = {"principal": "ada", "parameters": {"case": "4711"}, "application": "portal"}
            draft = (await control.post("/v1/templates/two-cases/draft", json=wanted)).json()
            # What the person reads before consenting, and what the provider binds the login to.
            said = " ".join(draft["sentences"])
            assert "Read case 4711" in said
            assert "cannot" in said
            shown = tokens_of(provider, client=CLIENT, subject=SUBJECT, nonce=draft["nonce"])["id_token"]

            async def given(**changes: object) -> httpx2.Response:
                terms = replace(terms_of(draft["claims"]), **{"id_token": shown, **changes})
                token = signed_mandate(terms, audience=draft["audience"], key=keys["portal"])
                return await control.post("/v1/mandates", json={"token": token})

            assert (await given(calls_max=9)).json()["code"] == "person.nonce"
            answer = await given()
            assert answer.status_code == 200, answer.text
            mandate = answer.json()["id"]
            assert "Amara Okafor" in await read_by_writer(home, keys["writer"], mandate, "4711")
            assert "case `4711` only" in await read_by_writer(home, keys["writer"], mandate, "4712")
        story = await asyncio.to_thread(home.command, "timeline", mandate)
        assert "ada" in story
        assert "portal" in story
