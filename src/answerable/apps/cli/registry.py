"""Registered documents on the command line: apply, diff, validate; registry check, list, show; agents, capabilities,
servers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from answerable.apps.cli import capabilities
from answerable.apps.cli.applied_report import SIGN_STYLES, SIGNS, show_applied, warn_inactive
from answerable.apps.cli.capabilities import standing
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED, ERROR
from answerable.errors import Malformed, shown
from answerable.errors.codes.registry import AGENT_UNKNOWN
from answerable.errors.codes.services import CLI_FILES, CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.api.members import AnyObject
    from answerable.api.registry_answers import Applied
    from answerable.apps.cli.control import Control
    from answerable.core.canonical import JSONValue
    from answerable.wiring.registry_documents import Reading

Files = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", help="YAML file, directory, or - for standard input.", metavar="FILE"),
]
MoreFiles = Annotated[list[str] | None, typer.Argument(help="Further files.", metavar="FILE")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check, and print what would change; change nothing.")
]
Prune = Annotated[
    bool, typer.Option("--prune", help="Remove registered documents that are not in these files.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs on documents and the nouns of the registry."""
    command(app, "apply", reads=True, asks=True, panel="Documents")(apply)
    command(app, "diff", reads=True, panel="Documents")(show_diff)
    command(app, "validate", reads=True, panel="Documents")(validate)
    registry = typer.Typer(no_args_is_help=True, help="Registered documents, and what is missing in them.")
    command(registry, "check", reads=True)(check)
    command(registry, "list", reads=True)(list_documents)
    command(registry, "show", reads=True)(show_document)
    app.add_typer(registry, name="registry")
    capabilities.register(app)
    server = typer.Typer(no_args_is_help=True, help="Upstream MCP servers.")
    command(server, "list", reads=True)(list_servers)
    app.add_typer(server, name="server")


def apply(
    shell: Shell, file: Files = None, files: MoreFiles = None, dry_run: DryRun = False, prune: Prune = False
) -> int | None:
    """Put documents into force.

    Adds them to the registered ones: all of them, or none if one has a fault.
    """
    from answerable.api.registry_answers import Documents
    from answerable.client import registry_calls

    reading = _read(shell, file, files)
    with shell.control(creates=True) as control:
        faults = _faults(reading, _stored(control), prune=prune)
        if faults:
            return _faulty(shell, faults, ERROR)
        given = Documents(documents=cast("tuple[AnyObject, ...]", reading.documents), prune=prune)
        try:
            planned = registry_calls.plan_documents(control, given)
        except Malformed as fault:
            raise _with_files(reading, fault) from None
        removed = [change for change in planned.changes if change.how == "removed"]
        if dry_run:
            show_applied(shell, planned, done=False)
            return None
        if removed:
            names = ", ".join(f"{one.kind} {one.name}" for one in removed)
            if not shell.terminal.confirmed(f"Remove {names}?", yes=shell.yes):
                raise CLI_NOT_CONFIRMED("not confirmed: nothing was changed")
        applied = registry_calls.apply_documents(control, given)
        show_applied(shell, applied, done=True)
        _warn_of_duties(shell, control, applied)
    return None


def _warn_of_duties(shell: Shell, control: Control, applied: Applied) -> None:
    """Warn about gaps in duty coverage as soon as a Duty or a Principal has changed."""
    from answerable.client import registry_calls

    if shell.terminal.as_json or not any(one.kind in ("Duty", "Principal") for one in applied.changes):
        return
    for one in registry_calls.check_registry(control).findings:
        if one.kind == "Duty":
            shell.terminal.warn(f"Duty {one.name} {one.message}")


