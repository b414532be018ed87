"""Names of leases, and of their accounts at targets.

Laws: a name is 128 bits in 26 lower-case characters of base32 (RFC 4648, section 6, unpadded), which every target
accepts; the name of an action's lease encodes the action's id, so that a line in the target's log leads to the intent;
an account of ours is recognised by its prefix, and nothing else is ever taken for one.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from typing import Final, NewType

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_NAME

LeaseName = NewType("LeaseName", str)
"""The name of a lease: 26 letters and digits of base 32, made from 16 octets."""

NAME_BYTES: Final = 16
NAME_CHARS: Final = 26
ACCOUNT_PREFIX: Final = "ans_"

_NAME: Final = re.compile(r"[a-z2-7]{25}[aeimquy4]")
"""The last character holds three bits, so that a name has one spelling."""


def lease_name(octets: bytes) -> LeaseName:
    """Return the name for 16 octets: those of an action's id, or random ones. Raises ValueError for any other
    length."""
    if len(octets) != NAME_BYTES:
        raise ValueError("a lease is named by 16 octets")
    return LeaseName(b32encode(octets).decode().rstrip("=").lower())


def octets_of(name: LeaseName) -> bytes:
    """Return the octets from which `lease_name` made the name."""
    return b32decode(name.upper() + "======")


def checked_lease_name(text: str) -> LeaseName:
    """Validate an untrusted name. Raises Malformed (`lease.name`)."""
    if not _NAME.fullmatch(text):
        raise LEASE_NAME(f"{shown(text, 40)} is not the name of a lease: 26 characters of a-z and 2-7")
    return LeaseName(text)


def account_of(name: LeaseName) -> str:
    """Return the name of this lease's account at its target: 30 characters, a letter first."""
    return ACCOUNT_PREFIX + name


def lease_of(account: str) -> LeaseName | None:
    """Return the lease of an account; None for one that is not ours."""
    name = account.removeprefix(ACCOUNT_PREFIX)
    if name == account or not _NAME.fullmatch(name):
        return None
    return LeaseName(name)
