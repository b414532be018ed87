"""Verify that an ID token names a registered issuer's person and was made for these terms (OpenID Connect)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.identity.people.oidc_person import (
    ShownPerson,
    other_issuer,
    unknown_issuer,
    verified_person,
)
from answerable.core.identity.workload.oidc_claims import token_hint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.people.person_issuer import PersonIssuer
    from answerable.ports.clock import Clock
    from answerable.ports.issuer_keys import IssuerKeys


class PersonVerifier:
    """Verifies ID tokens of people. Has its own issuers: an issuer of workloads does not vouch for people."""

    def __init__(self, *, clock: Clock, keys: IssuerKeys, issuers: Iterable[PersonIssuer]) -> None:
        self._clock = clock
        self._keys = keys
        self._issuers = {one.issuer: one for one in issuers}

    async def verify(self, token: str, *, nonce: str, issuer: str = "") -> ShownPerson:
        """Return the person that the token names.

        `nonce`: required in the token, the digest of what the person consents to. `issuer`: the issuer that was asked
        for the token and alone may have made it (OpenID Connect Core, section 3.1.3.7); empty for a token that an
        application brings.

        Raises Malformed (`oidc.malformed`), Unverified (`oidc.*`, `person.*`) and Unavailable (`issuer.*`).
        """
        hint = token_hint(token)
        if issuer and hint.issuer != issuer:
            raise other_issuer(hint.issuer, asked=issuer)
        terms = self._issuers.get(hint.issuer)
        if terms is None:
            raise unknown_issuer(hint.issuer)
        key_set = await self._keys.key_set(terms.issuer, kid=hint.kid)
        if key_set is None:
            raise unknown_issuer(hint.issuer)
        return verified_person(token, key_set=key_set, terms=terms, nonce=nonce, now=self._clock.now())
