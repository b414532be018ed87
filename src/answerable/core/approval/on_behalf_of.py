"""On whose behalf a deputy answers: by which delegation of duty, and the ledger entry that records it."""

from __future__ import annotations

from dataclasses import dataclass

# Needed at run time: registers decode this type by its annotations.
from answerable.core.identity.names.principal import PrincipalId


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBehalfOf:
    """The delegation under which a deputy answers. of: the represented person; the answer counts as theirs in this
    group. delegation: its id. entry, leaf, log: index, leaf hash and log of its entry; log is empty for that of the
    answer."""

    of: PrincipalId
    group: str
    delegation: str
    entry: int
    leaf: str
    log: str = ""
