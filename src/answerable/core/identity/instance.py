"""One running instance of an agent, from its enrolment to its end.

Laws: an id is given once, for good; an ended instance never lives again; a sub-agent never outlives its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from answerable.core.identity.evidence import Evidence
    from answerable.core.identity.keys import PublicKey
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.identity.spiffe_id import SpiffeId

InstanceState = Literal["live", "ended"]
INSTANCE_BYTES: Final = 16
"""Random bytes in the name of an instance (hex): drawn anew, so that no loss of state can give a name twice."""
SUB_AGENTS_MAX: Final = 64
"""Of one instance at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """key: what its sidecar proves possession of; None for a process of the Workload API, known by its connection.

    process: `boot-id:pid:start` of a local process, else empty. manifest: digest in force at the last measurement, hex.
    drift: names of manifest fields whose measurement differs. parent: SPIFFE ID of the instance it is a sub-agent of.
    expires_at: when it ends unless it renews. ended_because: stable code, empty while it lives. ended_by: the
    operator who ended it, as the control door knows them; empty where none of them did.
    """

    id: SpiffeId
    agent: AgentId
    evidence: Evidence
    enrolled_at: UnixMillis
    expires_at: UnixMillis
    key: PublicKey | None = None
    process: str = ""
    parent: str = ""
    manifest: str = ""
    drift: tuple[str, ...] = ()
    state: InstanceState = "live"
    ended_because: str = ""
    ended_by: str = ""

    def is_live(self, now: UnixMillis) -> bool:
        """Whether it may act at `now`."""
        return self.state == "live" and now < self.expires_at
