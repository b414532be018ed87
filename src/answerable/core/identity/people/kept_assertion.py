"""Store passkey signatures with everything that a third party needs to check them again years later.

Each statement that people sign by passkey stores these members beside its own, in one canonical JSON text: an answer,
its part of an answer to many, a review, a delegation of duty. Laws: the caller decides whose passkey it is and what the
challenge is made of; a text that names another key than the one that it contains is no evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.base64url import to_base64url
from answerable.core.identity.people.passkey import (
    PUBLIC_KEY_BYTES_MAX,
    asserted,
    assertion_in,
    check_algorithm,
    octets_in,
)
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.people.passkey import Passkey, PasskeyAssertion
    from answerable.errors import Unverified


class KeptAssertion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored passkey signature. nonce, public_key: base64url. key: thumbprint of the passkey. origins: origins of the
    pages at which the passkey may be used."""

    nonce: str
    key: str
    public_key: str
    rp_id: str
    origins: list[str]
    assertion: dict[str, str]


def assertion_members(
    passkey: Passkey, *, nonce: bytes, origins: tuple[str, ...], assertion: PasskeyAssertion
) -> dict[str, JSONValue]:
    """Return the members to store for a signature that has been checked."""
    return {
        "nonce": to_base64url(nonce),
        "key": passkey.key,
        "public_key": to_base64url(passkey.public_key),
        "rp_id": passkey.rp_id,
        "origins": [*origins],
        "assertion": assertion.members(),
    }


def check_kept(kept: KeptAssertion, challenge: bytes, *, other_key: Unverified) -> bytes:
    """Check that the stored passkey signed this challenge, and return its credential id. other_key: the error for a key
    that does not match the thumbprint.

    Raises Malformed (`passkey.malformed`), Unverified (`passkey.*`), `other_key`, Unavailable (`extra.missing`) if
    everything that can be checked without webauthn is valid.
    """
    assertion = assertion_in({**kept.assertion})
    public_key = octets_in({"public_key": kept.public_key}, "public_key", PUBLIC_KEY_BYTES_MAX)
    try:
        named = check_algorithm(public_key)
    except Unavailable:
        # Without webauthn the challenge, origin and flags are still checked; then `asserted` raises this error.
        named = kept.key
    if named != kept.key:
        raise other_key
    asserted(
        assertion,
        credential_id=assertion.credential_id,
        public_key=public_key,
        challenge=challenge,
        rp_id=kept.rp_id,
        origins=kept.origins,
    )
    return assertion.credential_id
