"""One running instance of an agent, from its enrolment to its end.

Laws: an id is given once, for good; an ended instance never lives again; a sub-agent never outlives its parent, and is
never better than it; a manifest is named as long as it stands, with the grade that was measured and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.evidence import Evidence, Grade

InstanceState = Literal["live", "ended"]
INSTANCE_BYTES: Final = 16
"""Random bytes in the name of an instance (hex): drawn anew, so that no loss of state can give a name twice."""
SUB_AGENTS_MAX: Final = 64
"""Of one instance at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """key: what its sidecar proves possession of; None for a process of the Workload API, known by its connection.

    process: `boot-id:pid:start` of a local process, else empty. manifest: digest in force at the last measurement, hex.
    manifest_grade: the worst of all that the manifest says of what an agent is made of; empty where that is not known,
    which is no better than claimed. manifest_fields: what was measured and matched then, each with its grade; all else
    that the manifest says is claimed. agent_up: its process was seen to run our own `answerable agent up` when it was
    attested. measured: what was found of it itself, by manifest field, with its grade: kept, so that it can be held
    against a manifest that is signed later. drift: names of manifest fields whose measurement differs.
    parent: SPIFFE ID of the instance it is a sub-agent of. expires_at: when it ends unless it renews. ended_because:
    stable code, empty while it lives. ended_by: the operator who ended it, as the control door knows them; empty where
    none of them did.
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
    manifest_grade: Grade | Literal[""] = ""
    manifest_fields: tuple[tuple[str, Grade], ...] = ()
    agent_up: bool = False
    measured: tuple[tuple[str, str, Grade], ...] = ()
    drift: tuple[str, ...] = ()
    state: InstanceState = "live"
    ended_because: str = ""
    ended_by: str = ""

    def is_live(self, now: UnixMillis) -> bool:
        """Whether it may act at `now`."""
        return self.state == "live" and now < self.expires_at


class ShownManifest(NamedTuple):
    """What may be said of an instance and its manifest. digest: empty where none that stands is known to be its own.

    fields: what was measured and matches, each with its grade, sorted by name.
    """

    digest: str
    grade: Grade | Literal[""]
    drifted: bool
    fields: tuple[tuple[str, Grade], ...] = ()


def shown_manifest(instance: Instance, parent: Instance | None, standing: str | None) -> ShownManifest:
    """Which manifest an instance is shown with, and whether it has drifted from it.

    parent: of a sub-agent, None where it is not known any more. standing: digest of the manifest in force, empty for
    none; None where that is not known, and then what it was measured against last is taken for in force.
    """
    in_force = instance.manifest if standing is None else standing
    drifted = bool(instance.drift) or instance.manifest != in_force
    if instance.parent and not drifted:
        known = standing if standing is not None or parent is None else parent.manifest
        drifted = parent is None or bool(parent.drift) or parent.manifest != known
    if not instance.manifest or instance.manifest != in_force:
        return ShownManifest("", "", drifted)
    # What its parent does not match any more was measured of the same files.
    differing = {*instance.drift, *(parent.drift if parent is not None else ())}
    fields = tuple(one for one in instance.manifest_fields if one[0] not in differing)
    grade = "claimed" if len(fields) < len(instance.manifest_fields) else instance.manifest_grade or "claimed"
    return ShownManifest(instance.manifest, grade, drifted, fields)
