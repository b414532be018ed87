"""The npm package oidc-provider as the authorization server of an API, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from joserfc.jwk import ECKey

from node_packages import OIDC_PROVIDER
from tests.probes.loud_skips import skip_loudly

PROGRAM = Path(__file__).with_suffix(".mjs")
OPAQUE = "https://crm.example/api"
"""A resource whose tokens say nothing: it asks the server about each."""
OFFLINE = "https://offline.example/api"
"""A resource whose tokens are JWTs, which it checks by itself."""
SECRET = "a client secret that is a canary"
SIGNER = ECKey.generate_key("P-256")


class AuthorizationServer:
    """issuer: its address."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.issuer = self._line()
        self.token_url = self.issuer + "/token"
        self.revocation_url = self.issuer + "/token/revocation"
        self.introspection_url = self.issuer + "/token/introspection"

    def tell(self, **what: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def introspected(self, token: str) -> Any:
        """As a resource asks: with a client of its own."""
        answer = httpx2.post(
            self.introspection_url,
            data={"token": token},
            auth=("resource", SECRET),
            trust_env=False,
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def token(self, scope: str, **more: Any) -> str:
        """One of the broker's client, by hand."""
        form = {"grant_type": "client_credentials", "scope": scope, "resource": OPAQUE, **more}
        answer = httpx2.post(
            self.token_url, data=form, auth=("broker", SECRET.replace(" ", "+")), trust_env=False, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the authorization server did not answer"
        return line


@contextlib.contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    """Running. Skips loudly where it is not installed."""
    if not OIDC_PROVIDER.is_ready():
        skip_loudly("the npm package oidc-provider", "./dev verifiers", name="npm")
    node, library = OIDC_PROVIDER.command()
    key = json.dumps({**SIGNER.as_dict(private=False), "use": "sig"})
    with subprocess.Popen(
        [node, str(PROGRAM), library, key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield AuthorizationServer(process)
        finally:
            process.terminate()
