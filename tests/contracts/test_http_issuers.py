"""What every credential issuer promises, by tokens of a real OAuth server and by standing keys, at an API that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.adapters.http_target.kind import HttpTargetSettings, built, faults_of
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract
from tests.stand_ins.authorization_server import AuthorizationServer, authorization_server
from tests.stand_ins.resource_server import ResourceServer, by_key, resource_server
from tests.worlds.http_target import (
    CANARY,
    SECRETS,
    OAuthBench,
    Secrets,
    StandingBench,
    api_of,
    oauth_settings,
    world,
)

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HTTPLEASE-01")]


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture(scope="module")
def api(server: AuthorizationServer) -> Iterator[ResourceServer]:
    with api_of(server) as running:
        yield running


class TestClientCredentials(CredentialIssuerContract):
    @pytest.fixture
    def bench(self, server: AuthorizationServer, api: ResourceServer, tmp_path: Path) -> OAuthBench:
        settings = oauth_settings(server, api, tokens_file=str(tmp_path / "tokens"))
        return OAuthBench(built(settings, world(SECRETS)), server, api)


class TestTokenExchange(CredentialIssuerContract):
    @pytest.fixture
    def bench(self, server: AuthorizationServer, api: ResourceServer) -> OAuthBench:
        secrets = Secrets({**SECRETS, "file:subject": server.token("read:case").encode()})
        settings = oauth_settings(server, api, auth="token_exchange", subject_token="file:subject")
        return OAuthBench(built(settings, world(secrets)), server, api)


class TestRefreshToken(CredentialIssuerContract):
    @pytest.fixture
    def bench(self, server: AuthorizationServer, api: ResourceServer, tmp_path: Path) -> OAuthBench:
        kept = tmp_path / "refresh"
        kept.touch(0o600)
        kept.write_text(server.tell(refresh=True)["refresh"])
        settings = oauth_settings(
            server,
            api,
            auth="refresh_token",
            refresh_token_file=str(kept),
            revocation_url="",
            introspection_url="",
            is_introspected=False,
        )
        return OAuthBench(built(settings, world(SECRETS)), server, api)


class TestApiKey(CredentialIssuerContract):
    @pytest.fixture
    def bench(self) -> Iterator[StandingBench]:
        with resource_server(by_key(CANARY, "x-key")) as api:
            settings = HttpTargetSettings(
                base_url=api.url, auth="api_key_header", secret="file:key", secret_name="x-key"
            )
            assert not faults_of(settings)
            yield StandingBench(built(settings, world(SECRETS)))
