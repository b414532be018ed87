"""Port: the public keys of the issuers of workload tokens."""

from __future__ import annotations

from typing import Protocol


class IssuerKeys(Protocol):
    """Promises: only configured issuers are asked, at addresses that follow from the configuration, never from a token;
    keys are not used past the age their issuer allows, within our own bounds; an issuer is asked for a key that it did
    not show before at most once a minute, however many tokens name one. Each look-up ends within a limit of time.

    Raises only Unavailable (`issuer.unreachable`, `issuer.answer`).
    """

    async def key_set(self, issuer: str, *, kid: str) -> bytes | None:
        """The issuer's JWK Set (RFC 7517, section 5), unjudged; None when no such issuer is configured.

        kid: the key that is looked for; fetched anew when it is not in the set that is kept.
        """
        ...
