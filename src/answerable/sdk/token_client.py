"""Request tokens from a token endpoint: OAuth grants for workloads, with tokens bound to the agent's key (RFC 9449).

    async with open_oauth_client() as client:
        http = OAuthHttp(client)
        server = await server_metadata(http, "https://gateway.example")
        tokens = TokenClient(server, PrivateKeyClient("support-agent", key), http=http, key=key)
        token = await tokens.exchange(TokenExchange(subject_token=..., subject_token_type=..., resource=...))

Laws:
- one request, one answer: only a server's demand for a nonce is answered, once, by the same request with new proofs; a
  refusal is final, and no other grant is tried;
- if a key was given, a token that is not bound to it is discarded;
- tokens and assertions appear in no error and in no `repr`, even if a server repeats them in its own message.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.action.token_shapes import hidden_in
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import JOSE_NAMES, TOKEN_CHARS_MAX
from answerable.core.identity.proof.dpop import NONCE_CHARS_MAX, dpop_proof
from answerable.core.mandate import oauth_terms as terms
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.tokens import (
    TOKEN_ACTOR_TYPE,
    TOKEN_ALGORITHM,
    TOKEN_ANSWER,
    TOKEN_REFUSED,
    TOKEN_UNAVAILABLE,
    TOKEN_UNBOUND,
)
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.sdk.client_identity import ClientIdentity
    from answerable.sdk.discovery import ServerMetadata
    from answerable.sdk.oauth_http import Answer, OAuthHttp

GRANT_CLIENT: Final = "client_credentials"
"""RFC 6749, section 4.4."""
GRANT_ASSERTION: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
"""RFC 7523, section 2.1."""
BEARER: Final = "Bearer"
UNKNOWN_LIFETIME_SECONDS: Final = 60
"""How long to use a token if the server does not state its lifetime."""
IDENTIFIER_BYTES: Final = 16

_NONCE: Final = re.compile(rf"[\x21\x23-\x5b\x5d-\x7e]{{1,{NONCE_CHARS_MAX}}}")
_TOKEN: Final = re.compile(rf"[A-Za-z0-9._~+/-]{{1,{TOKEN_CHARS_MAX}}}={{0,2}}")
_SCHEMES: Final = {name.lower(): name for name in (terms.DPOP, BEARER, terms.NOT_APPLICABLE)}
_USE_NONCE: Final = "use_dpop_nonce"
_SECRETS: Final = frozenset({"assertion", "subject_token", "actor_token", "consent", "delegation"})
_SECRET_CHARS_MIN: Final = 16
_DESCRIPTION_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token. scheme: `DPoP`, `Bearer`, or `N_A` for a token that is sent to no resource. ends_at: on
    `SystemAccess.monotonic`.

    authorization_details, delegation: from Answerable's own token service, else None and empty.
    """

    token: str = field(repr=False)
    scheme: str
    resource: str
    scope: str
    ends_at: float
    issued_token_type: str = ""
    authorization_details: JSONValue = None
    delegation: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """One token exchange (RFC 8693). consent, delegation: parameters of Answerable's own token service.

    subject_token_type, actor_token_type, requested_token_type: URNs of RFC 8693, section 3. authorization_details: as
    JSON values (RFC 9396).
    """

    subject_token: str = field(repr=False)
    subject_token_type: str
    actor_token: str = field(default="", repr=False)
    actor_token_type: str = ""
    consent: str = field(default="", repr=False)
    delegation: str = field(default="", repr=False)
    resource: str = ""
    scope: str = ""
    authorization_details: Sequence[Mapping[str, JSONValue]] = ()
    requested_token_type: str = ""


