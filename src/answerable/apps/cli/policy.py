"""Policy sets in directories: check, compile, print the schema, run the test tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli import policy_publishing, policy_shadow, policy_simulation, policy_suggestions
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.apps.cli.policy_sources import people_signing
from answerable.errors import Unavailable
from answerable.errors.codes.registry import REGISTRY_FAULTS
from answerable.errors.codes.services import CLI_FILE

if TYPE_CHECKING:
    from answerable.core.approval.assurance_level import SignedWith
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.policy_sets.policy_fault import PolicyFault
    from answerable.wiring.policy_directory import CheckedSet
    from answerable.wiring.policy_trials import Tried, TriedSet

Directory = Annotated[Path, typer.Argument(help="Directory of the policy set.", metavar="DIR")]
Documents = Annotated[
    list[str] | None,
    typer.Option(
        "--registry",
        help="Registry documents to check against: a YAML file or directory; default: the registered ones.",
        show_default=False,
        metavar="DOCS",
    ),
]
Coverage = Annotated[bool, typer.Option("--coverage/--no-coverage", help="Fail if a policy decides no case.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write to this file instead of standard output.", metavar="FILE"),
]

_MARKS: Final = {True: "ok", False: "failed"}


def register(app: typer.Typer) -> None:
    """Add the noun `policy`."""
    policy = typer.Typer(
        no_args_is_help=True, help="Policy sets under version control, before they are published."
    )
    command(policy, "check", reads=True)(check)
    command(policy, "test", reads=True)(try_tables)
    command(policy, "compile")(compile_set)
    command(policy, "schema")(schema)
    policy_simulation.register(policy)
    policy_suggestions.register(policy)
    policy_shadow.register(policy)
    policy_publishing.register(policy)
    app.add_typer(policy, name="policy")


def check(shell: Shell, directory: Directory, registry: Documents = None) -> int | None:
    """Check a policy set and print every fault.

    What publication refuses, and more: rules that can never match or change nothing, names that nothing has, groups
    that cannot answer, what is declared and not read. Each with its file and line; exit code 5 when there is one.
    """
    from answerable.wiring.policy_directory import check_set

    documents, known = _registered(shell, registry)
    checked = check_set(directory, documents, known=known)
    if shell.terminal.as_json:
        shell.terminal.json(
            {
                "name": checked.name,
                "policies": len(checked.policies),
                "cases": len(checked.cases),
                "faults": [_fault_row(fault) for fault in checked.faults],
                "untold": list(checked.untold),
            }
        )
        return CHECK_FAILED if checked.faults else None
    if checked.faults:
        return _faulty(shell, directory, checked.faults)
    told = (
        _counted(len(checked.policies), "policy", "policies"),
        _counted(len(checked.cases), "case", "cases"),
    )
    shell.terminal.say(f"{', '.join(told)}, no fault")
    _say_untold(shell, checked)
    return None


def try_tables(
    shell: Shell, directory: Directory, registry: Documents = None, coverage: Coverage = True
) -> int | None:
    """Decide the tables of a policy set.

    By the decision point that would be in force, other registered sets included. Exit code 5 when a case comes out
    otherwise, or a policy decides nothing in any case.
    """
    from answerable.wiring.policy_directory import check_set
    from answerable.wiring.policy_trials import try_set

    documents, known = _registered(shell, registry)
    checked = check_set(directory, documents, known=known)
    if checked.faults:
        if shell.terminal.as_json:
            shell.terminal.json({"faults": [_fault_row(fault) for fault in checked.faults], "cases": []})
            return CHECK_FAILED
        return _faulty(shell, directory, checked.faults)
    found = try_set(checked)
    missed = found.untried_faults()
    wrong = bool(found.failed or (coverage and missed))
    if shell.terminal.as_json:
        shell.terminal.json(_as_json(checked, found, missed))
        return CHECK_FAILED if wrong else None
    _show_tried(shell, directory, found)
    for fault in missed:
        shell.terminal.warn(f"{directory / fault.file}:{fault.line}: {fault.message} [{fault.code}]")
    share = f"{len(checked.policies) - len(missed)} of {len(checked.policies)} policies decide a case"
    passed = len(found.tried) - len(found.failed)
    shell.terminal.say(f"{passed} of {len(found.tried)} cases passed; {share}")
    if wrong:
        shell.terminal.fault("the tests of this set fail")
    return CHECK_FAILED if wrong else None


def compile_set(shell: Shell, directory: Directory, output: Output = None) -> int | None:
    """The registry document that a policy set stands for, as YAML.

    It is what `answerable apply` takes. Needs no registry, and so checks the files only.
    """
    from answerable.wiring.policy_directory import compiled_set
    from answerable.wiring.policy_yaml import document_text

    _write(shell, document_text(compiled_set(directory)), output)
    return None


def schema(
    shell: Shell,
    registry: Documents = None,
    output: Output = None,
    beside: Annotated[
        Path | None,
        typer.Option("--for", help="Include the trackers and windows of this policy set.", metavar="DIR"),
    ] = None,
) -> int | None:
    """The Cedar schema of what is registered, in Cedar's own syntax.

    Kept as schema.cedarschema in a set, it tells editors and reviewers what policies can say.
    """
    from answerable.wiring.policy_directory import schema_for

    _write(shell, schema_for(_registered(shell, registry)[0], beside), output)
    return None


def _registered(shell: Shell, sources: list[str] | None) -> tuple[list[JSONValue], SignedWith]:
    """Return the documents in the named files, or else the registered ones, whether or not a server runs; and what is
    known of passkeys, which the documents do not contain."""
    from answerable.client import registry_calls
    from answerable.core.approval.assurance_level import NOTHING_KNOWN

    if not sources:
        try:
            with shell.control() as control:
                documents: list[JSONValue] = [one.document for one in registry_calls.list_documents(control)]
                return documents, people_signing(control, shell.settings().walk.signatures)
        except Unavailable as error:
            if error.code == "control.no_data":
                shell.terminal.say("without a data directory, give registry documents with --registry")
            raise
    from answerable.core.registry.parsing.active import faults_of_new
    from answerable.wiring.registry_documents import read_documents

    reading = read_documents(sources, standard_input="")
    faults = reading.faults or tuple(map(reading.located, faults_of_new(reading.documents)))
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise REGISTRY_FAULTS(f"{faults[0]}{more}")
    return list(reading.documents), NOTHING_KNOWN


def _faulty(shell: Shell, directory: Path, faults: tuple[PolicyFault, ...]) -> int:
    for fault in faults:
        shell.terminal.line(f"{directory / fault.file}:{fault.line}: {fault.message} [{fault.code}]")
    shell.terminal.fault(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}")
    return CHECK_FAILED


def _say_untold(shell: Shell, checked: CheckedSet) -> None:
    if checked.untold:
        few = ", ".join(checked.untold[:5]) + (" …" if len(checked.untold) > 5 else "")
        shell.terminal.say(f"{len(checked.untold)} of them are too large to analyse: {few}")


def _show_tried(shell: Shell, directory: Path, found: TriedSet) -> None:
    rows = [(_MARKS[not one.differences], one.got, one.name, ", ".join(one.decided)) for one in found.tried]
    shell.terminal.table(("result", "decided", "case", "by"), rows, empty="the set has no cases")
    for one in found.failed:
        for difference in one.differences:
            shell.terminal.warn(f"{directory / one.file}:{one.line}: {one.name}: {difference}")


def _as_json(checked: CheckedSet, found: TriedSet, missed: tuple[PolicyFault, ...]) -> dict[str, object]:
    return {
        "name": checked.name,
        "faults": [],
        "cases": [_case_row(one) for one in found.tried],
        "passed": len(found.tried) - len(found.failed),
        "failed": len(found.failed),
        "policies": len(checked.policies),
        "untried": [_fault_row(fault) for fault in missed],
    }


def _case_row(one: Tried) -> dict[str, object]:
    return {
        "file": one.file,
        "line": one.line,
        "name": one.name,
        "passed": not one.differences,
        "expected": one.expected,
        "got": one.got,
        "by": list(one.decided),
        "differences": list(one.differences),
    }


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _fault_row(fault: PolicyFault) -> dict[str, object]:
    return {"file": fault.file, "line": fault.line, "code": fault.code, "message": fault.message}


def _write(shell: Shell, text: str, output: Path | None) -> None:
    if output is None:
        shell.terminal.text(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CLI_FILE(f"cannot write {output}: {(error.strerror or '').lower()}") from None
    shell.terminal.say(f"written to {output}")
