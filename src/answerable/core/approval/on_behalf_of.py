"""In whose place somebody answers: by which delegation of duty, and where that stands in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

# Not for a type checker alone: registers read this type back by its annotations.
from answerable.core.identity.names.principal import PrincipalId


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBehalfOf:
    """of: who is stood in for; the answer counts as theirs in this group. delegation: its id. entry, leaf, log: index,
    leaf hash and log of its entry; log is empty for that of the answer."""

    of: PrincipalId
    group: str
    delegation: str
    entry: int
    leaf: str
    log: str = ""
