"""What is kept of a delegation of duty that a passkey signed: all that a stranger needs to check it years later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.approval.duty_delegation import DutyTerms, duty_challenge, terms_in
from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import encode, parse
from answerable.core.identity.passkey import (
    PUBLIC_KEY_BYTES_MAX,
    asserted,
    assertion_in,
    check_algorithm,
    octets_in,
)
from answerable.errors import Malformed, Unverified

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.passkey import Passkey, PasskeyAssertion

PASSKEY_TYP: Final = "answerable-duty-passkey"
_CODE: Final = "duty.malformed"


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    typ: Literal["answerable-duty-passkey"]
    claims: dict[str, str | int]
    nonce: str
    key: str
    public_key: str
    rp_id: str
    origins: list[str]
    assertion: dict[str, str]


def kept_duty(
    terms: DutyTerms,
    *,
    nonce: bytes,
    passkey: Passkey,
    origins: tuple[str, ...],
    assertion: PasskeyAssertion,
) -> str:
    """The text that is kept of one that has been checked. Raises Malformed (`json.*`)."""
    members: dict[str, JSONValue] = {
        "typ": PASSKEY_TYP,
        "claims": terms.claims(),
        "nonce": to_base64url(nonce),
        "key": passkey.key,
        "public_key": to_base64url(passkey.public_key),
        "rp_id": passkey.rp_id,
        "origins": [*origins],
        "assertion": assertion.members(),
    }
    return encode(members).decode()


def verify_kept_duty(token: str) -> tuple[DutyTerms, str]:
    """Terms and thumbprint of the passkey that has signed them. Whose passkey it is is for who asks.

    Raises Malformed (`duty.malformed`, `passkey.malformed`, `json.*`), Unverified (`passkey.*`, `duty.key`).
    """
    try:
        kept = msgspec.convert(parse(token.encode()), _Kept)
    except msgspec.ValidationError as error:
        raise Malformed(f"it is no delegation by passkey: {error}".lower(), code=_CODE) from None
    nonce = from_base64url_32(kept.nonce)
    if nonce is None:
        raise Malformed("`nonce` must be 32 bytes, base64url", code=_CODE)
    terms = terms_in({**kept.claims})
    assertion = assertion_in({**kept.assertion})
    public_key = octets_in({"public_key": kept.public_key}, "public_key", PUBLIC_KEY_BYTES_MAX)
    if check_algorithm(public_key) != kept.key:
        raise Unverified("its key is not the one that it names", code="duty.key", step="duty")
    asserted(
        assertion,
        credential_id=assertion.credential_id,
        public_key=public_key,
        challenge=duty_challenge(terms, nonce),
        rp_id=kept.rp_id,
        origins=kept.origins,
    )
    return terms, kept.key