def show_diff(shell: Shell, file: Files = None, files: MoreFiles = None, prune: Prune = False) -> int | None:
    """Print what `apply` would change, field by field."""
    from answerable.api.registry_answers import Documents
    from answerable.client import registry_calls
    from answerable.core.canonical import encode
    from answerable.core.registry.documents.standing import with_standing
    from answerable.core.registry.parsing.parse import document_key
    from answerable.wiring.registry_documents import changes

    reading = _read(shell, file, files)
    with shell.control() as control:
        stored = _stored(control)
        faults = _faults(reading, stored, prune=prune)
        if faults:
            return _faulty(shell, faults, ERROR)
        planned = registry_calls.plan_documents(
            control, Documents(documents=cast("tuple[AnyObject, ...]", reading.documents), prune=prune)
        )
    old = {key: encode(document) for key, document in stored.items()}
    given = {
        document_key(one): encode(with_standing(one, stored.get(document_key(one))))
        for one in reading.documents
    }
    found = changes(old, given if prune else {**old, **given})
    if shell.terminal.as_json:
        shell.terminal.json(
            [{"key": change.key, "how": change.kind, "lines": list(change.lines)} for change in found]
        )
        return None
    for change in found:
        shell.terminal.line(f"{SIGNS[change.kind]} {change.key}", SIGN_STYLES[change.kind])
        for line in change.lines:
            shell.terminal.line(f"    {line}")
    if not found:
        shell.terminal.say("no changes")
    warn_inactive(shell, planned.inactive)
    return None


def validate(shell: Shell, file: Files = None, files: MoreFiles = None) -> int | None:
    """Check documents without a server.

    Give all documents that belong together. Prints each fault with its file and line; exit code 5 if there is one.
    """
    from answerable.api.registry_answers import InactiveDocument
    from answerable.wiring.registry_documents import faults_in, inactive_in

    reading = _read(shell, file, files)
    faults = faults_in(reading)
    if faults:
        return _faulty(shell, faults, CHECK_FAILED)
    resting = [
        InactiveDocument(kind=one.kind, name=one.name, missing=tuple(one.missing), reasons=tuple(one.reasons))
        for one in inactive_in(reading.documents)
    ]
    if shell.terminal.as_json:
        shell.terminal.json({"documents": len(reading.documents), "faults": [], "inactive": resting})
    else:
        shell.terminal.say(f"{len(reading.documents)} documents, no fault")
        warn_inactive(shell, resting)
    return None


def check(shell: Shell) -> int | None:
    """What is missing before registered documents become active.

    Also prints what an owner should check. Exit code 5 if a registered document is not active.
    """
    from answerable.client import registry_calls

    with shell.control() as control:
        found = registry_calls.check_registry(control)
    failed = CHECK_FAILED if found.inactive else None
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return failed
    rows = [("inactive", one.kind, one.name, "; ".join(one.reasons)) for one in found.inactive]
    rows += [("look at", one.kind, one.name, one.message) for one in found.findings]
    shell.terminal.table(
        ("what", "kind", "name", "why"), rows, empty="everything that is registered is active"
    )
    return failed


def list_documents(
    shell: Shell, kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None
) -> int | None:
    """Registered documents, active or not."""
    from answerable.client import registry_calls

    with shell.control() as control:
        items = list(registry_calls.list_documents(control, kind=kind or None))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("kind", "name", "state", "why"),
        [(one.kind, one.name, standing(one), "; ".join(one.reasons)) for one in items],
        empty="nothing is registered: begin with `answerable apply -f FILE`",
    )
    return None


def show_document(
    shell: Shell,
    kind: Annotated[
        str, typer.Argument(help="Kind of the document, such as Agent or Capability.", metavar="KIND")
    ],
    name: Annotated[str, typer.Argument(help="metadata.name of the document.", metavar="NAME")],
) -> int | None:
    """One document as it is stored."""
    import yaml

    from answerable.client import registry_calls

    with shell.control() as control:
        item = registry_calls.show_document(control, kind, name)
    if shell.terminal.as_json:
        shell.terminal.json(item)
        return None
    # The emitter escapes non-printable characters, so the text is safe to display and can be applied again.
    for line in yaml.safe_dump(item.document, sort_keys=False).splitlines():
        shell.terminal.line(line)
    for reason in item.reasons:
        shell.terminal.warn(f"not active: {reason}")
    return None


