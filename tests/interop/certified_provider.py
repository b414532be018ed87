"""The npm package oidc-provider, a certified OpenID provider, in a process of its own: it signs whatever claims a test
tells it, under keys that it makes, and serves them by discovery."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from node_packages import OIDC_PROVIDER
from tests.probes.loud_skips import skip_loudly

PROGRAM = Path(__file__).with_name("oidc_provider.mjs")
AUDIENCE = "https://answerable.example"


class CertifiedProvider:
    """issuer: as its tokens and its discovery name it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.issuer = self._line()

    def token(self, *, audience: str = AUDIENCE, header: Any = None, **claims: Any) -> str:
        """A token of the client credentials grant (RFC 6749, section 4.4) for this resource (RFC 8707)."""
        self._tell(
            {"claims": {name.replace("__", "."): value for name, value in claims.items()}, "header": header}
        )
        answer = httpx2.post(
            self.issuer.rstrip("/") + "/token",
            data={"grant_type": "client_credentials", "resource": audience},
            auth=("workload", "not-a-secret"),
            trust_env=False,
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def rotate(self) -> None:
        """Sign with a new key; the old ones are still served."""
        self._tell({"rotate": True})

    def withdraw(self) -> None:
        """Serve the newest key alone."""
        self._tell({"withdraw": True})

    def _tell(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the provider did not answer"
        return line


@contextlib.contextmanager
def certified_provider(path: str = "", algorithm: str = "RS256") -> Iterator[CertifiedProvider]:
    """Running; path: below which its issuer is. Skips loudly where it is not installed."""
    if not OIDC_PROVIDER.is_ready():
        skip_loudly("the npm package oidc-provider", "./dev verifiers", name="npm")
    node, library = OIDC_PROVIDER.command()
    command = [node, str(PROGRAM), library, path, algorithm]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield CertifiedProvider(process)
        finally:
            process.terminate()
