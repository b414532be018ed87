"""Wire names from the delegation drafts. If a draft renames something, only this file changes.

Revisions: Agent Delegation Chain is draft-asor-wimse-agent-delegation-chain, text of -02, which the published vectors
match; -03 (2026-10-27) was compared by its abstract only. That a child is signed by the key in its parent's `cnf` is
draft-nandakumar-wimse-delegator-bound-chains-00 (2026-11-16), known by its abstract only. That such a child's `iss` is
the thumbprint of that key is draft-niyikiza-oauth-attenuating-agent-tokens-01. `mission` is
draft-mcguinness-oauth-mission, state of 2026-06-30. The rest is ratified: RFC 7519, 7800, 8705, 9068, 9278, 9396, 9449.
"""

from __future__ import annotations

from typing import Final, Literal

# RFC 9068, section 2.1; RFC 7515, section 4.1.9, permits omitting the prefix.
TYP: Final = "at+jwt"
TYPES: Final = frozenset({TYP, "application/at+jwt"})

# RFC 7519, section 4.1; RFC 8693, section 4.3.
ISSUER: Final = "iss"
SUBJECT: Final = "sub"
AUDIENCE: Final = "aud"
EXPIRES: Final = "exp"
NOT_BEFORE: Final = "nbf"
ISSUED: Final = "iat"
JWT_ID: Final = "jti"
CLIENT: Final = "client_id"

# RFC 7800, section 3.2; RFC 9449, section 6.1; RFC 8705, section 3.1.
CONFIRMATION: Final = "cnf"
KEY: Final = "jwk"
KEY_THUMBPRINT: Final = "jkt"
CERTIFICATE_THUMBPRINT: Final = "x5t#S256"

# Ours: SHA-256, base64url, of the kernel's description of the peer process of a local socket.
PROCESS: Final = "answerable_process"
# Ours: the digest (hex) of the manifest that the instance was measured against; the instance; whether the token permits
# only one action.
MANIFEST: Final = "answerable_manifest"
INSTANCE: Final = "answerable_instance"
SINGLE_USE: Final = "answerable_single_use"
# Ours: the hop that a token was exchanged for, which is not part of the token's chain. Members: its hash, its spending
# limits, and where it was recorded before: entry, leaf hash and origin of the log.
CONSENT: Final = "answerable_consent"
CONSENT_HASH: Final = "hash"
CONSENT_LIMITS: Final = "limits"
CONSENT_ENTRY: Final = "entry"
CONSENT_LEAF: Final = "leaf"
CONSENT_LOG: Final = "log"

THUMBPRINT_URI: Final = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"
"""Prefix of the thumbprint of the signing key (RFC 9278, section 3): `iss` of a hop that no token service signed."""

# Agent Delegation Chain -02, section 3.
DEPTH: Final = "del_depth"
DEPTH_LIMIT: Final = "del_max_depth"
PARENT_HASH: Final = "par_hash"
CANONICAL_REMARK: Final = ("c14n", "JCS")
"""An optional header member and its only permitted value; it states a requirement that applies anyway."""

# Agent Delegation Chain -02, section 4; RFC 9396, section 2.
DETAILS: Final = "authorization_details"
DETAIL_TYPE: Final = "type"
DELEGATION: Final = "agent_delegation"
SCOPES: Final = "scopes"
CONSTRAINTS: Final = "constraints"
CONSTRAINT_KEY: Final = "key"

# Agent Delegation Chain -02, section 4.2: types of constraints.
MAX: Final = "max"
MIN: Final = "min"
ONE_OF: Final = "one_of"
NOT_ONE_OF: Final = "not_one_of"
PREFIX: Final = "prefix"
RANK: Final = "rank"
ORDER: Final = "order"
MAX_LIFETIME: Final = "max_lifetime"
MAX_SUBTREE: Final = "max_subtree"

# Mission-Bound Authorization, section "Mission claim".
MISSION: Final = "mission"
MISSION_ID: Final = "id"
AUTHORITY_HASH: Final = "authority_hash"

Outcome = Literal[
    "malformed",
    "non_canonical",
    "duplicate_member",
    "non_finite",
    "signature_invalid",
    "par_hash_mismatch",
    "depth_invalid",
    "principal_altered",
    "not_narrower",
    "expired",
    "holder_binding_failed",
    "revoked",
    "status_unknown",
    "audience_mismatch",
    "scope_not_granted",
    "ceiling_exceeded",
    "unknown_constraint",
    "mission_altered",
]
"""Outcomes of Agent Delegation Chain -02, section 5, in its order of checks; `mission_altered` is ours. The code of an
error is `delegation.` followed by one of these words."""
