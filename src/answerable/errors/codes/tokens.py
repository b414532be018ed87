"""Error codes of OAuth tokens, proofs of possession, and clients that request tokens."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

CLIENT_ALGORITHM = UnverifiedCode("client.algorithm", "algorithm … is not accepted", step="client")
CLIENT_AUDIENCE = UnverifiedCode(
    "client.audience", "audience of the assertion must be … alone", step="client"
)
CLIENT_CREDENTIAL = UnverifiedCode(
    "client.credential", "expected one `Authorization: Bearer` with a signed statement", step="client"
)
CLIENT_FORGOTTEN = UnverifiedCode(
    "client.forgotten",
    "the assertion is too old to be checked for reuse: sign a new one, with `iat`",
    step="client",
)
CLIENT_MALFORMED = MalformedCode("client.malformed", "an assertion has at most … characters")
CLIENT_REPLAY = UnverifiedCode(
    "client.replay", "the assertion was used before: sign a new one", step="client"
)
CLIENT_SIGNATURE = UnverifiedCode("client.signature", "the signature is invalid", step="client")
CLIENT_SUBJECT = UnverifiedCode(
    "client.subject", "`iss` and `sub` of the assertion must both name the client", step="client"
)
CLIENT_TIME = UnverifiedCode(
    "client.time", "`exp` of the assertion must be within the next … s", step="client"
)
CLIENT_TLS = MalformedCode(
    "client.tls",
    "cannot use … or its key: expected certificates and keys in PEM, without a password",
)
CLIENT_TYPE = UnverifiedCode("client.type", "`typ` of the assertion must be `JWT` or absent", step="client")

DISCOVERY_INSECURE = UnverifiedCode(
    "discovery.insecure",
    "… is not used: expected `https`, or `http` on loopback if a server on loopback names it",
    step="discovery",
)
DISCOVERY_ISSUER = UnverifiedCode(
    "discovery.issuer", "issuer of the metadata is …, expected …: they are not used", step="discovery"
)
DISCOVERY_MALFORMED = UnverifiedCode(
    "discovery.malformed", "… names no authorization server", step="discovery"
)
DISCOVERY_MISSING = UnverifiedCode(
    "discovery.missing", "… publishes no metadata (RFC 9728)", step="discovery"
)
DISCOVERY_ORIGIN = UnverifiedCode(
    "discovery.origin", "… names metadata of another origin: …", step="discovery"
)
DISCOVERY_RESOURCE = UnverifiedCode(
    "discovery.resource", "resource of the metadata is …, expected …: no token is requested", step="discovery"
)
DISCOVERY_UNTRUSTED = UnverifiedCode(
    "discovery.untrusted", "… requires tokens of issuer …, which is not trusted here", step="discovery"
)

DPOP_ALGORITHM = UnverifiedCode("dpop.algorithm", "algorithm … is not accepted", step="dpop")
DPOP_BINDING = UnverifiedCode(
    "dpop.binding", "the token is bound to another key than the one that made the proof", step="dpop"
)
DPOP_CREDENTIAL = UnverifiedCode(
    "dpop.credential", "expected one Authorization field of at most … characters", step="dpop"
)
DPOP_KEY = UnverifiedCode("dpop.key", "`jwk` of the proof is not a key", step="dpop")
DPOP_LIMITS = MalformedCode("dpop.limits", "a key for nonces has at least … bytes, got …")
DPOP_MALFORMED = UnverifiedCode(
    "dpop.malformed", "the claims of the proof are not a JSON object", step="dpop"
)
DPOP_MALFORMED_MALFORMED = MalformedCode(
    DPOP_MALFORMED.id, "the header must have `typ`, `alg` and `jwk`, and nothing else"
)
DPOP_MESSAGE = UnverifiedCode(
    "dpop.message", "the proof does not cover the message: add `…`, or sign the message", step="dpop"
)
DPOP_METHOD = UnverifiedCode("dpop.method", "`htm` of the proof must be …", step="dpop")
DPOP_NONCE = UnverifiedCode(
    "dpop.nonce", "the proof has no valid nonce: use the one in this response", step="dpop"
)
DPOP_QUOTA = UnverifiedCode("dpop.quota", "too many proofs at a time: open a session instead", step="dpop")
DPOP_REPLAY = UnverifiedCode("dpop.replay", "the proof was used before", step="dpop")
DPOP_SIGNATURE = UnverifiedCode("dpop.signature", "the signature of the proof is invalid", step="dpop")
DPOP_TIME = UnverifiedCode(
    "dpop.time", "`iat` of the proof is more than … s from this server's clock", step="dpop"
)
DPOP_TOKEN = UnverifiedCode("dpop.token", "`ath` of the proof does not match the access token", step="dpop")
DPOP_TYPE = UnverifiedCode("dpop.type", "expected a proof of type …, got …", step="dpop")
DPOP_URL = UnverifiedCode(
    "dpop.url", "`htu` of the proof is none of this server's URLs for the request target", step="dpop"
)

ISSUER_ANSWER = UnavailableCode("issuer.answer", "provider … answered with …", port="issuer_keys")
ISSUER_UNREACHABLE = UnavailableCode("issuer.unreachable", "provider … was not reached: …", port="console")
ISSUER_URL = MalformedCode("issuer.url", "… is not an https URL")

OAUTH_ANSWER = MalformedCode("oauth.answer", "the authorization server's answer is not valid: …")
OAUTH_ANSWER_UNAVAILABLE = UnavailableCode(
    OAUTH_ANSWER.id, "… answered with …", port="authorization_server", effect="unknown"
)
OAUTH_FAILED = BrokenCode("oauth.failed", "internal error: see the server's log")
OAUTH_INVALID_AUTHORIZATION_DETAILS = MalformedCode(
    "oauth.invalid_authorization_details", "`authorization_details` must be a list of one `…`"
)
OAUTH_INVALID_AUTHORIZATION_DETAILS_REFUSED = RefusedCode(
    OAUTH_INVALID_AUTHORIZATION_DETAILS.id,
    "none of the requested scopes can be granted: available are …",
)
OAUTH_INVALID_GRANT = RefusedCode(
    "oauth.invalid_grant",
    "the token was issued to agent …: `consent` must be a hop that this agent signed for you",
)
OAUTH_INVALID_REQUEST = MalformedCode("oauth.invalid_request", "query parameters are not accepted here")
OAUTH_INVALID_SCOPE = RefusedCode(
    "oauth.invalid_scope", "scope … is not within the scopes of the parent or of `authorization_details`"
)
OAUTH_INVALID_TARGET = MalformedCode(
    "oauth.invalid_target", "a token is for one resource: give one `resource`"
)
OAUTH_INVALID_TARGET_REFUSED = RefusedCode(OAUTH_INVALID_TARGET.id, "the parent token is for …, not for …")
OAUTH_KEY = MalformedCode("oauth.key", "the key does not fit algorithm …")
OAUTH_SLOW = UnavailableCode(
    "oauth.slow", "… did not answer completely within … seconds", port="authorization_server"
)
OAUTH_UNREACHABLE = UnavailableCode(
    "oauth.unreachable", "… cannot be reached: …", port="authorization_server"
)
OAUTH_UNSUPPORTED_GRANT_TYPE = MalformedCode(
    "oauth.unsupported_grant_type", "grant type … is not served: use …"
)

TOKEN_ACTOR_TYPE = MalformedCode(
    "token.actor_type", "an actor token needs its type, and the type needs a token (RFC 8693, section 2.1)"
)
TOKEN_ALGORITHM = MalformedCode("token.algorithm", "… does not accept proofs with algorithm …, only with …")
TOKEN_ANSWER = UnverifiedCode("token.answer", "… answered without a token of a known type", step="token")
TOKEN_ANSWER_UNAVAILABLE = UnavailableCode(
    TOKEN_ANSWER.id,
    "the answer is not from a token service: check the address of the gateway",
    port="gateway",
)
TOKEN_DUPLICATE = MalformedCode(
    "token.duplicate", "token … or its place in a status list is registered already"
)
TOKEN_ELSEWHERE = MalformedCode("token.elsewhere", "… is not on …: the token is not sent to it")
TOKEN_LIMITS = MalformedCode(
    "token.limits",
    "access tokens are valid for at most … seconds by tier 0 to …: settings may only lower these",
)
TOKEN_PARENT = MalformedCode("token.parent", "the parent of token … is not known or has ended")
TOKEN_REFUSED = RefusedCode("token.refused", "the token service refused: …")
TOKEN_UNAVAILABLE = UnavailableCode("token.unavailable", "… issued no token: …", port="authorization_server")
TOKEN_UNBOUND = UnverifiedCode(
    "token.unbound", "the token is not bound to this client's key (type …): it is not sent", step="token"
)
TOKEN_UNREACHABLE = UnavailableCode(
    "token.unreachable", "the token service cannot be reached (…)", port="gateway"
)
