"""Build the JSON options of WebAuthn ceremonies for browsers (WebAuthn Level 3, 5.1.3 and 5.1.4; octets in
base64url)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.identity.people.passkey import ALGORITHMS
from answerable.flows.state.passkey_desk import CEREMONY_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.people.passkey import Passkey
    from answerable.flows.state.passkey_desk import Ceremony, PasskeyState

PRODUCT: Final = "Answerable"


def request_options(desk: PasskeyState, challenge: bytes, allowed: Sequence[Passkey]) -> dict[str, JSONValue]:
    """Return options for `navigator.credentials.get`. allowed: passkeys that may answer; empty for any discoverable
    one."""
    return {
        "challenge": to_base64url(challenge),
        "rpId": desk.rp_id,
        "userVerification": "required",
        "timeout": CEREMONY_SECONDS_MAX * 1000,
        "allowCredentials": [_described(one) for one in allowed],
    }


def creation_options(desk: PasskeyState, begun: Ceremony, *, display_name: str) -> dict[str, JSONValue]:
    """Return options for `navigator.credentials.create`: a discoverable credential with user verification."""
    person = begun.person
    # The user handle on the device must not identify the person (WebAuthn Level 3, 14.6.1).
    handle = sha256(f"answerable person {desk.rp_id} {person}".encode()).digest()
    return {
        "challenge": to_base64url(begun.challenge),
        "rp": {"id": desk.rp_id, "name": PRODUCT},
        "user": {"id": to_base64url(handle), "name": person, "displayName": display_name},
        "pubKeyCredParams": [{"type": "public-key", "alg": one} for one in ALGORITHMS],
        "timeout": CEREMONY_SECONDS_MAX * 1000,
        "excludeCredentials": [_described(one) for one in desk.register.of(person)],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "direct" if desk.roots else "none",
    }


def _described(one: Passkey) -> dict[str, JSONValue]:
    return {"type": "public-key", "id": one.name, "transports": [*one.transports]}
