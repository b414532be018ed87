"""Check the settings and the installation: `status`, `check-config` and `doctor`."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.apps.cli.checked_files import (
    LEDGER_FILES,
    Finding,
    directory_finding,
    if_damaged,
    own_files,
)
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.apps.cli.followed_logs import ODD, log_told
from answerable.apps.cli.policy_publishing import ALONE
from answerable.apps.cli.registry import BESIDE
from answerable.apps.cli.told_shards import shard_told
from answerable.errors import AnswerableError
from answerable.errors.codes.ledger import (
    LEDGER_CORRUPT,
    LEDGER_ENTRIES_MISSING,
    LEDGER_LEAF_MALFORMED,
    LEDGER_ROLLED_BACK,
    LEDGER_ROOT_MISMATCH,
    LEDGER_UNREADABLE,
    REGISTER_UNAVAILABLE,
)
from answerable.extras import is_native

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import typer

    from answerable.api.lease_answers import DueSecret
    from answerable.api.ledger_answers import Shard, Status, TargetLog, Witness
    from answerable.api.registry_answers import Server
    from answerable.apps.cli.control import Control
    from answerable.wiring.setting_tree import Settings

_DOWN: Final = {
    "stdio": "see the log of `answerable up`, and its own output in `upstream-logs` in the data directory",
    "http": "see the log of `answerable up`, and that of the server",
    "broker": "see the log of `answerable up`, and whether `answerable lease targets` has it: its file is in "
    "`broker.targets`",
}
"""What to do about a server that is down, by how it is reached."""
_DAMAGED: Final = frozenset(one.id for one in (LEDGER_CORRUPT, LEDGER_LEAF_MALFORMED, LEDGER_ROOT_MISMATCH))
"""Errors of a ledger that is not what was written; each says what is damaged, and not what to do."""
ATTEMPTS_FAULT: Final = 8
"""Failed tries of a delivery in a row, some four minutes, after which its receiver is at fault."""


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    command(app, "status", reads=True, panel="What happened")(status)
    command(app, "check-config", reads=True, panel="Running it")(check_config)
    command(app, "doctor", reads=True, panel="Running it")(doctor)


def status(shell: Shell) -> int | None:
    """The state of the product, in a few lines."""
    from answerable.client import ledger_calls

    with shell.control() as control:
        found = ledger_calls.show_status(control)
        due = _due_secrets(control)
    if shell.terminal.as_json:
        known = {"secrets_due": due} if due is not None else {}
        shell.terminal.json({**structs.asdict(found), **known})
        return None
    servers = [f"{name}: {state}" for name, state in found.servers.items()]
    shell.terminal.record(
        [
            ("version", found.version),
            ("ledger", f"{found.origin}, {found.entries} entries"),
            ("open intents", found.open_intents),
            ("open mandates", found.mandates_open),
            ("pending approvals", found.approvals_pending),
            *([("reviews owed", _owed(found))] if found.reviews_owed else []),
            ("policy set", found.policy_set),
            ("publishers", found.policy_publishers or ALONE),
            ("registry", found.registry),
            ("servers", servers or ["none"]),
            ("witnesses", [_witness(one) for one in found.witnesses] or ["none"]),
            ("search", _search(found)),
            *([("logs", [log_told(one) for one in found.logs])] if found.logs else []),
            *([("secrets due", [f"{one.name}: {one.why}" for one in due])] if due else []),
            *([("shards", [shard_told(one) for one in found.shards])] if found.shards else []),
            *([("alarms", [*found.alarms])] if found.alarms else []),
        ]
    )
    return None


def _owed(status: Status) -> str:
    overdue = f", {status.reviews_overdue} of them OVERDUE" if status.reviews_overdue else ""
    return f"{status.reviews_owed} of break-glass uses{overdue}"


def _search(status: Status) -> str:
    match status.search.state:
        case "ok":
            return f"answered up to entry {status.search.entries}"
        case "alarm":
            return f"ALARM: {status.search.reason}"
        case "waiting":
            return "its process starts with the first question"
        case _:
            return "no process answers: `answerable search` reads the files"


def _witness(found: Witness) -> str:
    match found.state:
        case "ok":
            return f"{found.name}: cosigned size {found.size} at {found.cosigned_at}"
        case "alarm":
            return f"{found.name}: ALARM since {found.since}: {found.reason}"
        case _:
            return f"{found.name}: not asked yet"


def check_config(shell: Shell) -> int | None:
    """Check the settings and print every fault: of the file, and of what `up` needs of this machine.

    A fault of the file with its line. Exit code 5 when there is one.
    """
    from answerable.wiring.start_faults import config_faults

    found = config_faults(shell.data, shell.config)
    if shell.terminal.as_json:
        shell.terminal.json({"faults": list(found)})
    else:
        for fault in found:
            shell.terminal.line(fault)
        if not found:
            shell.terminal.say("the settings have no fault")
    return CHECK_FAILED if found else None


def doctor(shell: Shell) -> int | None:
    """Check for common problems.

    Prints each with what to do about it. Exit code 5 if there is one.
    """
    found = list(_findings(shell))
    if shell.terminal.as_json:
        shell.terminal.json(
            [{"name": one.name, "state": one.state, "says": one.says, "advice": one.advice} for one in found]
        )
    else:
        shell.terminal.table(
            ("check", "state", "says", "what to do"),
            [(one.name, one.state, one.says, one.advice) for one in found],
            empty="nothing to check",
        )
    return CHECK_FAILED if any(one.state == "fault" for one in found) else None


def _findings(shell: Shell) -> Iterator[Finding]:
    from answerable.wiring.settings import faults
    from answerable.wiring.start_faults import start_faults

    version = ".".join(str(part) for part in sys.version_info[:3])
    build = "native build" if is_native() else "pure Python build"
    yield Finding(name="python", state="ok", says=f"{version}, {build}")
    problems = faults(shell.data, shell.config)
    beyond = () if problems else start_faults(shell.settings())
    for problem in (*problems, *beyond):
        yield Finding(name="settings", state="fault", says=problem, advice="correct the settings file")
    if not problems and not beyond:
        yield Finding(name="settings", state="ok", says="no fault")
    yield from _target_plugins()
    yield directory_finding(shell.data)
    if problems or not shell.data.is_dir():
        return
    files = list(own_files(shell.settings(), shell.config))
    yield from files
    try:
        with _opened(shell, files) as control:
            yield from _product(control, shell.settings())
    except AnswerableError as error:
        advice = _advice(error.code, shell.settings().ledger.directory)
        yield Finding(name="product", state="fault", says=error.message, advice=advice)


@contextmanager
def _opened(shell: Shell, files: Collection[Finding]) -> Iterator[Control]:
    """Open the control API. Raises Broken (`ledger.corrupt`) where that would change a damaged ledger: an opening makes
    wrong tiles again."""
    from answerable.apps.cli.control import running

    if any((one.name, one.state) == (LEDGER_FILES, "fault") for one in files):
        with running(shell.settings()) as control:
            if control is None:
                raise LEDGER_CORRUPT("not opened: an opening makes damaged tiles again")
            yield control
    else:
        with shell.control() as control:
            yield control


def _advice(code: str, ledger: Path) -> str:
    if code in _DAMAGED:
        return if_damaged(ledger)
    if code == LEDGER_ENTRIES_MISSING.id:
        # What is left of it may well be valid.
        return "stop, keep a copy of the directory, and restore the complete ledger from a backup"
    if code == LEDGER_ROLLED_BACK.id:
        return (
            "keep a copy of the directory and restore the complete ledger from a backup, unless the witness is wrong: "
            "see Alarms and rollbacks, docs/how-to/run-a-witness.md"
        )
    if code == REGISTER_UNAVAILABLE.id:
        return (
            "where access is denied, run this as the server's user; where the file is damaged, move it away with its "
            "`-wal` and `-shm`: the next start makes it again from the ledger"
        )
    if code == LEDGER_UNREADABLE.id:
        return "run this as the server's user"
    return "the message says what to do"


def _target_plugins() -> Iterator[Finding]:
    """List the kinds of targets by the distribution that brings them. None is imported: they are code of the broker."""
    from answerable.wiring.target_kinds import installed_kinds

    installed = installed_kinds()
    by: dict[str, list[str]] = {}
    for kind, plugins in installed.items():
        # What two distributions claim is refused: each is told below.
        for one in plugins if len(plugins) == 1 else ():
            by.setdefault(one.distribution, []).append(kind)
    for distribution, kinds in sorted(by.items()):
        yield Finding(name="target plug-ins", state="ok", says=f"{distribution}: {', '.join(kinds)}")
    for kind, plugins in installed.items():
        if len(plugins) > 1:
            says = f"{kind} is in {' and '.join(one.distribution for one in plugins)}"
            yield Finding(name="target plug-ins", state="fault", says=says, advice="uninstall all but one")


def _due_secrets(control: Control) -> tuple[DueSecret, ...] | None:
    """Return the secrets that the broker reports as due for replacement, or None if no broker answers."""
    from answerable.client import lease_calls

    try:
        return lease_calls.list_due_secrets(control).due
    except AnswerableError:
        return None


def _secrets(control: Control) -> Iterator[Finding]:
    for one in _due_secrets(control) or ():
        target = one.targets[0] if one.targets else "TARGET"
        advice = (
            f"answerable secret rotate {one.name}, or --at-target {target} where the broker can change it"
        )
        yield Finding(name=f"secret {one.name}", state="fault", says=one.why, advice=advice)


def _receivers(control: Control) -> Iterator[Finding]:
    """Report receivers of events and webhooks to which nothing can be delivered."""
    from answerable.client import event_calls

    for one in event_calls.list_event_streams(control):
        if one.attempts:
            yield Finding(
                name=f"receiver {one.receiver}",
                state="fault" if one.attempts >= ATTEMPTS_FAULT else "look at",
                says=f"{one.waiting} events wait: tried {one.attempts} times, again at {one.next_at}",
                advice="the log of `answerable up` says why it does not take them",
            )


def _account(settings: Settings) -> Finding:
    """Check the account under which the stdio servers started by `up` run."""
    from answerable.wiring.accounts import stdio_account, stdio_fault, stdio_note

    name = "servers over stdio"
    if fault := stdio_fault(settings):
        return Finding(
            name=name, state="fault", says=fault, advice="start the server as root, or empty the setting"
        )
    if note := stdio_note(settings):
        return Finding(name=name, state="look at", says=note)
    return Finding(name=name, state="ok", says=f"run under the account {stdio_account(settings)}")


def _product(control: Control, settings: Settings) -> Iterator[Finding]:
    from answerable.client import ledger_calls, registry_calls

    status = ledger_calls.show_status(control)
    yield Finding(name="ledger", state="ok", says=f"{status.origin}, {status.entries} entries")
    for said in status.alarms:
        advice = "report it with the log of `answerable up`: actions are verified anew from then on"
        yield Finding(name="plans", state="fault", says=said, advice=advice)
    for one in status.unreadable:
        says = f"{one.what} {one.name} cannot be read and is out of use: {one.why}"
        # Who edited it may have cleared the note by which a start would know.
        advice = "restart, which may restore it from the ledger; if not, restore the registers from a backup"
        yield Finding(name="registers", state="fault", says=says, advice=advice)
    for said in status.registers:
        yield Finding(name="registers", state="look at", says=said)
    if not status.unreadable and not status.registers:
        yield Finding(name="registers", state="ok", says="they match the ledger")
    yield _search_finding(status)
    yield from map(_log_finding, status.logs)
    if status.reviews_owed:
        late = bool(status.reviews_overdue)
        advice = (
            "another person reviews them: answerable approval list --reviews, answerable approval review ID"
        )
        yield Finding(
            name="reviews",
            state="fault" if late else "look at",
            says=_owed(status),
            advice=advice,
        )
    check = registry_calls.check_registry(control)
    for resting in check.inactive:
        says = f"{resting.kind} {resting.name} is not active: {'; '.join(resting.reasons)}"
        advice = "complete its document and apply it"
        yield Finding(name="registry", state="fault", says=says, advice=advice)
    for found in check.findings:
        yield Finding(name="registry", state="look at", says=f"{found.kind} {found.name} {found.message}")
    if not check.inactive:
        yield Finding(name="registry", state="ok", says="everything that is registered is active")
    for agent in registry_calls.list_agents(control):
        if agent.shares_account:
            yield Finding(name=f"agent {agent.name}", state="look at", says=f"its account is {BESIDE}")
    servers = list(registry_calls.list_servers(control))
    for server in servers:
        yield _server(server)
    if any(server.transport == "stdio" for server in servers):
        yield _account(settings)
    yield from _secrets(control)
    yield from _receivers(control)
    for shard in status.shards:
        yield _shard_finding(shard)
    for witness in status.witnesses:
        alarmed = witness.state == "alarm"
        yield Finding(
            name=f"witness {witness.name}",
            state="fault" if alarmed else "ok",
            says=_witness(witness),
            advice="do what the reason says; a witness must run and be reachable" if alarmed else "",
        )


def _shard_finding(shard: Shard) -> Finding:
    if shard.state == "alarm":
        advice = "stop it and restore its directory; see the reason"
        return Finding(name="shard", state="fault", says=shard_told(shard), advice=advice)
    if shard.process in ("this", "running"):
        return Finding(name="shard", state="ok", says=shard_told(shard))
    advice = "start it, unless it was ended on purpose: no action under its mandates is done meanwhile"
    return Finding(name="shard", state="look at", says=shard_told(shard), advice=advice)


def _search_finding(status: Status) -> Finding:
    says = _search(status)
    if status.search.state != "alarm":
        return Finding(name="search", state="ok", says=says)
    advice = "do what the reason says, or the log of `answerable up`; the index may be deleted at any time"
    return Finding(name="search", state="fault", says=says, advice=advice)


def _log_finding(log: TargetLog) -> Finding:
    name, says = f"log of {', '.join(log.targets)}", log_told(log)
    if log.state == "fault":
        advice = "make it readable for the account of `answerable up`, or correct `logs.follow`"
        return Finding(name=name, state="fault", says=says, advice=advice)
    if log.state != "ok" or any(log.lines.get(word) for word in ODD):
        advice = "answerable log list, answerable timeline TARGET"
        return Finding(name=name, state="look at", says=says, advice=advice)
    return Finding(name=name, state="ok", says=says)


def _server(server: Server) -> Finding:
    name = f"server {server.name}"
    program = server.target.split(" ", 1)[0]
    if server.transport == "stdio" and shutil.which(program) is None:
        advice = "install it, or set its full path in the document"
        return Finding(name=name, state="fault", says=f"there is no program {program}", advice=advice)
    if server.state == "down":
        says = "down: it is restarted or reconnected repeatedly"
        return Finding(name=name, state="fault", says=says, advice=_DOWN[server.transport])
    return Finding(name=name, state="ok", says=server.state)
