"""Read policy sets from the directories and document files given to a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from answerable.errors import Refused, shown
from answerable.errors.codes.ledger import SET_FAULTS, SET_TESTS
from answerable.errors.codes.registry import REGISTRY_FAULTS
from answerable.errors.codes.services import CLI_SETS

if TYPE_CHECKING:
    from answerable.api.members import AnyObject
    from answerable.apps.cli.control import Control
    from answerable.core.approval.assurance_level import AssuranceLevel, SignedWith
    from answerable.core.canonical import JSONValue

Sources = Annotated[
    list[Path] | None,
    typer.Argument(help="Directories of policy sets, or YAML files of PolicySet documents.", metavar="SET"),
]
Removed = Annotated[
    list[str] | None, typer.Option("--remove", help="Remove this policy set.", metavar="NAME")
]

_WANTED: Final = "name a directory with a `set.yaml`, a YAML file of PolicySet documents, or --remove NAME"


def check_given(*given: object) -> None:
    """Check that something to try was given. Raises Malformed (`cli.sets`)."""
    if not any(given):
        raise CLI_SETS(f"the command line has no PolicySet: {_WANTED}")


def people_signing(control: Control, signatures: tuple[AssuranceLevel, ...] | None = None) -> SignedWith:
    """Return what the server knows of people's passkeys. signatures: levels that its settings require per tier, if
    known."""
    from answerable.client import person_calls
    from answerable.core.approval.assurance_level import ANY_FOR_ALL, SignedWith, held_strength, stronger

    strongest: dict[str, AssuranceLevel] = {}
    try:
        for one in person_calls.list_passkeys(control):
            held = held_strength(attested=one.attested, backup_eligible=one.backup_eligible)
            strongest[one.person] = stronger(held, strongest.get(one.person, "any"))
    except Refused as refused:
        # Without a console, nobody has a passkey.
        if refused.code != "passkey.off":
            raise
    return SignedWith(passkeys=strongest, signatures=signatures or ANY_FOR_ALL)


def gathered(
    control: Control, sources: list[Path], signatures: tuple[AssuranceLevel, ...] | None = None
) -> tuple[list[AnyObject], dict[str, JSONValue]]:
    """Return the documents of directories and files, and the test results of each directory. signatures: as in
    `people_signing`.

    Raises Malformed (`cli.sets`, `set.faults`, `set.tests`, `registry.faults`).
    """
    from answerable.client import registry_calls
    from answerable.wiring.policy_directory import check_set
    from answerable.wiring.policy_trials import try_set
    from answerable.wiring.registry_documents import read_documents

    documents: list[AnyObject] = []
    tests: dict[str, JSONValue] = {}
    registered: list[JSONValue] = [one.document for one in registry_calls.list_documents(control)]
    known = people_signing(control, signatures)
    for source in sources:
        if not (source / "set.yaml").is_file():
            reading = read_documents([str(source)], standard_input="")
            is_bare = source.is_dir() and not any(source.rglob("*.y*ml"))
            if reading.faults and not is_bare:
                raise REGISTRY_FAULTS(reading.faults[0])
            found = cast("tuple[AnyObject, ...]", reading.documents)
            if not any(one.get("kind") == "PolicySet" for one in found):
                raise CLI_SETS(f"{shown(source)} has no PolicySet: {_WANTED}")
            documents += found
            continue
        checked = check_set(source, registered, known=known)
        if checked.faults:
            first = checked.faults[0]
            told = f"{source / first.file}:{first.line}: {first.message}"
            raise SET_FAULTS(f"{told}: `answerable policy check {source}` lists all")
        tried = try_set(checked)
        if tried.failed:
            raise SET_TESTS(
                f"{len(tried.failed)} tests of {source} fail: `answerable policy test {source}` lists all"
            )
        untried = len(tried.untried_faults())
        tests[checked.name] = {"failed": 0, "passed": len(tried.tried), "policies_untried": untried}
        documents.append(checked.document)
    return documents, tests
