"""Holding what was measured of an instance against the manifest that its agent's owner signed.

Laws: silence is no measurement, and takes no drift away; an instance names a manifest only once something of it was
measured and matched, or where it says nothing that is measured beside an agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.manifest_drift import Measured, drift, drift_after, unmeasured_fields
from answerable.errors import Refused, shown
from answerable.flows.register_manifest import standing_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.instance import Instance
    from answerable.core.registry.documents import Agent
    from answerable.flows.workloads import Workloads

NAMES_SHOWN_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """manifest: digest for the instance to name, empty for none. drift: names of fields that count as drift.

    unmeasured: those of them that nobody has measured against the manifest in force.
    """

    manifest: str
    drift: tuple[str, ...]
    unmeasured: tuple[str, ...] = ()

    def fault(self, agent: Agent) -> Refused | None:
        """Why an instance like this is not let on, where its agent's rule says so: `manifest.drifted` where something
        differs or has, `manifest.unmeasured` where all that is wrong is that nobody measured."""
        if not self.drift or agent.drift != "refuse":
            return None
        differing = [name for name in self.drift if name not in self.unmeasured]
        if differing:
            return Refused(
                f"agent {shown(agent.name)} differs from its manifest: {_listed(differing)}",
                code="manifest.drifted",
                reasons=tuple(f"{shown(name, 40)} differs from the manifest" for name in differing),
            )
        return Refused(
            f"nobody measured {_listed(self.unmeasured)} of agent {shown(agent.name)}, which its manifest states:"
            " enrol through `answerable agent up --project`",
            code="manifest.unmeasured",
            reasons=tuple(f"{shown(name, 40)} was not measured" for name in self.unmeasured),
        )


def compared(
    workloads: Workloads, agent: Agent, measured: Measured | None, *, before: Instance | None = None
) -> Comparison:
    """What was measured, against the manifest in force; nothing to compare with without one.

    before: the instance as it was, or the parent that a sub-agent is enrolled by: what matched the same manifest then
    still does, what had drifted still has, unless it is measured now. Raises Refused as `standing_manifest` says, where
    a manifest was registered that nobody answers for now.
    """
    earlier = before.drift if before is not None else ()
    named = before.manifest if before is not None else ""
    standing = standing_manifest(workloads.walk, agent.name) if workloads.manifests is not None else None
    if standing is None:
        return Comparison(manifest=named, drift=earlier)
    findings = drift(standing.manifest, measured if measured is not None else Measured(values={}))
    if named == standing.digest:
        return Comparison(manifest=named, drift=drift_after(findings, earlier))
    unmeasured = unmeasured_fields(findings)
    names = drift_after(findings, earlier, needed=unmeasured)
    matched = not names or any(finding.verdict == "match" for finding in findings)
    return Comparison(manifest=standing.digest if matched else named, drift=names, unmeasured=unmeasured)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 40) for name in names[:NAMES_SHOWN_MAX])
