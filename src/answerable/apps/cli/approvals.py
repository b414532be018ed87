"""Approvals: list, show, approve, deny. What is signed is the digest of exactly what was shown here."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from answerable.apps.cli.command import PENDING, Shell, command
from answerable.apps.cli.terminal import safe
from answerable.errors import Refused, Unverified

if TYPE_CHECKING:
    from typing import Literal

    from answerable.apps.cli.control import Answer
    from answerable.core.approval.approval import Approval
    from answerable.core.identity.principal import UnixMillis

Id = Annotated[str, typer.Argument(help="Id of the approval.", metavar="ID")]
Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]
Comment = Annotated[str, typer.Option("--comment", help="Why, for the record.")]
State = Annotated[
    str, typer.Option(help="Only those that are pending, approved, denied, expired or used; or all.")
]

_ALL: Final = "all"
_QUESTIONS: Final = {"approve": "Approve exactly this?", "deny": "Deny this?"}


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = typer.Typer(no_args_is_help=True, help="Approvals: actions that wait for people.")
    command(group, "list", reads=True)(list_approvals)
    command(group, "show", reads=True)(show)
    command(group, "approve", reads=True, asks=True)(approve)
    command(group, "deny", reads=True, asks=True)(deny)
    app.add_typer(group, name="approval")


def list_approvals(shell: Shell, state: State = "pending") -> int | None:
    """Actions that wait for people, newest first."""
    with shell.control() as control:
        items = list(control.every("/v1/approvals", **({} if state == _ALL else {"state": state})))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "state", "asks", "agent", "for", "action", "until"),
        [
            (
                one["id"],
                one["state"],
                _asked(one),
                one["agent"],
                one["principal"],
                _call(one),
                one["expires_at"],
            )
            for one in items
        ],
        empty="nothing waits for an approval" if state == "pending" else "there is no such approval",
    )
    return None


def show(shell: Shell, id: Id) -> int | None:
    """One approval, with exactly what will run."""
    from answerable.apps.cli.control import segment

    with shell.control() as control:
        approval = control.get(f"/v1/approvals/{segment(id)}")
    if shell.terminal.as_json:
        shell.terminal.json(approval)
    else:
        _show(shell, approval)
    return None


def approve(shell: Shell, id: Id, person: Person, key: KeyFile, comment: Comment = "") -> int | None:
    """Sign a yes to exactly what is shown.

    Exit code 4 while others must answer too.
    """
    return _answer(shell, id, person, key, comment, "approve")


def deny(shell: Shell, id: Id, person: Person, key: KeyFile, comment: Comment = "") -> int | None:
    """Sign a no: it will not run."""
    return _answer(shell, id, person, key, comment, "deny")


def _answer(
    shell: Shell, id: str, person: str, key: Path, comment: str, verdict: Literal["approve", "deny"]
) -> int | None:
    from answerable.apps.cli.control import segment
    from answerable.core.identity.principal import UnixMillis, principal_id
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_answer

    signing_key = load_key(key)
    by = principal_id(person)
    with shell.control() as control:
        approval = control.get(f"/v1/approvals/{segment(id)}")
        waiting = _approval(approval)
        if approval["state"] != "pending":
            raise Refused(
                f"approval {waiting.id} is {approval['state']}, so it can no longer be answered",
                code="approval.not_pending",
            )
        if not shell.terminal.as_json:
            _show(shell, approval)
        if not shell.terminal.confirmed(_QUESTIONS[verdict], yes=shell.yes):
            raise Refused("not confirmed: nothing was signed", code="cli.not_confirmed")
        token = signed_answer(
            waiting,
            by=by,
            verdict=verdict,
            comment=comment,
            audience=str(approval["audience"]),
            at=UnixMillis(time.time_ns() // 1_000_000),
            key=signing_key,
        )
        after = control.post(f"/v1/approvals/{segment(id)}/answer", {"token": token})
    if shell.terminal.as_json:
        shell.terminal.json(after)
    elif after["state"] == "pending":
        yes = sum(one["verdict"] == "approve" for one in after["answers"])
        shell.terminal.say(f"answered: it asks for {_asked(after)}, {yes} said yes so far")
    elif after["state"] == "approved":
        shell.terminal.say("approved: the agent may now run exactly this, once")
    else:
        shell.terminal.say(f"the approval is {after['state']}")
    return PENDING if after["state"] == "pending" else None


def _approval(answer: Answer) -> Approval:
    """The approval made from what was received, so that what is shown, hashed and signed are one value.

    Raises Unverified (`cli.digest`) when the digest is not that of the action.
    """
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.canonical import FrozenJSON
    from answerable.core.decision.facts import Requirement
    from answerable.core.identity.principal import AgentId, PrincipalId
    from answerable.core.mandate.mandate import MandateId

    action = FrozenJSON.from_canonical(str(answer["action"]).encode())
    if action.hex != answer["digest"]:
        raise Unverified(
            "the server's digest is not that of the action it shows: sign nothing",
            code="cli.digest",
            step="digest",
        )
    return Approval(
        id=ApprovalId(str(answer["id"])),
        agent=AgentId(str(answer["agent"])),
        mandate=MandateId(str(answer["mandate"])),
        principal=PrincipalId(str(answer["principal"])),
        capability=str(answer["capability"]),
        action=action,
        requirements=tuple(
            Requirement(group=str(one["group"]), count=int(one["count"])) for one in answer["requirements"]
        ),
        reasons=tuple(str(reason) for reason in answer["reasons"]),
        created_at=_millis(answer["created_at"]),
        expires_at=_millis(answer["expires_at"]),
    )


def _show(shell: Shell, approval: Answer) -> None:
    action = json.loads(approval["action"])
    terminal = shell.terminal
    terminal.record(
        [
            ("approval", approval["id"]),
            ("state", approval["state"]),
            ("agent", approval["agent"]),
            ("for", approval["principal"]),
            ("mandate", approval["mandate"]),
            ("purpose", approval["purpose"]),
            ("because", approval["reasons"]),
            *([("for people only", approval["internal"])] if approval.get("internal") else []),
            ("asks", _asked(approval)),
            ("answers", [_said(one) for one in approval["answers"]]),
            ("until", approval["expires_at"]),
        ]
    )
    terminal.line("")
    terminal.line("exactly this will run:", "bold")
    terminal.record(
        [
            ("  server", action["server"]),
            ("  method", action["method"]),
            ("  target", action["target"]),
            ("  digest", approval["digest"]),
        ]
    )
    terminal.line("  arguments")
    for line in json.dumps(action["arguments"], indent=2, ensure_ascii=False).splitlines():
        terminal.line(f"    {line}")


def _said(answer: Answer) -> str:
    comment = f": {answer['comment']}" if answer["comment"] else ""
    return f"{answer['by']} said {answer['verdict']} at {answer['at']}{comment}"


def _asked(approval: Answer) -> str:
    return " and ".join(f"{one['count']} of {one['group']}" for one in approval["requirements"])


def _call(approval: Answer) -> str:
    action = json.loads(approval["action"])
    return safe(f"{action['target']} on {action['server']}")


def _millis(text: str) -> UnixMillis:
    when = datetime.fromisoformat(text)
    return cast("UnixMillis", round(when.timestamp() * 1000))
