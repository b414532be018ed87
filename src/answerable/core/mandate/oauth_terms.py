"""Wire names from OAuth that the token service uses, each with its source.

RFC 6749, 7009, 7519, 7523, 7662, 8414, 8693, 8705, 8707, 9068, 9396, 9449, 9701, 9728 are final. `CLIENT_JWT_SPIFFE` is
from a draft (draft-ietf-oauth-spiffe-client-auth-02): if the draft renames it, only this file changes.
"""

from __future__ import annotations

from typing import Final

# RFC 8693
GRANT_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE_ACCESS: Final = "urn:ietf:params:oauth:token-type:access_token"
TYPE_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
# Ours: the id of a mandate, which is a name and not a credential. Only the agent of the mandate may exchange it.
TYPE_MANDATE: Final = "urn:answerable:params:oauth:token-type:mandate"

# Ours: a hop that lives longer than a token for actions, to be handed on from or exchanged.
TYPE_DELEGATION: Final = "urn:answerable:params:oauth:token-type:delegation"

# RFC 7523, section 2.2, and the draft
CLIENT_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_JWT_SPIFFE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

# RFC 6749, sections 5.1 and 7.1; RFC 9449, section 5; RFC 8693, section 2.2.1
DPOP: Final = "DPoP"
NOT_APPLICABLE: Final = "N_A"

# RFC 9701
INTROSPECTION_TYP: Final = "token-introspection+jwt"
INTROSPECTION_MEDIA_TYPE: Final = "application/token-introspection+jwt"

# draft-ietf-oauth-status-list-21
STATUS_LIST_MEDIA_TYPE: Final = "application/statuslist+jwt"

AUTH_PRIVATE_KEY_JWT: Final = "private_key_jwt"
AUTH_SPIFFE_JWT: Final = "spiffe_jwt"
AUTH_TLS: Final = "tls_client_auth"
AUTH_METHODS: Final = (AUTH_PRIVATE_KEY_JWT, AUTH_SPIFFE_JWT, AUTH_TLS)
SIGNING_ALGORITHMS: Final = ("ES256", "Ed25519")

AUTHORIZATION_DETAILS_TYPE: Final = "agent_delegation"

RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource"
"""Well-known path (RFC 9728, section 3), inserted before the path of the resource."""
