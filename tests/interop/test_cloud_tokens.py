"""Tokens shaped like those of Kubernetes, GitHub, AWS, Google Cloud and Entra ID, which a certified provider signs."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from answerable.adapters.oidc import HttpIssuerKeys, issuer_source
from answerable.adapters.system import SystemClock
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import RegistrationEntry, matching_agent
from answerable.core.identity.workload.oidc_claims import IssuerTerms
from answerable.errors import AnswerableError, Unverified
from answerable.testing import ManualClock
from tests.interop.certified_provider import AUDIENCE, CertifiedProvider, certified_provider
from tests.worlds.attestation import attestor
from tests.worlds.token_shapes import AWS, AZURE_V2, CONTRADICTIONS, GCP, GITHUB, KUBERNETES, SHAPES, Shape

pytestmark = [pytest.mark.anyio]


@asynccontextmanager
async def judging(provider: CertifiedProvider, kind: str, *, clock: Any = None, audience: str = AUDIENCE):
    """Our attestation over the provider's discovery and keys."""
    clock = clock or SystemClock()
    terms: Any = IssuerTerms(issuer=provider.issuer, audience=audience, kind=kind)
    async with HttpIssuerKeys([issuer_source(provider.issuer)], clock=clock) as keys:
        yield attestor(keys=keys, issuers=(terms,), clock=clock)


def minted(provider: CertifiedProvider, shape: Shape, **changed: Any) -> str:
    claims = shape.with_claims(client_id=None, **changed)
    return provider.token(header=shape.header, **claims)


def shaped(found: Any) -> set[str]:
    return {one for one in found.selectors if not one.startswith("oidc:")}


async def refusal(desk: Any, text: str) -> str:
    with pytest.raises(AnswerableError) as told:
        await desk.oidc(text)
    assert text not in told.value.message
    return told.value.code


@pytest.mark.requirement("BYO-05", "ATTEST-07")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("name", SHAPES)
async def test_a_documented_token_of_a_certified_provider_gives_the_selectors_of_its_shape(name, algorithm):
    shape = SHAPES[name]
    with certified_provider(shape.path, algorithm) as provider:
        async with judging(provider, shape.kind) as desk:
            found = await desk.oidc(minted(provider, shape))
    assert (found.source, found.grade) == ("oidc", "gateway")
    assert shaped(found) == shape.gives
    assert {f"oidc:iss:{provider.issuer}", f"oidc:aud:{AUDIENCE}"} <= set(found.selectors)


@pytest.mark.requirement("BYO-05", "BYO-06")
@pytest.mark.parametrize("name", SHAPES)
async def test_what_a_shape_gives_comes_from_no_issuer_of_another_kind(name):
    shape = SHAPES[name]
    others = {one.kind for one in SHAPES.values()} - {shape.kind} | {"oidc"}
    with certified_provider(shape.path) as provider:
        for kind in sorted(others):
            async with judging(provider, kind) as desk:
                # Refused as unlike, or taken for what it is worth there.
                with suppress(Unverified):
                    assert not shaped(await desk.oidc(minted(provider, shape))) & shape.gives


@pytest.mark.requirement("BYO-06")
async def test_a_signed_token_that_contradicts_itself_or_is_of_a_person_is_refused():
    for path in sorted({SHAPES[name].path for name, _, _ in CONTRADICTIONS}):
        with certified_provider(path) as provider:
            for name, changed, code in CONTRADICTIONS:
                shape = SHAPES[name]
                if shape.path != path:
                    continue
                async with judging(provider, shape.kind) as desk:
                    assert await refusal(desk, minted(provider, shape, **changed)) == code, (name, changed)


@pytest.mark.requirement("BYO-06")
async def test_a_token_for_another_audience_or_for_others_as_well_is_refused():
    with certified_provider() as provider:
        async with judging(provider, "kubernetes") as desk:
            for audience in (
                "https://kubernetes.default.svc",
                [AUDIENCE, "https://others.example"],
                [],
                f"{AUDIENCE}/",
                AUDIENCE.upper(),
            ):
                text = minted(provider, KUBERNETES, aud=audience)
                assert await refusal(desk, text) == "oidc.audience"
            # The only one, in a list, is the same.
            assert await desk.oidc(minted(provider, KUBERNETES, aud=[AUDIENCE]))


@pytest.mark.requirement("BYO-06")
async def test_another_tenant_of_the_same_cloud_is_another_issuer():
    with certified_provider(AZURE_V2.path) as ours, certified_provider("/other-tenant/v2.0") as theirs:
        async with judging(ours, "azure") as desk:
            # Their own token, their token that says that it is ours, and ours that says it is of their tenant.
            assert await refusal(desk, minted(theirs, AZURE_V2, tid="other-tenant")) == "oidc.issuer"
            assert await refusal(desk, minted(theirs, AZURE_V2, iss=ours.issuer)) == "oidc.key"
            assert await refusal(desk, minted(ours, AZURE_V2, tid="other-tenant")) == "oidc.azure"
            # One address is not the beginning of another.
            assert await refusal(desk, minted(ours, AZURE_V2, iss=f"{ours.issuer}/")) == "oidc.issuer"


