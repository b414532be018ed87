"""Holding what was measured of an instance against the manifest that its agent's owner signed.

Laws: silence is no measurement, and takes no drift away; an instance names a manifest only once something of it was
measured and matched, or where it says nothing that is measured beside an agent; what was measured is held against every
manifest that comes into force later, until something else is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.workload.instance import shown_manifest
from answerable.core.registry.manifests.manifest import MADE_OF_FIELDS
from answerable.core.registry.manifests.manifest_drift import (
    Measured,
    as_told_by,
    drift,
    drift_after,
    kept_after,
    kept_form,
    known_grade,
    measured_fields,
    measured_in,
    program_in,
    unmeasured_fields,
)
from answerable.errors import Refused, shown
from answerable.errors.codes.registry import MANIFEST_DRIFTED, MANIFEST_UNMEASURED
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.validity.observe_tools import TOOLS_FIELD as TOOLS
from answerable.flows.validity.observe_tools import observed_tools, tools_fault, with_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.workload.evidence import Evidence, Grade
    from answerable.core.identity.workload.instance import Instance, ShownManifest
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.manifests.manifest_drift import Verdict
    from answerable.flows.trust_domain.workloads import Workloads

NAMES_SHOWN_MAX: Final = 8


class KnownField(NamedTuple):
    """says: what the manifest says. grade: who measured that it is so; `claimed` where nobody did, or it is not so."""

    field: str
    says: str
    grade: Grade
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """manifest: digest for the instance to name, empty for none; grade: how well that is known as a whole, fields: what
    of it was measured and matches, each with its grade. drift: names of fields that count as drift and are kept with
    the instance; unmeasured: those of them that nobody has measured against the manifest in force. measured: what is
    known of the instance itself from here on. tools: why the tools that the gateway offers are not those of the
    manifest, as far as it can see them; never kept, for that changes without it.
    """

    manifest: str
    grade: Grade | Literal[""] = ""
    fields: tuple[tuple[str, Grade], ...] = ()
    drift: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    measured: tuple[tuple[str, str, Grade], ...] = ()
    tools: bool = False

    def let_in(self, agent: Agent) -> Comparison:
        """Itself. Raises Refused as `fault` says."""
        if (fault := self.fault(agent)) is not None:
            raise fault
        return self

    def fault(self, agent: Agent) -> Refused | None:
        """Why an instance like this is not let on, where its agent's rule says so: `manifest.drifted` where something
        differs or has, `manifest.unmeasured` where all that is wrong is that nobody measured."""
        if not (self.drift or self.tools) or agent.drift != "refuse":
            return None
        differing = [name for name in self.drift if name not in self.unmeasured]
        differing += [TOOLS] if self.tools else []
        if differing:
            return MANIFEST_DRIFTED(
                f"agent {shown(agent.name)} differs from its manifest: {_listed(differing)}",
                reasons=tuple(f"{shown(name, 40)} differs from the manifest" for name in differing),
            )
        return MANIFEST_UNMEASURED(
            f"nobody measured {_listed(self.unmeasured)} of agent {shown(agent.name)}, which its manifest states:"
            " enrol through `answerable agent up --project`, on another machine as one whom `identity.sidecars` names",
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
        grade, fields = (last.manifest_grade, last.manifest_fields) if last is not None else ("", ())
        return Comparison(manifest=named, grade=grade, fields=fields, drift=earlier, measured=kept_form(own))
    findings = [one for one in drift(standing.manifest, known) if one.field != TOOLS]
    unmeasured = unmeasured_fields(findings) if named != standing.digest else ()
    names = drift_after(findings, earlier, needed=unmeasured)
    fields = measured_fields(findings)
    # Of the tools the gateway answers at every message: who is offered others has drifted, whatever is said here.
    seen = with_tools(fields)
    matched = named == standing.digest or not names or any(finding.verdict == "match" for finding in findings)
    return Comparison(
        manifest=standing.digest if matched else named,
        grade=known_grade(standing.manifest.said(), seen) if matched else "",
        fields=fields if matched else (),
        drift=names,
        unmeasured=unmeasured,
        measured=kept_form(own),
        tools=observed_tools(workloads.walk, agent.name).verdict == "differs",
    )


def words_of(
    workloads: Workloads,
    evidence: Evidence,
    measured: Measured | None,
    *,
    agent_up: bool,
    program: Measured | None = None,
) -> Measured | None:
    """What counts of what an enroller says, and what the kernel says beside it; None where nobody says anything.

    measured: by its own words, which are claims unless the settings know it for our sidecar. evidence: of who enrols:
    of a local process that is no sidecar it tells which program the agent is. agent_up: of the process. program: what
    the kernel said of the agent that a sidecar started, and what nobody else can show.
    """
    sidecar = workloads.sidecars.believes(evidence, agent_up=agent_up)
    seen = program if sidecar else program_in(evidence.selectors) if evidence.source == "unix" else None
    told = as_told_by(measured, sidecar=sidecar) if measured is not None else None
    if seen is None or not seen.values:
        return told
    return Measured(values={**(told.values if told is not None else {}), **seen.values})


def is_another_program(now: Evidence, before: Evidence) -> bool:
    """Whether the kernel says that a process runs something else than before. What could not be read is not another."""
    seen = program_in(now.selectors).values
    return bool(seen) and seen != program_in(before.selectors).values


def as_compared(instance: Instance, made: Comparison) -> Instance:
    """The instance as it is known after a comparison."""
    return replace(
        instance,
        manifest=made.manifest,
        manifest_grade=made.grade,
        manifest_fields=made.fields,
        measured=made.measured,
        drift=made.drift,
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
    if tools_fault(walk, instance.agent):
        return shown_as._replace(drifted=True, grade="claimed" if shown_as.digest else "")
    if shown_as.digest and signed is not None and signed.manifest.tools_digest:
        return shown_as._replace(fields=with_tools(shown_as.fields))
    return shown_as


def known_now(workloads: Workloads, instance: Instance) -> tuple[KnownField, ...]:
    """Each field that the manifest in force says of what an agent is made of, and how well it is known of this
    instance; none without a manifest that stands. Without I/O. Never raises."""
    walk = workloads.walk
    try:
        signed = standing_manifest(walk, instance.agent) if workloads.manifests is not None else None
    except Refused:
        signed = None
    if signed is None:
        return ()
    shown_as = shown_now(workloads, instance)
    differing, measured = set(drift_now(workloads, instance)), dict(shown_as.fields)
    return tuple(
        KnownField(
            name,
            says,
            "claimed" if name in differing else measured.get(name, "claimed"),
            "differs" if name in differing else "match" if name in measured else "unmeasured",
        )
        for name, says in signed.manifest.said().items()
        if name in MADE_OF_FIELDS
    )


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
