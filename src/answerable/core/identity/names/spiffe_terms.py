"""Wire names from the SPIFFE standards. If a standard renames something, only this file changes.

Only the messages of the Workload API and the Broker API have tables of their own, beside the code that encodes them.

Revision: spiffe/spiffe at 665a28f3253ecdce59f26f3ef29c0d6408b37c3d, 2026-07-01, in which all standards but WIT-SVID and
the Broker API are stable, and those two are incubating. What WIT-SVID takes from WIMSE follows
draft-ietf-wimse-workload-creds, state of 2026-08-06.
"""

from __future__ import annotations

from typing import Final, Literal

REVISION: Final = "665a28f3253ecdce59f26f3ef29c0d6408b37c3d"
"""Commit of spiffe/spiffe that the names come from."""

# SPIFFE Trust Domain and Bundle (stable), sections 4.1, 4.2 and 5.1.
KEYS: Final = "keys"
SEQUENCE: Final = "spiffe_sequence"
REFRESH_HINT: Final = "spiffe_refresh_hint"
TRUST_DOMAINS: Final = "trust_domains"

# `use` of a key: X509-SVID (stable), section 6.1; JWT-SVID (stable), 6.1; WIT-SVID (incubating), 6.1.
Use = Literal["x509-svid", "jwt-svid", "wit-svid"]
X509_SVID_USE: Final[Use] = "x509-svid"
JWT_SVID_USE: Final[Use] = "jwt-svid"
WIT_SVID_USE: Final[Use] = "wit-svid"

# RFC 7517, section 4, and RFC 7518, section 6: members of a key.
KTY: Final = "kty"
USE: Final = "use"
KID: Final = "kid"
ALG: Final = "alg"
X5C: Final = "x5c"
KEY_OPS: Final = "key_ops"
VERIFY: Final = "verify"
SIGNING_USE: Final = "sig"

# JWT-SVID, section 2.1, and WIT-SVID, sections 2.3 and 3.2: the nine permitted algorithms, by kind of key.
EC_ALGORITHMS: Final[dict[str, str]] = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ISSUED_ALGORITHM: Final = "ES256"
"""The algorithm that our own authorities sign with."""

# JWT-SVID, section 2.3; RFC 7519, section 4.1.
TYP: Final = "typ"
JWT_TYPE: Final = "JWT"
JWT_TYPES: Final = frozenset({"JWT", "JOSE"})
SUBJECT: Final = "sub"
AUDIENCE: Final = "aud"
EXPIRES: Final = "exp"
ISSUED: Final = "iat"
NOT_BEFORE: Final = "nbf"
ISSUER: Final = "iss"
JWT_ID: Final = "jti"

# JWT-SVID, section 3, and WIT-SVID, section 3.8, permit further claims with collision-resistant names (RFC 7519,
# section 2). A UUID makes ours so.
MANIFEST: Final = "answerable-manifest-7be24ac8-aab4-4c11-86fa-4137e7538c1a"
"""The manifest that the workload was measured against, as stated by the trust domain in `sub`: `{digest, drifted,
grade}`."""

# WIT-SVID (incubating), sections 2.2 and 3.2; RFC 7800, section 3.2.
WIT_TYPE: Final = "wit+jwt"
CONFIRMATION: Final = "cnf"
CONFIRMED_KEY: Final = "jwk"

# Workload Endpoint (stable), sections 3 and 4; Workload API (stable), section 5. The service has no package.
ENDPOINT_SOCKET: Final = "SPIFFE_ENDPOINT_SOCKET"
WORKLOAD_HEADER: Final = "workload.spiffe.io"
WORKLOAD_API: Final = "SpiffeWorkloadAPI"

# Broker Endpoint and Broker API (incubating), section 3, and sections 3.1 and 4.8 (errors).
BROKER_HEADER: Final = "broker.spiffe.io"
BROKER_PACKAGE: Final = "spiffe.broker"
BROKER_SERVICE: Final = "API"
BROKER_API: Final = f"{BROKER_PACKAGE}.{BROKER_SERVICE}"
PID_REFERENCE: Final = f"{BROKER_PACKAGE}.WorkloadPIDReference"
REFERENCE_INVALID: Final = "WORKLOAD_REFERENCE_INVALID"
WORKLOAD_NOT_FOUND: Final = "WORKLOAD_NOT_FOUND"
WORKLOAD_NOT_ENTITLED: Final = "WORKLOAD_NOT_ENTITLED"
ERROR_DOMAIN: Final = "spiffe.io"
