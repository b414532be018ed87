"""An OpenID provider that others wrote, the PyPI package oidc-provider-mock, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port
from tests.worlds.attestation import AUDIENCE

SUBJECT = "workload@example.test"
STARTED_SECONDS_MAX = 60


@contextlib.contextmanager
def oidc_provider() -> Iterator[str]:
    """Its URL, for as long as it runs; skips loudly where it is not installed."""
    if find_spec("oidc_provider_mock") is None:
        skip_loudly("oidc-provider-mock", "./dev sets it up", name="oidc-provider-mock")
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", url.rpartition(":")[2]]
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as running:
        try:
            for _ in range(STARTED_SECONDS_MAX * 10):
                try:
                    httpx2.get(url + "/jwks", trust_env=False).raise_for_status()
                    break
                except httpx2.HTTPError:
                    assert running.poll() is None, "the provider did not start"
                    time.sleep(0.1)
            else:
                raise AssertionError("the provider did not answer in time")
            yield url
        finally:
            running.terminate()


def tokens_of(
    url: str, client: str = AUDIENCE, *, subject: str = SUBJECT, nonce: str = "n"
) -> dict[str, str]:
    """By the authorization code flow, as a browser and a client go it."""
    asked = {
        "client_id": client,
        "redirect_uri": "http://127.0.0.1:1/done",
        "response_type": "code",
        "scope": "openid email",
        "state": "s",
        "nonce": nonce,
    }
    answer = httpx2.post(
        url + "/oauth2/authorize",
        params=asked,
        data={"sub": subject},
        trust_env=False,
        follow_redirects=False,
    )
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"]}
    answer = httpx2.post(url + "/oauth2/token", data=given, auth=(client, "secret"), trust_env=False)
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found
