"""One running instance of an agent, from its enrolment to its end.

Laws: an id is given once, permanently; an ended instance never lives again; a sub-agent never outlives its parent, and
its evidence is never better; a manifest is named as long as it is in force, with the measured grade and no other.
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
"""Random bytes in the name of an instance (hex): drawn anew, so that no loss of state can assign a name twice."""
SUB_AGENTS_MAX: Final = 64
"""Most sub-agents of one instance at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance. key: the key whose possession its sidecar proves; None for a process of the Workload API, identified
    by its connection. process: `boot-id:pid:start` of a local process, else empty.

    manifest: digest in force at the last measurement, hex. manifest_grade: the worst grade of all that the manifest
    says of what an agent is made of; empty if unknown, which counts as claimed. manifest_fields: the fields that were
    measured and matched then, each with its grade; all others are only claimed. agent_up: at attestation, its process
    ran our own `answerable agent up`. measured: the measured values by manifest field, each with its grade; stored so
    that they can be compared with a manifest signed later. drift: names of manifest fields whose measurement differs.

    parent: SPIFFE ID of the instance it is a sub-agent of. expires_at: when it ends unless it renews. ended_because:
    stable code, empty while it lives. ended_by: the operator who ended it, as the control listener authenticated them;
    empty if none did.
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
        """Whether the instance may act at `now`."""
        return self.state == "live" and now < self.expires_at


class ShownManifest(NamedTuple):
    """What is reported about an instance's manifest. digest: empty if no manifest in force is known to be the
    instance's own.

    fields: the fields that were measured and match, each with its grade, sorted by name.
    """

    digest: str
    grade: Grade | Literal[""]
    drifted: bool
    fields: tuple[tuple[str, Grade], ...] = ()


def shown_manifest(instance: Instance, parent: Instance | None, standing: str | None) -> ShownManifest:
    """Return the manifest that an instance is reported with, and whether it has drifted from it.

    parent: of a sub-agent, None if it is no longer known. standing: digest of the manifest in force, empty for none;
    None if unknown, in which case the manifest of the last measurement counts as in force.
    """
    in_force = instance.manifest if standing is None else standing
    drifted = bool(instance.drift) or instance.manifest != in_force
    if instance.parent and not drifted:
        known = standing if standing is not None or parent is None else parent.manifest
        drifted = parent is None or bool(parent.drift) or parent.manifest != known
    if not instance.manifest or instance.manifest != in_force:
        return ShownManifest("", "", drifted)
    # A sub-agent runs from its parent's files, so a field in which the parent differs is not confirmed for it either.
    differing = {*instance.drift, *(parent.drift if parent is not None else ())}
    fields = tuple(one for one in instance.manifest_fields if one[0] not in differing)
    grade = "claimed" if len(fields) < len(instance.manifest_fields) else instance.manifest_grade or "claimed"
    return ShownManifest(instance.manifest, grade, drifted, fields)
