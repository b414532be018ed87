"""People who log in at an OpenID provider that others wrote, and consent to one mandate each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.oidc import HttpIssuerKeys, issuer_source
from answerable.adapters.system import SystemClock
from answerable.core.identity.oidc_person import PersonIssuer
from answerable.core.identity.principal import UnixMillis
from answerable.core.mandate.mission import terms_nonce
from answerable.errors import AnswerableError, Unverified
from answerable.flows.apply_registry import apply_registry
from answerable.flows.issue_mandate import issue_mandate
from answerable.flows.verify_person import PersonVerifier
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import AUDIENCE, signing_key
from tests.mandate_world import bench, changed, documents, for_alice
from tests.oidc_provider import oidc_provider as running_provider
from tests.oidc_provider import tokens_of

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
    made.walk.people = PersonVerifier(clock=made.clock, keys=keys, issuers=(issuer,))
    known = changed(documents(), "Principal", "alice", oidc={"issuer": provider, "subject": SUBJECT})
    await apply_registry(made.walk, known, by="operator")
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
        mandate = await issue_mandate(made.walk, over(terms, shown))
        assert (mandate.principal, mandate.application) == ("alice", "portal")
        await made.act(mandate=mandate.id)
        for other in (now_terms(made, "m-2"), replace(terms, purpose="Refund everybody")):
            with pytest.raises(AnswerableError) as told:
                await issue_mandate(made.walk, over(other, shown))
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
            await issue_mandate(made.walk, over(terms, shown))
        assert told.value.code == code


async def test_a_token_made_for_nothing_in_particular_gives_nothing(provider: str):
    async with HttpIssuerKeys([issuer_source(provider)], clock=SystemClock()) as keys:
        made = await made_over(provider, keys)
        shown = tokens_of(provider, client=CLIENT, subject=SUBJECT)["id_token"]
        with pytest.raises(Unverified) as told:
            await issue_mandate(made.walk, over(now_terms(made), shown))
        assert told.value.code == "person.nonce"
