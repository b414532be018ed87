"""Who answers for a registered thing (check REG-02: lacking any of these, it never becomes active)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AUDIT_LEVELS = ("standard", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Empty fields are allowed here, so that what is missing can be listed; `missing` says which.

    review_date: ISO 8601 date by which the owner looks at it again.
    """

    owner: str = ""
    backup_owner: str = ""
    approver_group: str = ""
    audit_level: str = ""
    review_date: str = ""

    def missing(self) -> tuple[str, ...]:
        """Names of the fields that are still empty, as written in the documents."""
        named = {
            "owner": self.owner,
            "backupOwner": self.backup_owner,
            "approverGroup": self.approver_group,
            "auditLevel": self.audit_level,
            "reviewDate": self.review_date,
        }
        return tuple(name for name, value in named.items() if not value)


UNOWNED: Final = Ownership()
"""Nobody answers yet."""
