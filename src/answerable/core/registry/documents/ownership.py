"""Ownership of registered things (check REG-02: a thing that lacks any of these fields never becomes active)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AUDIT_LEVELS = ("standard", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The people who answer for a thing. Fields may be empty, so that `missing` can list what is missing.

    review_date: ISO 8601 date of the next review by the owner.
    """

    owner: str = ""
    backup_owner: str = ""
    approver_group: str = ""
    audit_level: str = ""
    review_date: str = ""

    def missing(self) -> tuple[str, ...]:
        """Return the names of the empty fields, as written in the documents."""
        named = {
            "owner": self.owner,
            "backupOwner": self.backup_owner,
            "approverGroup": self.approver_group,
            "auditLevel": self.audit_level,
            "reviewDate": self.review_date,
        }
        return tuple(name for name, value in named.items() if not value)


UNOWNED: Final = Ownership()
"""No owner yet."""
