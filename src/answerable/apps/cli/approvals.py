"""Approvals on the command line: list, show, approve, deny, narrow. What is signed is the digest of what was
displayed."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer
from msgspec import UNSET, structs

from answerable.apps.cli import approval_figures, approval_groups
from answerable.apps.cli.channels import told_line
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import PENDING
from answerable.apps.cli.glass import Reviews, list_reviews, register_glass, told_review
from answerable.apps.cli.shown_object import call_of, sentence_of, shown_whole
from answerable.apps.cli.told_approval import heading, said, stopped_by
from answerable.apps.cli.typed_names import Typed, typed_name
from answerable.errors.codes.approval import APPROVAL_NOT_PENDING
from answerable.errors.codes.services import CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.api.approval_answers import Approval as ApprovalShown
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.identity.names.principal import UnixMillis

Id = Annotated[str, typer.Argument(help="Id of the approval.", metavar="ID")]
Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]
Emergency = Annotated[str, typer.Option("--reason", help="Reason why it cannot wait, for the reviewer.")]
Comment = Annotated[str, typer.Option("--comment", help="Reason, for the record.")]
Reason = Annotated[
    str,
    typer.Option(
        help="Reason: wrong_target, too_much, not_now, not_needed, needs_more_information, suspicious or other."
    ),
]
Numbers = Annotated[
    list[str], typer.Option("--set", help="A smaller number for an amount.", metavar="NAME=NUMBER")
]
Kept = Annotated[list[str], typer.Option("--keep", help="An item of a list to keep.", metavar="NAME=ITEM")]
State = Annotated[
    str,
    typer.Option(
        help="Only approvals in this state: pending, approved, denied, expired, used or void; or all."
    ),
]

OfGroup = Annotated[
    bool, typer.Option("--group", help="ID is of a group: act on all approvals in it that are alike.")
]
Grouped = Annotated[
    bool, typer.Option("--grouped", help="List approvals that are alike on one line, different ones first.")
]
Whole = Annotated[bool, typer.Option("--all", help="Also print each member of the signed object, raw.")]

_ALL: Final = "all"
_QUESTIONS: Final = {
    "approve": "Approve exactly this?",
    "deny": "Deny this?",
    "break_glass": "Let exactly this run without its approval? Another person will review it.",
}
_PROPOSE: Final = "Deny this, and propose the above instead?"


def register(app: typer.Typer) -> None:
    """Add the noun `approval`."""
    group = typer.Typer(no_args_is_help=True, help="Approvals: actions that wait for people.")
    signs = "ID --as chen --key chen.jwk"
    less, why = "--set amount=1000 --comment 'half now'", "--reason 'nobody answers the phone'"
    command(group, "list", reads=True)(list_approvals)
    command(group, "show", reads=True, example="approval show ID --all")(show)
    command(group, "approve", reads=True, asks=True, example=f"approval approve {signs}")(approve)
    command(group, "deny", reads=True, asks=True, example=f"approval deny {signs} --reason not_now")(deny)
    command(group, "narrow", reads=True, asks=True, example=f"approval narrow {signs} {less}")(narrow)
    command(group, "break-glass", reads=True, asks=True, example=f"approval break-glass {signs} {why}")(
        break_glass
    )
    register_glass(group)
    approval_figures.register(group)
    app.add_typer(group, name="approval")


def list_approvals(
    shell: Shell, state: State = "pending", reviews: Reviews = False, grouped: Grouped = False
) -> int | None:
    """Actions that wait for people, newest first."""
    from answerable.client import approval_calls

    if reviews:
        return list_reviews(shell)
    if grouped:
        return approval_groups.list_groups(shell)
    with shell.control() as control:
        items = list(approval_calls.list_approvals(control, state=None if state == _ALL else state))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "state", "asks", "agent", "for", "action", "until"),
        [
            (
                one.id,
                one.state,
                _asked(one),
                one.agent,
                one.principal,
                sentence_of(one),
                one.expires_at,
            )
            for one in items
        ],
        empty="no approval is pending: earlier ones are under `answerable approval list --state all`"
        if state == "pending"
        else "there is no such approval",
    )
    return None


def show(shell: Shell, id: Id, whole: Whole = False, group: OfGroup = False) -> int | None:
    """One approval, with exactly what will run; of a group what differs in each, the odd ones apart."""
    from answerable.client import approval_calls, channel_calls

    if group:
        return approval_groups.show_group(shell, id, _approval)

    with shell.control() as control:
        # Compared with the card, and not displayed: the card has only the fingerprint of a credential.
        whole_too = None if shell.terminal.as_json else "true"
        approval = approval_calls.show_approval(control, id, whole=whole_too)
        told = list(channel_calls.list_told(control, id))
    if shell.terminal.as_json:
        shell.terminal.json({**structs.asdict(approval), "told": told})
    else:
        _show(shell, approval, _card(approval), whole=whole)
        if told:
            shell.terminal.line("")
            shell.terminal.record([("told", [told_line(one) for one in told])])
    return None


def approve(
    shell: Shell,
    id: Id,
    person: Person,
    key: KeyFile,
    comment: Comment = "",
    group: OfGroup = False,
    typed: Typed = "",
) -> int | None:
    """Sign an approval of exactly the displayed action.

    Exit code 4 while others must answer too, or where some of a group were left out.
    """
    if group:
        return approval_groups.answer_group(shell, id, person, key, comment, "approve", _approval)
    return _answer(shell, id, person, key, comment, "approve", typed=typed)


def deny(
    shell: Shell,
    id: Id,
    person: Person,
    key: KeyFile,
    comment: Comment = "",
    reason: Reason = "other",
    group: OfGroup = False,
) -> int | None:
    """Sign a denial. The agent receives the reason, and whether a repeated request can succeed."""
    if group:
        return approval_groups.answer_group(shell, id, person, key, comment, "deny", _approval, reason=reason)
    return _answer(shell, id, person, key, comment, "deny", reason=reason)


def narrow(
    shell: Shell,
    id: Id,
    person: Person,
    key: KeyFile,
    numbers: Numbers = [],  # noqa: B006 - typer makes a fresh one
    keep: Kept = [],  # noqa: B006
    comment: Comment = "",
) -> int | None:
    """Sign a denial, and propose a smaller action instead.

    Nothing runs yet. When the agent requests exactly this, it is decided again, and you may be asked to approve it.
    """
    return _answer(shell, id, person, key, comment, "deny", reason="narrower", less=(numbers, keep))


def break_glass(
    shell: Shell, id: Id, person: Person, key: KeyFile, reason: Emergency, typed: Typed = ""
) -> int | None:
    """Sign that it runs without the approval it waits for, in an emergency.

    Only whom the rule names by `@break_glass` may. Another person reviews it.
    """
    return _answer(shell, id, person, key, reason, "break_glass", typed=typed)


def _answer(
    shell: Shell,
    id: str,
    person: str,
    key: Path,
    comment: str,
    verdict: Verdict,
    *,
    reason: str = "",
    less: tuple[list[str], list[str]] | None = None,
    typed: str = "",
) -> int | None:
    from answerable.api.approval_answers import SignedAnswer
    from answerable.apps.cli.narrowing import proposed_changes
    from answerable.client import approval_calls
    from answerable.core.approval.words import words_of
    from answerable.core.base64url import from_base64url_32
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_answer

    signing_key = load_key(key)
    by = principal_id(person)
    with shell.control() as control:
        approval = approval_calls.show_approval(control, id, whole="true")
        waiting = _approval(approval)
        if approval.state != "pending":
            raise APPROVAL_NOT_PENDING(
                f"approval {waiting.id} is {approval.state}, so it can no longer be answered"
            )
        narrower = "" if less is None else proposed_changes(approval, *less)
        words = words_of(verdict, reason=reason, comment=comment, narrower=narrower)
        # Open before showing: the approver's viewing time counts from here.
        opened = approval_calls.open_approval(control, id)
        if not shell.terminal.as_json:
            _show(shell, approval, _card(approval), whole=False)
            if narrower:
                shell.terminal.record([("proposed instead", narrower)])
        question = _PROPOSE if narrower else _QUESTIONS[verdict]
        name = typed_name(shell, approval, waiting, verdict, typed)
        # Typing the name has already confirmed the answer.
        asked = name is not None and not typed
        if not asked and not shell.terminal.confirmed(question, yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        token = signed_answer(
            waiting,
            nonce=from_base64url_32(str(opened.nonce)) or b"",
            by=by,
            verdict=verdict,
            reason=words.reason,
            comment=words.comment,
            narrower=words.narrower,
            audience=str(approval.audience),
            at=UnixMillis(time.time_ns() // 1_000_000),
            key=signing_key,
        )
        answer = SignedAnswer(token=token, typed=UNSET if name is None else name)
        after = approval_calls.answer_approval(control, id, answer)
    _say_taken(shell, after, verdict, proposed=less is not None)
    return PENDING if after.state == "pending" else None


def _say_taken(shell: Shell, after: ApprovalShown, verdict: Verdict, *, proposed: bool) -> None:
    """Report the state of the approval after the answer."""
    if shell.terminal.as_json:
        shell.terminal.json(after)
    elif after.test:
        shell.terminal.say(str(after.test))
    elif after.state == "pending":
        yes = sum(one.verdict == "approve" for one in after.answers)
        shell.terminal.say(f"answered: it needs {_asked(after)}, {yes} approved so far")
    elif after.state == "approved" and verdict == "break_glass":
        until, due = after.expires_at, after.review.due_at if after.review else ""
        shell.terminal.say(
            f"the agent may now run exactly this, once, until {until}; a review is due by {due}"
        )
    elif after.state == "approved":
        shell.terminal.say("approved: the agent may now run exactly this, once")
    else:
        shell.terminal.say(f"the approval is {after.state}")
        if proposed:
            shell.terminal.say("the agent receives your proposal; if it requests that, it is decided anew")


def _approval(answer: ApprovalShown) -> Approval:
    """Build the approval from the server's answer, so that the displayed, hashed and signed values are the same object.

    Raises Unverified (`cli.digest`) when the parts of the answer do not match each other.
    """
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.canonical import FrozenJSON
    from answerable.core.decision.facts import Requirement
    from answerable.core.identity.names.principal import AgentId, PrincipalId
    from answerable.core.mandate.mandate import MandateId

    shown, card = shown_whole(answer)
    return Approval(
        id=ApprovalId(str(answer.id)),
        agent=AgentId(str(answer.agent)),
        mandate=MandateId(str(answer.mandate)),
        principal=PrincipalId(str(answer.principal)),
        capability=str(answer.capability),
        action=FrozenJSON.from_canonical(str(answer.action).encode()),
        requirements=tuple(
            Requirement(group=str(one.group), count=int(one.count)) for one in answer.requirements
        ),
        reasons=tuple(str(reason) for reason in answer.reasons),
        created_at=_millis(answer.created_at),
        expires_at=_millis(answer.expires_at),
        shown=shown,
        card=card,
    )


def _card(answer: ApprovalShown) -> dict[str, Any]:
    """Return the card to display; for an approval older than cards, a card with its call alone."""
    if answer.object == "{}":
        return {
            "sentence": call_of(answer),
            "badges": [],
            "lines": [],
            "arguments": [],
            "effect": [],
            "all": [],
        }
    found: dict[str, Any] = json.loads(shown_whole(answer)[1].bytes)
    return found


def _show(shell: Shell, approval: ApprovalShown, card: dict[str, Any], *, whole: bool) -> None:
    terminal = shell.terminal
    terminal.heading(heading(approval.state))
    terminal.heading(f"  {card['sentence']}")
    terminal.line(f"  {' · '.join(card['badges'])}")
    prepared = card.get("prepared", [])
    for title, pairs in (
        ("", card["lines"]),
        ("prepared", prepared),
        ("arguments", card["arguments"]),
        ("effect", card["effect"]),
    ):
        if pairs:
            terminal.line(f"  {title}" if title else "")
            terminal.record([(f"  {label}", text) for label, text in pairs])
    terminal.line("")
    terminal.record(
        [
            ("approval", approval.id),
            ("state", approval.state),
            ("may run without", approval.break_glass),
            *([("review", told_review(approval.review))] if approval.review else []),
            ("void because", approval.void_because),
            ("denied by", stopped_by(approval)),
            ("test", approval.test),
            ("asked because", approval.reasons),
            ("for people only", approval.internal),
            ("answers", [said(one) for one in approval.answers]),
            ("asked for less as", approval.followed_by),
            ("until", approval.expires_at),
        ]
    )
    if approval.claimed:
        terminal.line("")
        terminal.line("claimed by the agent, not verified:")
        terminal.line(f"  {approval.claimed}")
    if whole:
        terminal.line("")
        terminal.line("all that is signed:")
        terminal.record([(f"  {where}", text) for where, text in card["all"]])


def _asked(approval: ApprovalShown) -> str:
    return " and ".join(f"{one.count} of {one.group}" for one in approval.requirements)


def _millis(text: str) -> UnixMillis:
    when = datetime.fromisoformat(text)
    return cast("UnixMillis", round(when.timestamp() * 1000))
