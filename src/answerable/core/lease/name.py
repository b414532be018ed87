"""What leases, and accounts at targets, are called.

Laws: a name is 128 bits in 26 lower-case characters of base32 (RFC 4648, section 6, unpadded), so that it fits whatever
a target allows; the name of an action's lease says which action, so that a line in the target's log leads to the
intent; an account of ours is known by its prefix, and nothing else is ever taken for one.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from typing import Final, NewType

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_NAME

LeaseName = NewType("LeaseName", str)

NAME_BYTES: Final = 16
NAME_CHARS: Final = 26
ACCOUNT_PREFIX: Final = "ans_"

_NAME: Final = re.compile(r"[a-z2-7]{25}[aeimquy4]")
"""The last character holds three bits, so that a name has one spelling."""


def lease_name(octets: bytes) -> LeaseName:
    """The name of 16 octets: those of an action's id, or random ones. Raises ValueError for any other length."""
    if len(octets) != NAME_BYTES:
        raise ValueError("a lease is named by 16 octets")
    return LeaseName(b32encode(octets).decode().rstrip("=").lower())


def octets_of(name: LeaseName) -> bytes:
    """The octets that `lease_name` made the name of."""
    return b32decode(name.upper() + "======")


def checked_lease_name(text: str) -> LeaseName:
    """Take a name from outside. Raises Malformed (`lease.name`)."""
    if not _NAME.fullmatch(text):
        raise LEASE_NAME(f"{shown(text, 40)} is not the name of a lease: 26 characters of a-z and 2-7")
    return LeaseName(text)


def account_of(name: LeaseName) -> str:
    """What the account of this lease is called at its target: 30 characters, a letter first."""
    return ACCOUNT_PREFIX + name


def lease_of(account: str) -> LeaseName | None:
    """Whose account this is; None for one that is not ours."""
    name = account.removeprefix(ACCOUNT_PREFIX)
    if name == account or not _NAME.fullmatch(name):
        return None
    return LeaseName(name)