class TokenClient:
    """One client of one authorization server. Safe for concurrent requests."""

    def __init__(
        self,
        server: ServerMetadata,
        identity: ClientIdentity,
        *,
        http: OAuthHttp,
        key: SigningKey | None = None,
        world: SystemAccess = SYSTEM_WORLD,
    ) -> None:
        """key: the key to bind every token to. Without it, anyone who has a token can use it: omit the key only for
        servers without DPoP.

        Raises Malformed (`token.algorithm`) if the server does not accept proofs by such a key.
        """
        if key is not None:
            name = JOSE_NAMES[key.algorithm]
            if server.dpop_algorithms and name not in server.dpop_algorithms:
                taken = ", ".join(server.dpop_algorithms)
                raise TOKEN_ALGORITHM(
                    f"{shown(server.issuer)} does not accept proofs with algorithm {name}, only with "
                    f"{shown(taken)}"
                )
        self._server = server
        self._identity = identity
        self._http = http
        self._key = key
        self._world = world
        self._nonce = ""

    @property
    def issuer(self) -> str:
        """The authorization server's identifier."""
        return self._server.issuer

    async def client_credentials(self, *, resource: str, scope: str = "") -> AccessToken:
        """Request a token for the client itself. Raises as `exchange` does."""
        return await self._granted([("grant_type", GRANT_CLIENT)], resource, scope)

    async def jwt_bearer(self, assertion: str, *, resource: str, scope: str = "") -> AccessToken:
        """Request a token for another issuer's statement, such as a workload platform's (RFC 7523). Raises as
        `exchange` does."""
        return await self._granted(
            [("grant_type", GRANT_ASSERTION), ("assertion", assertion)], resource, scope
        )

    async def exchange(self, wanted: TokenExchange) -> AccessToken:
        """Exchange a token for another one.

        Raises Refused (`token.refused`; the first reason is OAuth's `error`), Unverified (step `token`:
        `token.unbound`, `token.answer`), Unavailable (`token.unavailable`, and the exceptions of `OAuthHttp.form`) and
        Malformed (`token.actor_type`).
        """
        if bool(wanted.actor_token) != bool(wanted.actor_token_type):
            raise TOKEN_ACTOR_TYPE()
        details = [dict(one) for one in wanted.authorization_details]
        fields = [
            ("grant_type", terms.GRANT_EXCHANGE),
            ("subject_token", wanted.subject_token),
            ("subject_token_type", wanted.subject_token_type),
            ("actor_token", wanted.actor_token),
            ("actor_token_type", wanted.actor_token_type),
            ("requested_token_type", wanted.requested_token_type),
            ("consent", wanted.consent),
            ("delegation", wanted.delegation),
            ("authorization_details", encode(list(details)).decode() if details else ""),
        ]
        return await self._granted(fields, wanted.resource, wanted.scope)

    async def _granted(self, grant: Sequence[tuple[str, str]], resource: str, scope: str) -> AccessToken:
        wanted = [*grant, ("resource", resource), ("scope", scope)]
        answer = await self._asked(wanted)
        if self._key is not None and answer.text("error") == _USE_NONCE and self._nonce:
            # Nothing has been granted or used up yet: repeat the same request, with a new proof and a new assertion.
            answer = await self._asked(wanted)
        return self._token(answer, wanted, resource, scope)

    async def _asked(self, wanted: Sequence[tuple[str, str]]) -> Answer:
        endpoint = self._server.token_endpoint
        identity = await self._identity.parameters(self._server.issuer)
        proof = ""
        if self._key is not None:
            proof = dpop_proof(
                self._key,
                method="POST",
                url=endpoint,
                identifier=to_base64url(self._world.random_bytes(IDENTIFIER_BYTES)),
                issued_at=int(self._world.unix_seconds()),
                nonce=self._nonce,
            )
        fields = [(name, value) for name, value in (*wanted, *identity) if value]
        answer = await self._http.form(endpoint, fields, proof=proof)
        self._nonce = usable_nonce(answer.nonce) or self._nonce
        return answer

    def _token(
        self, answer: Answer, wanted: Sequence[tuple[str, str]], resource: str, scope: str
    ) -> AccessToken:
        if answer.status != 200:
            raise self._refusal(answer, wanted)
        token, scheme = answer.text("access_token"), _SCHEMES.get(answer.text("token_type").lower(), "")
        if not _TOKEN.fullmatch(token) or not scheme:
            raise TOKEN_ANSWER(f"{shown(self.issuer)} answered without a token of a known type")
        if self._key is not None and scheme != terms.DPOP:
            raise TOKEN_UNBOUND(
                f"{shown(self.issuer)} issued a token that is not bound to this client's key (type "
                f"{scheme}): it is not used"
            )
        if self._key is None and scheme == terms.DPOP:
            raise TOKEN_UNBOUND(
                f"{shown(self.issuer)} bound the token to a key that this client did not prove"
            )
        seconds = answer.members.get("expires_in")
        lifetime = seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
        if lifetime is None or not math.isfinite(lifetime) or lifetime < 0:
            lifetime = UNKNOWN_LIFETIME_SECONDS
        return AccessToken(
            token=token,
            scheme=scheme,
            resource=resource,
            scope=answer.text("scope") or scope,
            ends_at=self._world.monotonic() + lifetime,
            issued_token_type=answer.text("issued_token_type"),
            authorization_details=answer.members.get("authorization_details"),
            delegation=answer.text("delegation"),
        )

    def _refusal(self, answer: Answer, sent: Sequence[tuple[str, str]]) -> Refused | Unavailable:
        error, described = answer.text("error"), _told(answer.text("error_description"), sent)
        if answer.status >= 500 or not error:
            what = f"status {answer.status}" + (f" ({shown(error, 60)})" if error else "")
            return TOKEN_UNAVAILABLE(f"{shown(self.issuer)} issued no token: {what}")
        why = shown(error, 60) + (f": {shown(described, _DESCRIPTION_CHARS_MAX)}" if described else "")
        return TOKEN_REFUSED(
            f"{shown(self.issuer)} issued no token: {why}",
            reasons=(error[:60], described[:_DESCRIPTION_CHARS_MAX]) if described else (error[:60],),
        )


def usable_nonce(value: str) -> str:
    """Return a server's nonce if it is well-formed (RFC 9449, section 8.1), else empty."""
    return value if _NONCE.fullmatch(value) else ""


def _told(description: str, sent: Sequence[tuple[str, str]]) -> str:
    """Return a server's description without anything that looks like a credential; empty if it repeats the client's
    own."""
    secrets = (value for name, value in sent if name in _SECRETS and len(value) >= _SECRET_CHARS_MIN)
    if any(secret[:_SECRET_CHARS_MIN] in description for secret in secrets):
        return ""
    return hidden_in(description.encode("utf-8", "replace"))[0].decode("utf-8", "replace")
