"""Holding what was measured of an instance against the manifest that its agent's owner signed.

Laws: silence is no measurement, and takes no drift away; an instance names a manifest only once something of it was
measured and matched, or where it says nothing that is measured beside an agent; what was measured is held against every
manifest that comes into force later, until something else is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.identity.instance import shown_manifest
from answerable.core.identity.spiffe_id import spiffe_id
from answerable.core.registry.manifest_drift import (
    Measured,
    drift,
    drift_after,
    kept_after,
    kept_form,
    known_grade,
    measured_in,
    unmeasured_fields,
)
from answerable.errors import Refused, shown
from answerable.flows.observe_tools import observed_tools, tools_fault
from answerable.flows.register_manifest import standing_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.evidence import Grade
    from answerable.core.identity.instance import Instance, ShownManifest
    from answerable.core.registry.documents import Agent
    from answerable.flows.workloads import Workloads

NAMES_SHOWN_MAX: Final = 8
TOOLS: Final = "tools_digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """manifest: digest for the instance to name, empty for none; grade: how well that is known. drift: names of fields
    that count as drift and are kept with the instance; unmeasured: those of them that nobody has measured against the
    manifest in force. measured: what is known of the instance itself from here on. tools: why the tools that the
    gateway offers are not those of the manifest, as far as it can see them; never kept, for that changes without it.
    """

    manifest: str
    grade: Grade | Literal[""] = ""
    drift: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    measured: tuple[tuple[str, str, Grade], ...] = ()
    tools: bool = False

    def fault(self, agent: Agent) -> Refused | None:
        """Why an instance like this is not let on, where its agent's rule says so: `manifest.drifted` where something
        differs or has, `manifest.unmeasured` where all that is wrong is that nobody measured."""
        if not (self.drift or self.tools) or agent.drift != "refuse":
            return None
        differing = [name for name in self.drift if name not in self.unmeasured]
        differing += [TOOLS] if self.tools else []
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
    workloads: Workloads,
    agent: Agent,
    measured: Measured | None,
    *,
    before: Instance | None = None,
    parent: Instance | None = None,
) -> Comparison:
    """What is known of an instance, against the manifest in force; nothing to compare with without one.

    measured: just now, by who asks. before: the instance as it was: what was measured of it is kept, and what had
    drifted still has, unless it is measured now. parent: of a sub-agent, which is made of what its parent is made of as
    far as nothing else was measured. Of tools nobody's word counts, for the gateway sees them itself. Raises Refused as
    `standing_manifest` says, where a manifest was registered that nobody answers for now.
    """
    own = kept_after(_kept(before), _without_tools(measured))
    known = own if parent is None else kept_after(_kept(parent), own)
    last = before or parent
    named, earlier = (last.manifest, last.drift) if last is not None else ("", ())
    standing = standing_manifest(workloads.walk, agent.name) if workloads.manifests is not None else None
    if standing is None:
        grade = last.manifest_grade if last is not None else ""
        return Comparison(manifest=named, grade=grade, drift=earlier, measured=kept_form(own))
    findings = [one for one in drift(standing.manifest, known) if one.field != TOOLS]
    unmeasured = unmeasured_fields(findings) if named != standing.digest else ()
    names = drift_after(findings, earlier, needed=unmeasured)
    matched = named == standing.digest or not names or any(finding.verdict == "match" for finding in findings)
    return Comparison(
        manifest=standing.digest if matched else named,
        grade=known_grade(findings) if matched else "",
        drift=names,
        unmeasured=unmeasured,
        measured=kept_form(own),
        tools=observed_tools(workloads.walk, agent.name).verdict == "differs",
    )


def shown_now(workloads: Workloads, instance: Instance) -> ShownManifest:
    """Which manifest an instance is shown with now, as the walk sees it. Without I/O. Never raises."""
    walk = workloads.walk
    try:
        signed = standing_manifest(walk, instance.agent) if workloads.manifests is not None else None
    except Refused:
        signed = None
    parent = workloads.instances.find(spiffe_id(instance.parent)) if instance.parent else None
    shown_as = shown_manifest(instance, parent, signed.digest if signed is not None else "")
    return shown_as._replace(drifted=shown_as.drifted or bool(tools_fault(walk, instance.agent)))


def drift_now(workloads: Workloads, instance: Instance) -> tuple[str, ...]:
    """Names of the fields in which an instance differs from its manifest now, its tools among them."""
    tools = (TOOLS,) if tools_fault(workloads.walk, instance.agent) else ()
    return (*instance.drift, *tools)


def _kept(instance: Instance | None) -> Measured:
    return measured_in(instance.measured if instance is not None else ())


def _without_tools(measured: Measured | None) -> Measured:
    found = measured.values if measured is not None else {}
    return Measured(values={name: value for name, value in found.items() if name != TOOLS})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 40) for name in names[:NAMES_SHOWN_MAX])
