"""Attach the delegation chain in a file, read again for every message, to the shim's requests.

A hop lives for minutes, so the delegating agent rewrites the file; the shim never has to be restarted for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import httpx2

from answerable.core.identity.proof.http_signature import DELEGATION_HEADER
from answerable.errors import Unavailable, shown
from answerable.errors.codes.services import SHIM_DELEGATION

CHAIN_BYTES_MAX: Final = 262_144


class ReceivedAuth(httpx2.Auth):
    """Adds the chain to the request, covered by the proof of `inner`. A missing file stops the request.

    Raises Unavailable (`shim.delegation`) for a file that cannot be read or is too large.
    """

    requires_request_body = True

    def __init__(self, inner: httpx2.Auth, file: Path) -> None:
        self._inner = inner
        self._file = file

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Run httpx2's auth flow."""
        request.headers[DELEGATION_HEADER] = self._chain()
        flow = self._inner.async_auth_flow(request)
        try:
            sent = await anext(flow)
            while True:
                response = yield sent
                sent = await flow.asend(response)
        except StopAsyncIteration:
            return
        finally:
            await flow.aclose()

    def _chain(self) -> str:
        try:
            with self._file.open("rb") as file:
                content = file.read(CHAIN_BYTES_MAX + 1)
        except OSError as error:
            raise _unusable(f"cannot be read: {error.strerror}", self._file) from None
        text = content.decode("ascii", "replace").strip()
        if not text or len(content) > CHAIN_BYTES_MAX or not text.isprintable() or not text.isascii():
            raise _unusable("holds no chain of hops", self._file)
        return text


def _unusable(why: str, file: Path) -> Unavailable:
    return SHIM_DELEGATION(f"{shown(file.name)} {why}")
