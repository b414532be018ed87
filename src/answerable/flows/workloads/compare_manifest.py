"""Compare what was measured of an instance with the signed manifest of its agent, and find drift.

Laws: a missing measurement does not count as one and removes no drift. An instance names a manifest only if some field
was measured and matched, or if the manifest states no measurable field. Measurements are compared with every later
manifest, until something else is measured.
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
from answerable.flows.validity.observe_tools import observed_tools, tools_verdict, with_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.workload.evidence import Evidence, Grade
    from answerable.core.identity.workload.instance import Instance, ShownManifest
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.manifests.manifest_drift import Verdict
    from answerable.flows.trust_domain.workloads import Workloads

NAMES_SHOWN_MAX: Final = 8


class KnownField(NamedTuple):
    """A field of the manifest. `says`: its stated value. `grade`: who measured that it matches; `claimed` if nobody
    did, or it differs."""

    field: str
    says: str
    grade: Grade
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of a comparison.

    `manifest`: digest for the instance to name, empty for none. `grade`: of the manifest as a whole.
    `fields`: measured and matching fields, each with its grade.
    `drift`: fields that count as drift and are stored with the instance. `unmeasured`: those that nobody measured
      against the manifest in force.
    `measured`: what is known of the instance itself from here on.
    `tools`: whether the tools that the gateway offers differ from the manifest, as far as it can see; never stored,
      because this changes independently.
    """

    manifest: str
    grade: Grade | Literal[""] = ""
    fields: tuple[tuple[str, Grade], ...] = ()
    drift: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    measured: tuple[tuple[str, str, Grade], ...] = ()
    tools: bool = False

    def let_in(self, agent: Agent) -> Comparison:
        """Return the comparison itself. Raises Refused as `fault` says."""
        if (fault := self.fault(agent)) is not None:
            raise fault
        return self

    def fault(self, agent: Agent) -> Refused | None:
        """Return why the agent's drift rule refuses such an instance; None if it does not.

        `manifest.drifted` if a field differs or has differed; `manifest.unmeasured` if the only fault is a missing
        measurement.
        """
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
            (
                f"{_listed(self.unmeasured)} of agent {shown(agent.name)} is in its manifest but was "
                "not measured: enrol through `answerable agent up --project`, on another machine as "
                "a user that `identity.sidecars` names"
            ),
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
    """Compare an instance with the manifest in force; without a manifest there is nothing to compare.

    `measured`: just now, by the enroller. `before`: the instance as it was; its measurements and drift stay unless
    measured again. `parent`: of a sub-agent, which inherits the parent's measurements where it has none. Reported tools
    are ignored, because the gateway sees them itself. Raises Refused as `standing_manifest` if a manifest was
    registered and is no longer valid.
    """
    own = kept_after(_kept(before), _without_tools(measured))
    known = own if parent is None else kept_after(_kept(parent), own)
    last = before or parent
    named, earlier = (last.manifest, last.drift) if last is not None else ("", ())
    standing = standing_manifest(workloads.authority, agent.name) if workloads.manifests is not None else None
    if standing is None:
        grade, fields = (last.manifest_grade, last.manifest_fields) if last is not None else ("", ())
        return Comparison(manifest=named, grade=grade, fields=fields, drift=earlier, measured=kept_form(own))
    findings = [one for one in drift(standing.manifest, known) if one.field != TOOLS]
    unmeasured = unmeasured_fields(findings) if named != standing.digest else ()
    names = drift_after(findings, earlier, needed=unmeasured)
    fields = measured_fields(findings)
    # The gateway checks tools at every message: an agent that is offered other tools has drifted in any case.
    seen = with_tools(fields)
    matched = named == standing.digest or not names or any(finding.verdict == "match" for finding in findings)
    return Comparison(
        manifest=standing.digest if matched else named,
        grade=known_grade(standing.manifest.said(), seen) if matched else "",
        fields=fields if matched else (),
        drift=names,
        unmeasured=unmeasured,
        measured=kept_form(own),
        tools=observed_tools(
            workloads.authority,
            workloads.verification.upstream,
            workloads.applying.policies.decision_point,
            agent.name,
        ).verdict
        == "differs",
    )


