"""Check a policy set in a directory against a registry, and compile it to the document that is published.

There are three stages, each of which needs the one before: faults of the files, faults that publication would report,
and faults of a set that could be published. All faults of a stage are reported at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.part_checks import Declared, check_groups, check_parts
from answerable.adapters.cedar.rules import PolicySource, rules_of
from answerable.adapters.cedar.schema_text import schema_fault, schema_text
from answerable.adapters.cedar.set_checks import CheckedRules, check_policies, registered_in
from answerable.adapters.registry_files.set_directory import SCHEMA_FILE, read_set
from answerable.core.approval.assurance_level import NOTHING_KNOWN, SignedWith
from answerable.core.decision.policy_case import cases_in
from answerable.core.decision.policy_trial import case_faults
from answerable.core.registry.documents.documents import PolicySetDocument
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.core.registry.parsing.parse import document_key
from answerable.core.registry.parsing.set_head import compiled_document, head_in
from answerable.core.registry.policy_sets.policy_fault import PolicyFault
from answerable.errors.codes.ledger import SET_FAULTS
from answerable.errors.codes.registry import REGISTRY_FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.adapters.cedar.registered import Registered
    from answerable.adapters.cedar.rules import Rule
    from answerable.adapters.registry_files.set_directory import SetDirectory, YAMLFile
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.policy_case import PolicyCase
    from answerable.core.registry.documents.fields import Fault
    from answerable.core.registry.parsing.set_head import SetHead
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

_SPEC: Final = "/spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSet:
    """A checked set. faults: in the order of files and lines; without faults, the other fields are set.

    document: what is published. cases: with their files. untold: places of rules for which the analysis could not
    decide within its bounds whether they match or matter. policies: ids of the set's own policies, with their places.
    """

    name: str
    faults: tuple[PolicyFault, ...]
    document: dict[str, JSONValue]
    snapshot: RegistrySnapshot | None = None
    cases: tuple[tuple[YAMLFile, PolicyCase], ...] = ()
    untold: tuple[str, ...] = ()
    policies: tuple[tuple[str, str], ...] = ()


def check_set(
    directory: Path, registry: Sequence[JSONValue], *, known: SignedWith = NOTHING_KNOWN
) -> CheckedSet:
    """Return everything that is wrong with a set. registry: all documents that would be in force beside it. known:
    people's passkeys, and the signature level that each tier requires.

    Raises Malformed: `set.directory`, and `registry.faults` when the registry itself is unsound.
    """
    found = read_set(directory)
    head, document, faults = _first_stage(found)
    if faults or found.head is None:
        return _refused(head.name, faults)
    documents = [one for one in registry if document_key(one) != f"PolicySet/{head.name}"]
    _check_registry(documents)
    merged = [*documents, document]
    faults += [_in_head(found.head, fault) for fault in faults_of(merged) if fault.document == len(documents)]
    if faults:
        return _refused(head.name, faults)
    snapshot = snapshot_of(merged)
    rules, wrong = rules_of(_sources(found, head.name, snapshot), snapshot)
    cases, case_wrong = _cases(found, snapshot, [rule.policy.id for rule in rules], known=not wrong)
    if wrong:
        return _refused(head.name, [*wrong, *case_wrong])
    checked = _third_stage(found, found.head, head, rules, registered_in(merged, snapshot, known), snapshot)
    own = tuple((rule.policy.id, rule.place) for rule in rules if rule.source.own)
    return CheckedSet(
        name=head.name,
        faults=tuple(sorted({*checked.faults, *case_wrong})),
        document=document,
        snapshot=snapshot,
        cases=cases,
        untold=checked.untold,
        policies=own,
    )


def compiled_set(directory: Path) -> dict[str, JSONValue]:
    """Return the document that a directory compiles to, from its files alone.

    Raises Malformed: `set.directory`; `set.faults` when they cannot be read.
    """
    _, document, faults = _first_stage(read_set(directory))
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise SET_FAULTS(f"{min(faults)}{more}: `answerable policy check` lists all")
    return document


def schema_for(registry: Sequence[JSONValue], directory: Path | None) -> str:
    """Return the schema of a registry, with the declarations of the set in a directory, if one is named.

    Raises Malformed: `set.directory`, `set.faults`, `registry.faults`.
    """
    documents = list(registry)
    if directory is not None:
        own = compiled_set(directory)
        documents = [*(one for one in documents if document_key(one) != document_key(own)), own]
    _check_registry(documents)
    return schema_text(snapshot_of(documents))


def _first_stage(found: SetDirectory) -> tuple[SetHead, dict[str, JSONValue], list[PolicyFault]]:
    faults = list(found.faults)
    noted: list[Fault] = []
    head = head_in(found.head.document.value if found.head else {}, noted)
    if found.head is not None:
        faults += [_placed(found.head, fault) for fault in noted]
    policies = "\n".join(source.text for source in found.policies)
    return head, compiled_document(head, policies), faults


def _third_stage(
    found: SetDirectory,
    file: YAMLFile,
    head: SetHead,
    rules: tuple[Rule, ...],
    registered: Registered,
    snapshot: RegistrySnapshot,
) -> CheckedRules:
    parts = snapshot.policy_sets[head.name].parts
    declared = Declared(
        file=file.name, head=head, line_of=file.line_of, parts=parts, all_parts=snapshot.parts
    )
    checked = check_policies(rules, registered)
    stale = schema_fault(SCHEMA_FILE, found.schema.text if found.schema else None, snapshot)
    faults = (
        *checked.faults,
        *check_groups(rules, registered, declared),
        *check_parts(rules, registered, declared),
        *((stale,) if stale else ()),
    )
    return CheckedRules(faults=faults, untold=checked.untold)


def _check_registry(documents: Sequence[JSONValue]) -> None:
    faults = faults_of(documents)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        message = f"the registry's documents have faults: {faults[0].message}{more}; `answerable validate` lists all"
        raise REGISTRY_FAULTS(message)


def _sources(found: SetDirectory, name: str, snapshot: RegistrySnapshot) -> list[PolicySource]:
    """Return the text of every set in the order of publication; this set's by its files."""
    sources: list[PolicySource] = []
    for other in sorted(snapshot.policy_sets):
        if other == name:
            sources += [PolicySource(file=one.name, text=one.text) for one in found.policies]
        else:
            document: PolicySetDocument = snapshot.policy_sets[other]
            sources.append(PolicySource(file=f"PolicySet/{other}", text=document.policies, own=False))
    return sources


