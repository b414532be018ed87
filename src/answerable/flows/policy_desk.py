"""What publishing policy sets needs beside the walk: whose task it is, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.ports.policy_register import PolicyRegister


@dataclass(slots=True, kw_only=True)
class PolicyDesk:
    """publishers: group whose members put proposals of others into force; empty where one person is enough, on record.

    records: proposals and earlier sets; None where nothing is kept, and then nothing can be proposed.
    """

    publishers: str = ""
    records: PolicyRegister | None = None