def words_of(
    workloads: Workloads,
    evidence: Evidence,
    measured: Measured | None,
    *,
    agent_up: bool,
    program: Measured | None = None,
) -> Measured | None:
    """Return what counts of an enroller's statement, plus what the kernel reported; None if there is neither.

    `measured`: the enroller's statement, which is a claim unless the settings know the enroller as the sidecar.
    `evidence`: of the enroller; for a local process that is not a sidecar it names the agent's program. `agent_up`: of
    the process. `program`: what the kernel reported of the agent process that a sidecar started, which no other
    enroller can present.
    """
    sidecar = workloads.sidecars.believes(evidence, agent_up=agent_up)
    seen = program if sidecar else program_in(evidence.selectors) if evidence.source == "unix" else None
    told = as_told_by(measured, sidecar=sidecar) if measured is not None else None
    if seen is None or not seen.values:
        return told
    return Measured(values={**(told.values if told is not None else {}), **seen.values})


def is_another_program(now: Evidence, before: Evidence) -> bool:
    """Whether the kernel reports another program than before; an unreadable one does not count as another."""
    seen = program_in(now.selectors).values
    return bool(seen) and seen != program_in(before.selectors).values


def as_compared(instance: Instance, made: Comparison) -> Instance:
    """Return the instance with the result of a comparison."""
    return replace(
        instance,
        manifest=made.manifest,
        manifest_grade=made.grade,
        manifest_fields=made.fields,
        measured=made.measured,
        drift=made.drift,
    )


def shown_now(workloads: Workloads, instance: Instance) -> ShownManifest:
    """Return the manifest an instance is listed with now, as the walk sees it. Does no I/O. Never raises."""
    try:
        signed = (
            standing_manifest(workloads.authority, instance.agent)
            if workloads.manifests is not None
            else None
        )
    except Refused:
        signed = None
    parent = workloads.instances.find(spiffe_id(instance.parent)) if instance.parent else None
    shown_as = shown_manifest(instance, parent, signed.digest if signed is not None else "")
    verdict = _tools_now(workloads, instance.agent)
    if verdict != "match":
        drifted = shown_as.drifted or verdict == "differs"
        return shown_as._replace(drifted=drifted, grade="claimed" if shown_as.digest else "")
    if shown_as.digest and signed is not None and signed.manifest.tools_digest:
        return shown_as._replace(fields=with_tools(shown_as.fields))
    return shown_as


def known_now(workloads: Workloads, instance: Instance) -> tuple[KnownField, ...]:
    """Return each composition field of the manifest in force, and how well it is known of this instance.

    Empty without a valid manifest. Does no I/O. Never raises.
    """
    try:
        signed = (
            standing_manifest(workloads.authority, instance.agent)
            if workloads.manifests is not None
            else None
        )
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
    """Return the fields in which an instance differs from its manifest now, including its tools."""
    tools = (TOOLS,) if _tools_now(workloads, instance.agent) == "differs" else ()
    return (*instance.drift, *tools)


def _tools_now(workloads: Workloads, name: AgentId) -> Verdict:
    """Return how the tools offered to an agent compare with its manifest. Unknown ones count as different where drift
    is refused."""
    verdict = tools_verdict(
        workloads.authority,
        workloads.verification.upstream,
        workloads.verification.tools_seen,
        workloads.applying.policies.decision_point,
        name,
    )
    agent = workloads.authority.registry.current.agents.get(name)
    marks = agent is not None and agent.drift == "mark"
    return "differs" if verdict == "unmeasured" and not marks else verdict


def _kept(instance: Instance | None) -> Measured:
    return measured_in(instance.measured if instance is not None else ())


def _without_tools(measured: Measured | None) -> Measured:
    found = measured.values if measured is not None else {}
    return Measured(values={name: value for name, value in found.items() if name != TOOLS})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 40) for name in names[:NAMES_SHOWN_MAX])
