"""Reviews of break-glass approvals on the command line: list those that are owed, and give one."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.shown_object import shown_whole
from answerable.errors.codes.approval import REVIEW_NOT_OWED
from answerable.errors.codes.services import CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.api.approval_answers import AnswerGiven, Approval, Review

Reviews = Annotated[
    bool,
    typer.Option("--reviews", help="List instead break-glass uses that another person must still review."),
]
Id = Annotated[str, typer.Argument(help="Id of the approval.", metavar="ID")]
Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]
Found = Annotated[str, typer.Option("--comment", help="Your finding, for the record.")]
Judgement = Annotated[
    Literal["justified", "unjustified"],
    typer.Option("--verdict", help="Whether the use of break-glass was justified."),
]


def register_glass(group: typer.Typer) -> None:
    """Add the verb to the noun `approval`."""
    judges = "ID --as pia --key pia.jwk --verdict justified --comment 'nobody was awake'"
    command(group, "review", reads=True, asks=True, example=f"approval review {judges}")(review)


def list_reviews(shell: Shell) -> int | None:
    """List the break-glass approvals that await a review, overdue ones first."""
    from answerable.client import approval_calls

    with shell.control() as control:
        items = [
            one
            for state in ("overdue", "owed")
            for one in approval_calls.list_approvals(control, review=state)
        ]
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "review", "due", "broken by", "agent", "capability", "because"),
        [
            (
                one.id,
                owed.state,
                owed.due_at,
                broken.by,
                one.agent,
                one.capability,
                broken.comment,
            )
            for one in items
            if (broken := _broken(one)) is not None and (owed := one.review) is not None
        ],
        empty="no review is owed",
    )
    return None


def review(
    shell: Shell, id: Id, person: Person, key: KeyFile, verdict: Judgement, comment: Found
) -> int | None:
    """Sign your review of another person's use of break-glass."""
    from answerable.api.members import Token
    from answerable.client import approval_calls
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_review

    signing_key = load_key(key)
    with shell.control() as control:
        approval = approval_calls.show_approval(control, id, whole="true")
        broken = _broken(approval)
        if broken is None:
            raise REVIEW_NOT_OWED()
        shown, _ = shown_whole(approval)
        if not shell.terminal.as_json:
            _show(shell, approval, broken)
        if not shell.terminal.confirmed(f"Sign that this was {verdict}?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        token = signed_review(
            approval=str(approval.id),
            action=shown.hex,
            answer=sha256(str(broken.token).encode()).hexdigest(),
            by=principal_id(person),
            verdict=verdict,
            comment=comment,
            audience=str(approval.audience),
            at=UnixMillis(time.time_ns() // 1_000_000),
            key=signing_key,
        )
        after = approval_calls.review_glass(control, id, Token(token=token))
    if shell.terminal.as_json:
        shell.terminal.json(after)
    else:
        shell.terminal.say(f"reviewed: {told_review(after.review)}" if after.review else "reviewed")
    return None


def told_review(found: Review) -> str:
    """Return a review as one line."""
    if found.state == "done":
        return f"{found.by} found it {found.verdict} at {found.at}: {found.comment}"
    return f"{found.state}, due by {found.due_at}"


def _broken(approval: Approval) -> AnswerGiven | None:
    return next((one for one in approval.answers if one.verdict == "break_glass"), None)


def _show(shell: Shell, approval: Approval, broken: AnswerGiven) -> None:
    import json

    card = json.loads(approval.card)
    shell.terminal.heading("this was let run without its approval:")
    shell.terminal.heading(f"  {card['sentence']}")
    shell.terminal.record(
        [
            ("approval", approval.id),
            ("state", approval.state),
            ("broken by", f"{broken.by} at {broken.at}"),
            ("because", broken.comment),
            *([("prepared", [": ".join(pair) for pair in card["prepared"]])] if "prepared" in card else []),
            ("arguments", [f"{name}: {text}" for name, text in card["arguments"]]),
            ("asked for", [f"{one.count} of {one.group}" for one in approval.requirements]),
        ]
    )
