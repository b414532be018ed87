"""Wire names of DPoP. If the standard renames something, only this file changes.

RFC 9449 (September 2023) unless another source is named. Our own names are at the end.
"""

from __future__ import annotations

from typing import Final, Literal

# Section 4.1 and section 7.1: fields, scheme of `Authorization`.
PROOF_FIELD: Final = b"dpop"
AUTHORIZATION_FIELD: Final = b"authorization"
SCHEME: Final = "DPoP"
# Section 8 and section 9.
NONCE_FIELD: Final = b"dpop-nonce"
# RFC 9110, section 11.6.1.
CHALLENGE_FIELD: Final = b"www-authenticate"

# Section 4.2: header and claims of a proof.
TYPE: Final = "dpop+jwt"
HEADER_MEMBERS: Final = frozenset({"alg", "jwk", "typ"})
JTI: Final = "jti"
HTM: Final = "htm"
HTU: Final = "htu"
IAT: Final = "iat"
ATH: Final = "ath"
NONCE: Final = "nonce"

# Section 6.1 and RFC 8705, section 3.1: members of `cnf`.
KEY_THUMBPRINT: Final = "jkt"
CERTIFICATE_THUMBPRINT: Final = "x5t#S256"

# Section 5.1: names of server and client metadata.
ALGORITHMS_SUPPORTED: Final = "dpop_signing_alg_values_supported"
# Section 5: `token_type` of a token bound to a key.
TOKEN_TYPE: Final = "DPoP"  # noqa: S105 - the name of a kind of token

# Section 12.2 and section 7.1: values of `error`.
ChallengeError = Literal["invalid_token", "invalid_dpop_proof", "use_dpop_nonce"]

ALGORITHMS: Final = ("ES256", "Ed25519")
"""Algorithms that we sign with and advertise: RFC 7518, section 3.4, and RFC 9864, section 2.2."""
OLD_ED25519: Final = "EdDSA"
"""Name of Ed25519 in clients from before RFC 9864: accepted if the key is an Ed25519 key, never written."""

# Ours. RFC 9449 covers method and URL only; this claim covers the message, as `hta` does for arguments alone in
# draft-niyikiza-oauth-attenuating-agent-tokens-01.
MESSAGE: Final = "answerable/message"
"""Claim: SHA-256 of the body, in base64url without padding."""
