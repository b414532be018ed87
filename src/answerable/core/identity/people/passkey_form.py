"""Convert passkeys to and from JSON, as stored in the register, sealed in ledger entries and returned by listeners."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import UnixMillis, principal_id
from answerable.core.identity.people.passkey import (
    CREDENTIAL_ID_BYTES_MAX,
    PUBLIC_KEY_BYTES_MAX,
    TRANSPORTS,
    Passkey,
    check_algorithm,
    octets_in,
)
from answerable.core.identity.people.passkey_registration import checked_label
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.people import PASSKEY_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_RP_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?")
_AAGUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COUNT_MAX: Final = 2**32 - 1


def passkey_members(passkey: Passkey) -> dict[str, JSONValue]:
    """Return all stored members of a passkey."""
    return {
        "aaguid": passkey.aaguid,
        "attested": passkey.attested,
        "backup_eligible": passkey.backup_eligible,
        "created_at": passkey.created_at,
        "id": passkey.name,
        "label": passkey.label,
        "person": passkey.person,
        "public_key": to_base64url(passkey.public_key),
        "rp_id": passkey.rp_id,
        "sign_count": passkey.sign_count,
        "transports": [*passkey.transports],
    }


def passkey_in(members: JSONValue) -> Passkey:
    """Read what `passkey_members` wrote. Raises Malformed (`passkey.*`, `name.invalid`)."""
    if not isinstance(members, dict):
        raise PASSKEY_MALFORMED("a passkey is a JSON object")
    public_key = octets_in(members, "public_key", PUBLIC_KEY_BYTES_MAX)
    try:
        key = check_algorithm(public_key)
    except Unverified as fault:
        raise PASSKEY_MALFORMED(fault.message) from None
    transports = members.get("transports")
    if not isinstance(transports, list):
        raise PASSKEY_MALFORMED("`transports` is not a list")
    return Passkey(
        id=octets_in(members, "id", CREDENTIAL_ID_BYTES_MAX),
        public_key=public_key,
        key=key,
        person=principal_id(_text(members, "person")),
        label=checked_label(_text(members, "label")),
        rp_id=_matching(members, "rp_id", _RP_ID),
        aaguid=_matching(members, "aaguid", _AAGUID),
        sign_count=_count(members, "sign_count", _COUNT_MAX),
        backup_eligible=_flag(members, "backup_eligible"),
        transports=tuple(one for one in TRANSPORTS if one in transports),
        created_at=UnixMillis(_count(members, "created_at", 2**53 - 1)),
        attested=_flag(members, "attested"),
    )


def _text(members: Mapping[str, JSONValue], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise _odd(name)
    return value


def _matching(members: Mapping[str, JSONValue], name: str, form: re.Pattern[str]) -> str:
    value = _text(members, name)
    if not form.fullmatch(value):
        raise _odd(name)
    return value


def _count(members: Mapping[str, JSONValue], name: str, most: int) -> int:
    value = members.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise _odd(name)
    return value


def _flag(members: Mapping[str, JSONValue], name: str) -> bool:
    value = members.get(name)
    if not isinstance(value, bool):
        raise _odd(name)
    return value


def _odd(name: str) -> Malformed:
    return PASSKEY_MALFORMED(f"`{name}` of a passkey is not what it has to be")