def entry(*selectors: str) -> list[RegistrationEntry]:
    return [RegistrationEntry(agent=AgentId("biller"), selectors=frozenset(selectors))]


@pytest.mark.requirement("BYO-06")
async def test_selectors_are_whole_values_so_that_no_name_passes_for_one_that_it_begins_with():
    with certified_provider() as provider:
        async with judging(provider, "github") as desk:
            known = entry("github:repository:acme/biller", "oidc:sub:repo:acme/biller:environment:production")
            for changed in (
                {"sub": "repo:acme/biller:environment:production-test"},
                {"sub": "repo:acme/biller-evil:environment:production", "repository": "acme/biller-evil"},
                {"sub": "repo:acme/biller:environment"},
                {"repository": "ACME/biller", "repository_owner": "ACME"},
                {"sub": "repo:acme/biller:environment:production "},
                {"sub": "REPO:acme/biller:environment:production"},
            ):
                found = await desk.oidc(minted(provider, GITHUB, **changed))
                assert matching_agent(known, found.selectors) is None, changed
            assert matching_agent(known, (await desk.oidc(minted(provider, GITHUB))).selectors) == "biller"


@pytest.mark.requirement("BYO-06")
async def test_a_pull_request_of_a_fork_is_told_from_a_push_to_the_protected_branch():
    """As documented: a fork's own runs are of its repository; what its pull request starts here is of ours."""
    protected = entry(
        "github:repository_id:74",
        "github:ref:refs/heads/main",
        "github:ref_protected:true",
        "github:event_name:push",
    )
    of_fork = {"repository": "evil/biller", "repository_owner": "evil", "repository_id": "666"}
    requested = {
        "sub": "repo:acme/biller:pull_request",
        "event_name": "pull_request",
        "ref": "refs/pull/7/merge",
        "ref_protected": "false",
        "head_ref": "main",
        "base_ref": "main",
        "environment": None,
    }
    # This event runs on the branch that the request is for, and sees what it is worth: only the event tells.
    on_target = {
        **requested,
        "event_name": "pull_request_target",
        "ref": "refs/heads/main",
        "ref_protected": "true",
    }
    with certified_provider(GITHUB.path) as provider:
        async with judging(provider, "github") as desk:
            for changed in (of_fork, requested, on_target, {**of_fork, **requested}):
                found = await desk.oidc(minted(provider, GITHUB, **changed))
                assert matching_agent(protected, found.selectors) is None, changed
            careless = entry("github:repository:acme/biller", "github:ref:refs/heads/main")
            found = await desk.oidc(minted(provider, GITHUB, **on_target))
            assert matching_agent(careless, found.selectors) == "biller"
            found = await desk.oidc(minted(provider, GITHUB))
            assert matching_agent(protected, found.selectors) == "biller"


@pytest.mark.requirement("BYO-06")
async def test_who_asked_for_a_token_is_not_what_it_was_asked_with():
    """`azp` names another workload; request tags are chosen by whoever asks: neither makes it somebody else."""
    with certified_provider() as provider:
        async with judging(provider, "gcp") as desk:
            known = entry("gcp:service_account_id:102837465564738291012")
            found = await desk.oidc(minted(provider, GCP, sub="999", azp="102837465564738291012", email=None))
            assert matching_agent(known, found.selectors) is None
        async with judging(provider, "aws") as desk:
            shape = SHAPES["aws"]
            about = {**shape.claims[AWS], "principal_tags": {}, "request_tags": {"environment": "production"}}
            found = await desk.oidc(minted(provider, shape, **{AWS: about}))
            assert matching_agent(entry("aws:tag.environment:production"), found.selectors) is None
            assert "production" not in " ".join(found.selectors)


@pytest.mark.requirement("BYO-05", "ATTEST-07")
async def test_keys_rotate_while_tokens_of_both_count_until_the_old_key_is_withdrawn():
    """The unknown key of a new token is fetched at once; a withdrawn one counts no longer than its copy may be kept."""
    clock = ManualClock(now=SystemClock().now())
    with certified_provider() as provider:
        async with judging(provider, "kubernetes", clock=clock) as desk:
            old = minted(provider, KUBERNETES)
            assert await desk.oidc(old)
            provider.rotate()
            clock.advance(61)
            new = minted(provider, KUBERNETES)
            assert await desk.oidc(new)
            assert await desk.oidc(old)
            provider.withdraw()
            clock.advance(61)
            assert await refusal(desk, signed_by_stranger(new)) == "oidc.key"
            assert await refusal(desk, old) == "oidc.key"
            assert await desk.oidc(new)


def signed_by_stranger(text: str) -> str:
    """The same token under a key id that nobody knows: it makes the keys be fetched anew."""
    head, rest = text.split(".", 1)
    header = json.loads(urlsafe_b64decode(head + "=="))
    made = urlsafe_b64encode(json.dumps({**header, "kid": "stranger"}).encode()).decode().rstrip("=")
    return f"{made}.{rest}"
