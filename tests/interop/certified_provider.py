"""Certified OpenID providers, of the npm package oidc-provider: each signs whatever claims a test tells it, under keys
that it makes, and serves them by discovery. One process of Node has all of them."""

from __future__ import annotations

import contextlib
import functools
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

    def __init__(self, node: subprocess.Popen[str], path: str, algorithm: str) -> None:
        self._node = node
        self.issuer = self._told({"open": path, "algorithm": algorithm})

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

    def close(self) -> None:
        """Serve nothing more."""
        self._tell({"close": True})

    def _tell(self, what: Any) -> None:
        assert self._told({"to": self.issuer, **what}) == "done"

    def _told(self, what: Any) -> str:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps(what) + "\n")
        self._node.stdin.flush()
        line = self._node.stdout.readline().strip()
        assert line, "the provider did not answer"
        return line


@functools.cache
def _node() -> subprocess.Popen[str]:
    """It ends with this process, which closes its standard input."""
    node, library = OIDC_PROVIDER.command()
    return subprocess.Popen(
        [node, str(PROGRAM), library],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@contextlib.contextmanager
def certified_provider(path: str = "", algorithm: str = "RS256") -> Iterator[CertifiedProvider]:
    """Running; path: below which its issuer is. Skips loudly where it is not installed."""
    if not OIDC_PROVIDER.is_ready():
        skip_loudly("the npm package oidc-provider", "./dev verifiers", name="npm")
    made = CertifiedProvider(_node(), path, algorithm)
    try:
        yield made
    finally:
        made.close()
