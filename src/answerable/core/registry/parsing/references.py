"""Check the references between documents: whether each named thing exists, and fits.

Laws: a fault is reported at the referring document, never at the one referred to; an unreadable document still counts
as declared, so that one mistake is not reported twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.budget_name import MONEY, WALL_MS
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.documents import (
    Agent,
    Application,
    MandateTemplate,
    Owned,
    PolicySetDocument,
    Principal,
    Schedule,
    Server,
    UseCase,
    Workflow,
)
from answerable.core.registry.documents.duty import Duty
from answerable.core.registry.documents.fields import Fault, near, nearest, pointer
from answerable.core.registry.documents.placeholders import placeholders_in
from answerable.core.registry.documents.stop_rule import STOP_RULES_MAX, StopRule
from answerable.core.registry.parsing.duty_references import duty_faults
from answerable.core.registry.parsing.execute_references import execute_faults
from answerable.core.registry.parsing.policy_references import policy_faults
from answerable.core.registry.parsing.preview_references import preview_faults
from answerable.core.registry.parsing.spec_limits import unreachable
from answerable.core.registry.parsing.workflow_references import workflow_faults
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.registry.documents.documents import GrantTemplate, TemplateParameter
    from answerable.core.registry.documents.ownership import Ownership
    from answerable.core.registry.parsing.parse import Kind, Registered, Shapes

_Found = tuple[str, str, str]  # path, code, message

_VARIABLE: Final = re.compile(r"\{[^{}]*\}")
_PYTHON_TYPE: Final = {
    "string": str,
    "decimal": str,
    "integer": int,
    "minor_units": int,
    "boolean": bool,
}


def reference_faults(shapes: Shapes) -> tuple[Fault, ...]:
    """Return every fault between documents, in their order. Never raises."""
    groups = {
        group for found in shapes.nouns if isinstance(found.noun, Principal) for group in found.noun.groups
    }
    unread = any(
        kind == "Principal" for kind, _ in shapes.declared - {(f.kind, f.name) for f in shapes.nouns}
    )
    twice, policies = _claimed_twice(shapes), policy_faults(shapes)
    faults: list[Fault] = []
    for found in shapes.nouns:
        for path, code, message in (
            *_ownership_faults(found, shapes),
            *(() if unread else _group_faults(found, groups)),
            *_noun_faults(found, shapes),
            *twice.get(found.document, ()),
            *policies.get(found.document, ()),
        ):
            faults.append(
                Fault(document=found.document, path=path, code=code, message=message, kind="reference")
            )
    return tuple(faults)


def _noun_faults(found: Registered, shapes: Shapes) -> Iterator[_Found]:
    match found.noun:
        case Agent(use_case=use_case, capabilities=ceiling):
            yield from _exists(shapes, "UseCase", use_case, "/spec/useCase")
            for index, name in enumerate(ceiling):
                yield from _exists(shapes, "Capability", name, f"/spec/capabilities/{index}")
        case Principal(capabilities=given):
            for index, name in enumerate(given):
                yield from _exists(shapes, "Capability", name, f"/spec/capabilities/{index}")
        case Capability() as capability:
            yield from _exists(shapes, "Server", capability.server, "/spec/server")
            yield from _lease_faults(capability, shapes)
            yield from preview_faults(capability, shapes)
            if capability.executes is not None:
                at = "/spec/executes/preparedBy"
                yield from _exists(shapes, "Capability", capability.executes.prepared_by, at)
                yield from execute_faults(capability, shapes)
        case MandateTemplate() as template:
            yield from _template_faults(template, shapes)
            yield from _reach_faults(template, shapes)
        case Application(use_cases=use_cases):
            for index, name in enumerate(use_cases):
                yield from _exists(shapes, "UseCase", name, f"/spec/useCases/{index}")
        case Schedule() as schedule:
            yield from _schedule_faults(schedule, shapes)
        case StopRule() as rule:
            yield from _rule_faults(rule, shapes)
        case Workflow(capabilities=answered) as workflow:
            for index, name in enumerate(answered):
                yield from _exists(shapes, "Capability", name, f"/spec/capabilities/{index}")
            yield from workflow_faults(workflow, shapes)
        case Duty() as duty:
            yield from duty_faults(duty, shapes)
        case _:
            return


def _lease_faults(capability: Capability, shapes: Shapes) -> Iterator[_Found]:
    """Check that a capability on a target of the broker has a lease, which states what its credential may do, and no
    other capability has."""
    server = next(
        (
            found.noun
            for found in shapes.nouns
            if isinstance(found.noun, Server) and found.noun.name == capability.server
        ),
        None,
    )
    if server is None:
        return
    if server.target and (capability.lease is None or capability.method != "tools/call"):
        said = "is a target of the broker: say in `lease.grants` what a credential for this tool may do"
        message = f"{shown(server.name)} {said}"
        yield "/spec/lease", "capability.lease", message
    if capability.lease is not None and not server.target:
        message = f"{shown(server.name)} is not a target of the broker, so no credential is issued for it"
        yield "/spec/lease", "capability.lease", message


def _exists(shapes: Shapes, kind: Kind, name: str, path: str) -> Iterator[_Found]:
    if (kind, name) not in shapes.declared:
        known = tuple(sorted(other for declared, other in shapes.declared if declared == kind))
        yield path, "reference.missing", f"no {kind} is called {shown(name)}{near(name, known)}"


def _ownership_faults(found: Registered, shapes: Shapes) -> Iterator[_Found]:
    if not isinstance(found.noun, Owned):
        return
    ownership: Ownership = found.noun.ownership
    at = "/spec/ownership"
    if ownership.owner:
        yield from _exists(shapes, "Principal", ownership.owner, f"{at}/owner")
    if ownership.backup_owner:
        yield from _exists(shapes, "Principal", ownership.backup_owner, f"{at}/backupOwner")
        if ownership.backup_owner == ownership.owner:
            message = (
                f"owner and backupOwner are both {shown(ownership.owner)}: name another person as one of them"
            )
            yield f"{at}/backupOwner", "reference.same_owner", message


def _group_faults(found: Registered, groups: set[str]) -> Iterator[_Found]:
    """Check that each named group has a member; a group exists only through its members."""
    if isinstance(found.noun, MandateTemplate) and found.noun.delegation is not None:
        for index, group in enumerate(found.noun.delegation.groups):
            if group not in groups:
                message = f"no principal is in group {shown(group)}{near(group, tuple(sorted(groups)))}"
                yield f"/spec/delegation/groups/{index}", "reference.missing", message
    if not isinstance(found.noun, Owned):
        return
    named = [(found.noun.ownership.approver_group, "/spec/ownership/approverGroup")]
    if isinstance(found.noun, UseCase):
        named += [(group, f"/spec/issuers/{i}") for i, group in enumerate(found.noun.issuers)]
    for group, path in named:
        if group and group not in groups:
            message = f"no principal is in group {shown(group)}{near(group, tuple(sorted(groups)))}"
            yield path, "reference.missing", message


def _template_faults(template: MandateTemplate, shapes: Shapes) -> Iterator[_Found]:
    yield from _exists(shapes, "UseCase", template.use_case, "/spec/useCase")
    yield from _exists(shapes, "Agent", template.agent, "/spec/agent")
    for found in shapes.nouns:
        noun = found.noun
        if isinstance(noun, Agent) and noun.name == template.agent and noun.use_case != template.use_case:
            message = f"agent {shown(noun.name)} belongs to use case {shown(noun.use_case)}"
            yield "/spec/useCase", "reference.use_case", message
    capabilities = {found.name: found.noun for found in shapes.nouns if isinstance(found.noun, Capability)}
    types = {parameter.name: parameter for parameter in template.parameters}
    for index, grant in enumerate(template.grants):
        at = f"/spec/grants/{index}"
        yield from _exists(shapes, "Capability", grant.capability, f"{at}/capability")
        capability = capabilities.get(grant.capability)
        if capability is not None:
            yield from _grant_faults(grant, capability, types, at)
            yield from _budget_faults(template, capability, at)
            if template.environment and capability.environment != template.environment:
                message = (
                    f"capability {shown(capability.name)} is in environment {shown(capability.environment)}, "
                    f"the mandate only in {shown(template.environment)}"
                )
                yield f"{at}/capability", "reference.environment", message


def _reach_faults(template: MandateTemplate, shapes: Shapes) -> Iterator[_Found]:
    """Check a template's systems, kinds, data ceiling, destinations and receivers against the capabilities of its
    grants."""
    for index, name in enumerate(template.systems):
        yield from _exists(shapes, "Server", name, f"/spec/systems/{index}")
    capabilities = {found.name: found.noun for found in shapes.nouns if isinstance(found.noun, Capability)}
    for index, grant in enumerate(template.grants):
        capability = capabilities.get(grant.capability)
        if capability is None:
            continue
        at = f"/spec/grants/{index}"
        if (why := unreachable(template, capability)) is not None:
            yield f"{at}/capability", "reference.beyond_limits", why
        if grant.destinations is not None and grant.destinations[0] != capability.destination.type:
            says = f"names {capability.destination.type}" if capability.destination.type else "names none"
            message = (
                f"destinations are {grant.destinations[0]}, but capability {shown(capability.name)} {says}"
            )
            yield f"{at}/destinations", "reference.destination", message
    if template.delegation is not None:
        at = "/spec/delegation"
        for index, name in enumerate(template.delegation.agents):
            yield from _exists(shapes, "Agent", name, f"{at}/agents/{index}")
        for index, name in enumerate(template.delegation.use_cases):
            yield from _exists(shapes, "UseCase", name, f"{at}/useCases/{index}")


def _schedule_faults(schedule: Schedule, shapes: Shapes) -> Iterator[_Found]:
    """Check that a schedule gives each parameter of its template a value; the value itself is checked when the schedule
    is due."""
    yield from _exists(shapes, "MandateTemplate", schedule.template, "/spec/template")
    template = next(
        (
            found.noun
            for found in shapes.nouns
            if isinstance(found.noun, MandateTemplate) and found.name == schedule.template
        ),
        None,
    )
    if template is None:
        return
    if schedule.rule.within * 60 > template.ttl_seconds:
        message = (
            f"mandates of template {shown(template.name)} end {template.ttl_seconds} seconds after they are due: "
            "`withinMinutes` must not be longer"
        )
        yield "/spec/rule/withinMinutes", "reference.ends_before", message
    given, known = dict(schedule.values), tuple(parameter.name for parameter in template.parameters)
    for name in given:
        if name not in known:
            message = f"template {shown(template.name)} has no parameter {shown(name)}{nearest(name, known)}"
            yield pointer("/spec/values", name), "reference.parameter", message
    for parameter in template.parameters:
        if parameter.name not in given:
            message = f"template {shown(template.name)} needs a value for {shown(parameter.name)}"
            yield "/spec/values", "reference.parameter", message


def _rule_faults(rule: StopRule, shapes: Shapes) -> Iterator[_Found]:
    """Check that what a stop rule watches exists. Rules beyond the maximum are faults, since they would not be
    evaluated."""
    for index, name in enumerate(rule.canary.capabilities):
        yield from _exists(shapes, "Capability", name, f"/spec/canary/capabilities/{index}")
    sets = [found.noun for found in shapes.nouns if isinstance(found.noun, PolicySetDocument)]
    unread = len(sets) < sum(kind == "PolicySet" for kind, _ in shapes.declared)
    trackers = tuple(one.name for document in sets for one in document.parts.trackers)
    if rule.tracker and rule.tracker not in trackers and not unread:
        message = f"no policy set declares tracker {shown(rule.tracker)}{near(rule.tracker, trackers)}"
        yield "/spec/tracker", "reference.missing", message
    rules = [found.name for found in shapes.nouns if isinstance(found.noun, StopRule)]
    if rule.name in rules[STOP_RULES_MAX:]:
        yield "", "document.count", f"expected at most {STOP_RULES_MAX} stop rules, got {len(rules)}"


def _grant_faults(
    grant: GrantTemplate, capability: Capability, parameters: Mapping[str, TemplateParameter], at: str
) -> Iterator[_Found]:
    """Check the types of a grant's values: a value of another type than the capability's argument would never match."""
    mapped = {argument.name: argument.type for argument in capability.arguments}
    for name, value in grant.arguments:
        expected = _PYTHON_TYPE.get(mapped.get(name, ""))
        if name in mapped and expected is None:
            path = pointer(f"{at}/arguments", name)
            yield (
                path,
                "reference.argument_type",
                f"argument {shown(name)} is a set, which cannot have an exact value",
            )
        elif expected is not None and _type_of(value, parameters) is not expected:
            message = (
                f"argument {shown(name)} of {shown(capability.name)} is {mapped[name]}, not {shown(value)}"
            )
            yield pointer(f"{at}/arguments", name), "reference.argument_type", message
    for name, _ in grant.maxima:
        if name in mapped and _PYTHON_TYPE.get(mapped[name]) is not int:
            message = f"argument {shown(name)} of {shown(capability.name)} is {mapped[name]}, not an integer"
            yield pointer(f"{at}/maxima", name), "reference.argument_type", message


def _budget_faults(template: MandateTemplate, capability: Capability, at: str) -> Iterator[_Found]:
    """Check that a capability declares its use of each budget; otherwise it would be refused under the mandate."""
    for name, _ in template.budgets:
        spending = capability.spending
        known = spending.amount is not None if name.startswith(MONEY) else spending.declares(name)
        if not known and name != WALL_MS:
            what = "`amount`" if name.startswith(MONEY) else f"`reserves: {{{name}: …}}`"
            message = (
                f"capability {shown(capability.name)} does not declare its use of budget {shown(name)}: "
                f"declare {what} there, or remove the budget here"
            )
            yield f"{at}/capability", "reference.budget_undeclared", message


def _type_of(value: str | int | bool, parameters: Mapping[str, TemplateParameter]) -> type:
    """Return the type of a template's value once filled in: a lone placeholder takes its parameter's type."""
    if isinstance(value, str):
        names = placeholders_in(value)
        if len(names) == 1 and value == f"{{{names[0]}}}" and names[0] in parameters:
            return _PYTHON_TYPE.get(parameters[names[0]].type, str)
    return type(value)


def _claimed_twice(shapes: Shapes) -> dict[int, list[_Found]]:
    """Return a fault for each claim of two things to one target, key, user id, certificate or set of selectors; both
    are at fault."""
    claims: dict[tuple[str, ...], list[tuple[Registered, str]]] = {}
    for found in shapes.nouns:
        for claim, path in _claims(found):
            claims.setdefault(claim, []).append((found, path))
    twice: dict[int, list[_Found]] = {}
    for claim, holders in claims.items():
        if len(holders) < 2:
            continue
        for found, path in holders:
            others = ", ".join(
                f"{other.kind} {shown(other.name)}" for other, _ in holders if other is not found
            )
            message = f"this {claim[0]} is also claimed by {others}"
            twice.setdefault(found.document, []).append((path, "reference.claimed_twice", message))
    return twice


def _claims(found: Registered) -> Iterator[tuple[tuple[str, ...], str]]:
    match found.noun:
        case Capability(server=server, method=method, target=target):
            # Templates that differ only in the names of their variables match the same targets.
            yield ("target", server, method, _VARIABLE.sub("{}", target)), "/spec/target"
        case Agent(keys=keys, unix_uids=uids, certificates=certificates, attestation=sets):
            yield from ((("key", key.thumbprint), f"/spec/keys/{i}") for i, key in enumerate(keys))
            yield from ((("Unix user id", str(uid)), f"/spec/unixUids/{i}") for i, uid in enumerate(uids))
            yield from (
                (("certificate", sha), f"/spec/certificates/{i}") for i, sha in enumerate(certificates)
            )
            yield from (
                (("set of selectors", *chosen), f"/spec/attestation/{i}") for i, chosen in enumerate(sets)
            )
        case Principal(keys=keys, oidc=oidc):
            yield from ((("key", key.thumbprint), f"/spec/keys/{i}") for i, key in enumerate(keys))
            if oidc is not None:
                yield ("subject of an issuer", *oidc), "/spec/oidc"
        case Workflow(keys=keys, attestation=sets):
            yield from ((("key", key.thumbprint), f"/spec/keys/{i}") for i, key in enumerate(keys))
            yield from (
                (("set of selectors", *chosen), f"/spec/attestation/{i}") for i, chosen in enumerate(sets)
            )
        case Application(keys=keys) | Schedule(keys=keys):
            yield from ((("key", key.thumbprint), f"/spec/keys/{i}") for i, key in enumerate(keys))
        case _:
            return
