"""Settings of HTTP targets and of model providers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.http_target.kind import HttpTargetSettings, faults_of
from answerable.adapters.model_provider.kind import ModelProviderSettings
from answerable.adapters.model_provider.kind import faults_of as model_faults
from answerable.wiring.target_kinds import kind_named

KEYED = HttpTargetSettings(base_url="https://crm.example/api", auth="api_key_header", secret="file:key")
OAUTH = HttpTargetSettings(
    base_url="https://crm.example/api",
    auth="client_credentials",
    token_url="https://login.example/token",
    client_id="broker",
    secret="file:client",
)
MODELS = ModelProviderSettings(base_url="https://models.example/v1", key="file:provider")


def test_both_kinds_are_known_and_need_no_library_of_their_own():
    assert kind_named("http").settings is HttpTargetSettings
    assert kind_named("model-provider").settings is ModelProviderSettings


@pytest.mark.parametrize(
    "settings", [KEYED, OAUTH, replace(OAUTH, auth="token_exchange", subject_token="file:s")]
)
def test_what_is_whole_has_no_faults(settings):
    assert faults_of(settings) == ()
    assert model_faults(MODELS) == ()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example",
        "ftp://crm.example",
        "http://crm.example",
        "http://10.0.0.1",
        "https://user@crm.example",
        "https://crm.example?x=1",
        "https://crm.example#x",
        "https://crm example",
        "https://crm.example:port",
        "https://169.254.169.254/latest",
        "https://metadata.google.internal./x",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://crm.example/\r\nx",
        "https://[broken",
    ],
)
def test_no_credential_goes_to_an_address_like_this(url):
    assert any(fault.startswith("base_url") for fault in faults_of(replace(KEYED, base_url=url)))
    assert any(fault.startswith("base_url") for fault in model_faults(replace(MODELS, base_url=url)))
    assert any(fault.startswith("token_url") for fault in faults_of(replace(OAUTH, token_url=url)))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:1", "https://10.0.0.1"]
)
def test_loopback_may_be_plain_and_private_addresses_are_the_owners_to_name(url):
    assert faults_of(replace(KEYED, base_url=url)) == ()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"auth": "magic"}, "auth"),
        ({"headers_let": ("host",)}, "headers_let"),
        ({"headers_let": ("Accept",)}, "headers_let"),
        ({"certificate": "file:c"}, "certificate_key"),
        ({"secret": ""}, "secret"),
        ({"secret_name": "a b"}, "secret_name"),
        ({"secret_prefix": "Bearer\r\n"}, "secret_prefix"),
        ({"auth": "basic"}, "secret_name"),
        ({"auth": "basic", "secret_name": "a:b"}, "secret_name"),
        ({"auth": "api_key_query"}, "secret_name"),
        ({"auth": "mtls"}, "certificate"),
    ],
)
def test_each_fault_of_standing_keys_is_named(changed, word):
    assert any(word in fault for fault in faults_of(replace(KEYED, **changed)))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_auth": "none"}, "client_auth"),
        ({"client_algorithm": "none"}, "client_algorithm"),
        ({"client_algorithm": "HS256"}, "client_algorithm"),
        ({"auth": "token_exchange"}, "subject_token"),
        ({"auth": "refresh_token"}, "refresh_token_file"),
        ({"refresh_token_file": "/kept"}, "refresh_token_file"),
        ({"auth": "refresh_token", "refresh_token_file": "kept"}, "absolute"),
        ({"tokens_file": "kept"}, "absolute"),
        (
            {
                "auth": "refresh_token",
                "refresh_token_file": "/kept",
                "revocation_url": "https://login.example/r",
            },
            "revocation_url",
        ),
        ({"is_introspected": True}, "is_introspected"),
        ({"revocation_url": "http://login.example"}, "revocation_url"),
        ({"introspection_url": "http://login.example"}, "introspection_url"),
    ],
)
def test_each_fault_of_oauth_is_named(changed, word):
    assert any(word in fault for fault in faults_of(replace(OAUTH, **changed)))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"api": "other"}, "api"),
        ({"limit_name": "n"}, "limit_name"),
        ({"key": ""}, "key"),
        ({"key_header": "a b"}, "key_header"),
        ({"prices": ("m 1",)}, "prices"),
        ({"prices": ("m 1 2",)}, "prices"),
        (
            {
                "prices": ("m 1 2", "m 1 2"),
                "prices_currency": "USD",
                "prices_day": "2026-11-28",
                "prices_source": "x",
            },
            "prices",
        ),
        (
            {
                "prices": ("m -1 2",),
                "prices_currency": "USD",
                "prices_day": "2026-11-28",
                "prices_source": "x",
            },
            "prices",
        ),
        (
            {
                "prices": ("m NaN 2",),
                "prices_currency": "USD",
                "prices_day": "2026-11-28",
                "prices_source": "x",
            },
            "prices",
        ),
        (
            {
                "prices": ("m 0.0000001 2",),
                "prices_currency": "USD",
                "prices_day": "2026-11-28",
                "prices_source": "x",
            },
            "prices",
        ),
        ({"prices_day": "yesterday"}, "prices_day"),
    ],
)
def test_each_fault_of_model_providers_is_named(changed, word):
    assert any(word in fault for fault in model_faults(replace(MODELS, **changed)))
