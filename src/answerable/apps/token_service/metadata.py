"""Build the metadata of the token service (RFC 8414) and of each server behind the gateway (RFC 9728)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.mandate import oauth_terms as terms

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

AS_METADATA: Final = "/.well-known/oauth-authorization-server"
RESOURCE_METADATA: Final = terms.RESOURCE_METADATA
PREFIX: Final = "/oauth/"
TOKEN: Final = PREFIX + "token"
INTROSPECT: Final = PREFIX + "introspect"
REVOKE: Final = PREFIX + "revoke"
KEYS: Final = PREFIX + "jwks"
STATUS: Final = PREFIX + "status/"
SERVERS: Final = "/mcp/"


def issuer_metadata(issuer: str) -> dict[str, JSONValue]:
    """Return the server metadata (RFC 8414, section 2). There is no authorization endpoint: workloads authenticate, and
    nobody logs in here."""
    methods: list[JSONValue] = list(terms.AUTH_METHODS)
    algorithms: list[JSONValue] = list(terms.SIGNING_ALGORITHMS)
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN,
        "introspection_endpoint": issuer + INTROSPECT,
        "revocation_endpoint": issuer + REVOKE,
        "jwks_uri": issuer + KEYS,
        "grant_types_supported": [terms.GRANT_EXCHANGE],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_details_types_supported": [terms.AUTHORIZATION_DETAILS_TYPE],
        "dpop_signing_alg_values_supported": algorithms,
        "tls_client_certificate_bound_access_tokens": True,
        "status_list_aggregation_endpoint": issuer + STATUS.rstrip("/"),
        "protected_resources": [issuer],
    }


def resource_metadata(issuer: str, server: str) -> dict[str, JSONValue]:
    """Return the metadata (RFC 9728, section 2) of one server behind the gateway, or of the gateway for an empty
    name."""
    algorithms: list[JSONValue] = list(terms.SIGNING_ALGORITHMS)
    return {
        "resource": resource_of(issuer, server),
        "authorization_servers": [issuer],
        "bearer_methods_supported": [],
        "authorization_details_types_supported": [terms.AUTHORIZATION_DETAILS_TYPE],
        "dpop_signing_alg_values_supported": algorithms,
        "dpop_bound_access_tokens_required": True,
        "tls_client_certificate_bound_access_tokens": True,
    }


def resource_of(issuer: str, server: str) -> str:
    """Return the identifier by which tokens name a server behind this gateway (RFC 8707)."""
    return f"{issuer}{SERVERS}{server}" if server else issuer
