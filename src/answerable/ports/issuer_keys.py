"""Port: the public keys of the issuers of workload tokens."""

from __future__ import annotations

from typing import Protocol


class IssuerKeys(Protocol):
    """Promises: fetches keys only from configured issuers, at addresses derived from the configuration, never from a
    token; uses no key past the age that its issuer allows, within our own bounds; queries an issuer for an unknown key
    id at most once a minute, however many tokens name one. Each look-up ends within a time limit.

    Raises only Unavailable (`issuer.unreachable`, `issuer.answer`).
    """

    async def key_set(self, issuer: str, *, kid: str) -> bytes | None:
        """Return the issuer's JWK Set (RFC 7517, section 5), unverified; None when no such issuer is configured.

        kid: the key id needed; the set is fetched anew when the cached one does not contain it.
        """
        ...
