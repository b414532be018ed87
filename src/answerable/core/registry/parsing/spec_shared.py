"""Parsers shared by several kinds of specs: ownership, keys, names, patterns, dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Final

from answerable.core.identity.keys.keys import PublicKey, public_key
from answerable.core.identity.names.principal import checked_name
from answerable.core.registry.documents.fields import type_name
from answerable.core.registry.documents.ownership import AUDIT_LEVELS, Ownership
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import (
    DOCUMENT_DATE,
    DOCUMENT_DUPLICATE,
    DOCUMENT_PATTERN,
    DOCUMENT_TYPE,
)

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

INTEGER_MAX: Final = 2**53 - 1
OWNERSHIP_KEYS: Final = ("owner", "backupOwner", "approverGroup", "auditLevel", "reviewDate")
ARGUMENT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.$-]{0,63}|_[A-Za-z0-9.$-][A-Za-z0-9_.$-]{0,62}")
"""Names of arguments in policies and mandates. Two leading underscores are reserved for Cedar's own members."""
TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def ownership_in(spec: Fields) -> Ownership:
    """Read ownership. It may be incomplete: that keeps a thing from becoming active (REG-02) and is no fault of the
    document."""
    fields = spec.section("ownership", OWNERSHIP_KEYS, needed=False)
    level = fields.choice("auditLevel", AUDIT_LEVELS, default="") if fields.has("auditLevel") else ""
    return Ownership(
        owner=fields.text("owner", default="", check=name_of("principal")),
        backup_owner=fields.text("backupOwner", default="", check=name_of("principal")),
        approver_group=fields.text("approverGroup", default="", check=name_of("group")),
        audit_level=level,
        review_date=fields.text("reviewDate", default="", check=checked_date),
    )


def keys_in(spec: Fields) -> tuple[PublicKey, ...]:
    """Read the public keys listed under `keys`."""
    found: list[PublicKey] = []
    for index, item in enumerate(spec.items("keys")):
        if not isinstance(item, dict):
            spec.fault(f"expected a JWK, got {type_name(item)}", "keys", index, code=DOCUMENT_TYPE.id)
            continue
        try:
            key = public_key(item)
        except Malformed as error:
            spec.fault(error.message, "keys", index, code=error.code)
            continue
        if any(key.thumbprint == earlier.thumbprint for earlier in found):
            spec.fault("the same key is listed twice", "keys", index, code=DOCUMENT_DUPLICATE.id)
        found.append(key)
    return tuple(found)


def name_of(what: str) -> Callable[[str], str]:
    """Return a check that a text is a registry name."""
    return lambda text: checked_name(text, what=what)


def without_nul(text: str) -> None:
    """Refuse a NUL character, which would truncate the text in C programs. Raises Malformed (`document.pattern`)."""
    if "\x00" in text:
        raise DOCUMENT_PATTERN("text holds a zero character")


def on_one_line(text: str) -> None:
    """Check that the text is printable and on one line. Raises Malformed (`document.pattern`)."""
    if not text.isprintable():
        raise DOCUMENT_PATTERN("expected printable text on one line")


def minutes_of(text: str) -> int:
    """Convert a checked time of day to minutes after midnight."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def checked_date(text: str) -> None:
    """Check that the text is an ISO 8601 calendar date. Raises Malformed (`document.date`)."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        date.fromisoformat(text)
    except ValueError:
        raise DOCUMENT_DATE(f"{shown(text)} is not a date like `2027-01-31`") from None
