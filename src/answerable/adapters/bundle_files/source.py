"""Read a foreign trust domain's bundle from a local file that another program writes, and detect its changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from anyio import to_thread

from answerable.core.identity.svid.federation import bundle_unavailable
from answerable.core.identity.svid.trust_bundle import BUNDLE_BYTES_MAX, parse_bundle
from answerable.errors import Malformed, shown
from answerable.errors.codes.identity import BUNDLE_ANSWER, BUNDLE_MALFORMED, BUNDLE_UNREACHABLE
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from answerable.core.identity.svid.federation import FederationSource
    from answerable.core.identity.svid.trust_bundle import TrustBundle

LOOK_SECONDS: Final = 1.0
"""How often the file is checked for a change."""

_Seen: TypeAlias = "tuple[int, int, int, int] | None"


class FileBundle:
    """Implements ports.BundleEndpoint for a file. Anyone who can write the file controls the keys of the trust domain.

    Writers must write a temporary file and rename it: a half-written file raises an alarm until the next check.
    """

    def __init__(self, *, source: FederationSource, look_seconds: float = LOOK_SECONDS) -> None:
        self._source = source
        self._path = Path(source.address)
        self._look_seconds = look_seconds
        self._seen: _Seen = None

    @property
    def source(self) -> FederationSource:
        """The federation source that this endpoint reads."""
        return self._source

    async def fetch(self) -> TrustBundle:
        document = await to_thread.run_sync(self._read)
        try:
            return parse_bundle(document, domain=self._source.trust_domain)
        except Malformed as fault:
            raise bundle_unavailable(
                self._source.trust_domain, fault.message, code=BUNDLE_MALFORMED
            ) from None

    async def wait(self, seconds: float) -> None:
        """Return when the file differs from the version last read, or after `seconds`."""
        with anyio.move_on_after(seconds):
            while True:
                await anyio.sleep(self._look_seconds)
                if await to_thread.run_sync(self._look) != self._seen:
                    return

    def _read(self) -> bytes:
        domain, path = self._source.trust_domain, shown(self._path)
        try:
            with open_plain(self._path) as file:
                self._seen = _seen(os.fstat(file.fileno()))
                document = file.read(BUNDLE_BYTES_MAX + 1)
        except OSError as error:
            self._seen = self._look()
            raise bundle_unavailable(domain, f"{path}: {error.strerror}", code=BUNDLE_UNREACHABLE) from None
        if len(document) > BUNDLE_BYTES_MAX:
            raise bundle_unavailable(domain, f"more than {BUNDLE_BYTES_MAX} bytes", code=BUNDLE_ANSWER)
        return document

    def _look(self) -> _Seen:
        try:
            return _seen(self._path.stat())
        except OSError:
            return None


def _seen(about: os.stat_result) -> tuple[int, int, int, int]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