def _cases(
    found: SetDirectory, snapshot: RegistrySnapshot, policies: list[str], *, known: bool
) -> tuple[tuple[tuple[YAMLFile, PolicyCase], ...], list[PolicyFault]]:
    """Return every case of the tables. known: whether the ids of the policies could be read, to look names up."""
    cases: list[tuple[YAMLFile, PolicyCase]] = []
    faults: list[PolicyFault] = []
    for file in found.tests:
        noted: list[Fault] = []
        read = cases_in(file.document.value, noted)
        faults += [_placed(file, fault) for fault in noted]
        if noted or not known:
            continue
        for case in read:
            cases.append((file, case))
            faults += [
                PolicyFault(file=file.name, line=_line(file, case, path), code=code, message=message)
                for path, code, message in case_faults(case, snapshot, policies)
            ]
    return tuple(cases), faults


def _line(file: YAMLFile, case: PolicyCase, path: str) -> int:
    """Return the line of a member of a case: in the case, or in the defaults."""
    if path.startswith("/given/") and f"{case.path}{path}" not in file.document.lines:
        shared = path.replace("/given/", "/defaults/", 1)
        if shared in file.document.lines:
            return file.line_of(shared)
    return file.line_of(f"{case.path}{path}")


def _placed(file: YAMLFile, fault: Fault) -> PolicyFault:
    return PolicyFault(file=file.name, line=file.line_of(fault.path), code=fault.code, message=fault.message)


def _in_head(file: YAMLFile, fault: Fault) -> PolicyFault:
    """Map a fault of the compiled document to the line of `set.yaml` that it comes from."""
    path = fault.path.removeprefix(_SPEC) if fault.path.startswith(_SPEC) else "/name"
    return PolicyFault(file=file.name, line=file.line_of(path), code=fault.code, message=fault.message)


def _refused(name: str, faults: list[PolicyFault]) -> CheckedSet:
    return CheckedSet(name=name, faults=tuple(sorted(set(faults))), document={})