def list_agents(shell: Shell) -> int | None:
    """Registered agents, active or not."""
    from answerable.client import registry_calls

    with shell.control() as control:
        items = list(registry_calls.list_agents(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("name", "state", "use case", "environment", "owner"),
        [(one.name, standing(one), one.use_case, one.environment, one.ownership.owner) for one in items],
        empty="no agent is registered",
    )
    return None


BESIDE: Final = (
    "the server's own: it can read the server's keys and answer as its people: give it another account"
)


def show_agent(shell: Shell, name: Annotated[str, typer.Argument(help="Name of the agent.")]) -> int | None:
    """One agent, and who answers for it."""
    from answerable.client import registry_calls

    with shell.control() as control:
        agent = next((one for one in registry_calls.list_agents(control) if one.name == name), None)
    if agent is None:
        raise AGENT_UNKNOWN(f"there is no agent {shown(name)}")
    if shell.terminal.as_json:
        shell.terminal.json(agent)
        return None
    owned = agent.ownership
    shell.terminal.record(
        [
            ("name", agent.name),
            ("state", standing(agent)),
            ("why", agent.reasons),
            ("status", agent.status),
            ("use case", agent.use_case),
            ("environment", agent.environment),
            ("owner", owned.owner),
            ("backup owner", owned.backup_owner),
            ("approver group", owned.approver_group),
            ("audit level", owned.audit_level),
            ("review date", owned.review_date),
            ("keys", agent.keys),
            ("unix users", agent.unix_uids),
            ("certificates", agent.certificates),
            ("account", BESIDE if agent.shares_account else "not known to be the server's own"),
        ]
    )
    return None


def list_servers(shell: Shell) -> int | None:
    """Upstream servers and their states."""
    from answerable.client import registry_calls

    with shell.control() as control:
        items = list(registry_calls.list_servers(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("name", "state", "transport", "target"),
        [(one.name, one.state, one.transport, one.target) for one in items],
        empty="no server is registered",
    )
    return None


def _read(shell: Shell, file: list[str] | None, files: list[str] | None) -> Reading:
    from answerable.wiring.registry_documents import read_documents

    sources = [*(file or ()), *(files or ())]
    if not sources:
        raise CLI_FILES("give the documents: -f FILE, a directory, or - for standard input")
    piped = sys.stdin.read() if "-" in sources else ""
    return read_documents(sources, standard_input=piped)


def _with_files(reading: Reading, fault: Malformed) -> Malformed:
    """Add file names to a fault in policies: the server names the policy set, the author looks for the file."""
    named: dict[str, str] = {}
    for document, origin in zip(reading.documents, reading.origins, strict=True):
        if isinstance(document, dict) and document.get("kind") == "PolicySet":
            metadata = document.get("metadata")
            set_name = shown(metadata.get("name")) if isinstance(metadata, dict) else ""
            if f"PolicySet {set_name}" in fault.message:
                named[f"PolicySet {set_name}"] = origin.file
    if not named:
        return fault
    told = ", ".join(f"{one} is in {file}" for one, file in named.items())
    return Malformed(f"{fault.message} ({told})", code=fault.code)


def _stored(control: Control) -> dict[str, JSONValue]:
    from answerable.client import registry_calls

    return {f"{one.kind}/{one.name}": one.document for one in registry_calls.list_documents(control)}


def _faults(reading: Reading, stored: dict[str, JSONValue], *, prune: bool) -> tuple[str, ...]:
    """Return every fault of the files, judged together with the documents that stay registered, each with file and
    line."""
    from answerable.core.registry.parsing.active import faults_of, faults_of_new
    from answerable.core.registry.parsing.parse import document_key

    shapes = (fault for fault in faults_of_new(reading.documents) if fault.kind == "shape")
    own = (*reading.faults, *map(reading.located, shapes))
    if own:
        return own
    given = {document_key(document) for document in reading.documents}
    kept = [] if prune else [document for key, document in stored.items() if key not in given]
    merged = (*reading.documents, *kept)
    found: list[str] = []
    for fault in faults_of(merged):
        if fault.document < len(reading.documents):
            found.append(reading.located(fault))
        else:
            found.append(f"registered {document_key(merged[fault.document])}: {fault.message}")
    return tuple(found)


def _faulty(shell: Shell, faults: Iterable[str], code: int) -> int:
    listed = list(faults)
    if shell.terminal.as_json:
        shell.terminal.json({"faults": list(listed)})
    else:
        for fault in listed:
            shell.terminal.warn(fault)
    shell.terminal.fault(f"{len(listed)} {'fault' if len(listed) == 1 else 'faults'}: nothing was changed")
    return code
