"""The stored form of a delegation signed by passkey: everything an outside verifier needs to check it years later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.approval.deputy_statement import DutyTerms, duty_challenge, terms_in
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import encode, parse
from answerable.core.identity.people.kept_assertion import KeptAssertion, assertion_members, check_kept
from answerable.errors.codes.approval import DUTY_KEY, DUTY_MALFORMED

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.people.passkey import Passkey, PasskeyAssertion

PASSKEY_TYP: Final = "answerable-duty-passkey"


class _Kept(KeptAssertion, frozen=True, kw_only=True, forbid_unknown_fields=True):
    typ: Literal["answerable-duty-passkey"]
    claims: dict[str, str | int]


def kept_duty(
    terms: DutyTerms,
    *,
    nonce: bytes,
    passkey: Passkey,
    origins: tuple[str, ...],
    assertion: PasskeyAssertion,
) -> str:
    """Build the stored text of a verified delegation. Raises Malformed (`json.*`)."""
    members: dict[str, JSONValue] = {
        "typ": PASSKEY_TYP,
        "claims": terms.claims(),
        **assertion_members(passkey, nonce=nonce, origins=origins, assertion=assertion),
    }
    return encode(members).decode()


def verify_kept_duty(token: str) -> tuple[DutyTerms, str]:
    """Verify a stored delegation; return its terms and the thumbprint of the passkey that signed them. The caller
    checks whose passkey it is.

    Raises Malformed (`duty.malformed`, `passkey.malformed`, `json.*`), Unverified (`passkey.*`, `duty.key`).
    """
    try:
        kept = msgspec.convert(parse(token.encode()), _Kept)
    except msgspec.ValidationError as error:
        raise DUTY_MALFORMED(f"not a delegation of duty by passkey: {error}".lower()) from None
    nonce = from_base64url_32(kept.nonce)
    if nonce is None:
        raise DUTY_MALFORMED("`nonce` must be 32 bytes, base64url")
    terms = terms_in({**kept.claims})
    other = DUTY_KEY("its key is not the one it names")
    check_kept(kept, duty_challenge(terms, nonce), other_key=other)
    return terms, kept.key
