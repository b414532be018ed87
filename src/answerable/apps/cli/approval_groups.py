"""Similar approvals on the command line: list groups, show what differs in each, and sign one answer for all approvals
of a group.

The server's claim that approvals are alike is checked again here, from the objects that are signed.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from msgspec import structs

from answerable.apps.cli.exit_codes import PENDING
from answerable.errors.codes.approval import APPROVAL_NONE_ALIKE, APPROVAL_NOT_TOGETHER
from answerable.errors.codes.services import CLI_DIGEST, CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Literal

    from answerable.api.approval_answers import Approval as ApprovalShown
    from answerable.api.group_answers import ApprovalGroupShown
    from answerable.apps.cli.command import Shell
    from answerable.apps.cli.control import Control
    from answerable.core.approval.approval import Approval

    Read = Callable[[ApprovalShown], Approval]
    """Build an approval from the server's answer. Raises if its parts do not match each other."""


def list_groups(shell: Shell) -> int | None:
    """List the groups of waiting approvals, with the number of those that differ in each."""
    from answerable.client import group_calls

    with shell.control() as control:
        items = list(group_calls.list_approval_groups(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("group", "waiting", "differ", "agent", "for", "first of them", "until"),
        [
            (
                one.id,
                str(one.alike_count + one.odd_count),
                str(one.odd_count),
                one.agent,
                one.principal,
                f"{one.sentence}{': ' if one.because else ''}{'; '.join(one.because)}",
                one.expires_at,
            )
            for one in items
        ],
        empty="no waiting approvals are alike: see `answerable approval list`",
    )
    return None


def show_group(shell: Shell, name: str, read: Read) -> int | None:
    """Show the approvals that differ, with the differences, then the alike ones as a table."""
    with shell.control() as control:
        group = _group(control, name, as_json=shell.terminal.as_json)
    if shell.terminal.as_json:
        shell.terminal.json(group)
        return None
    _show(shell, group, [read(one.approval) for one in group.alike])
    return None


def answer_group(
    shell: Shell,
    name: str,
    person: str,
    key: Path,
    comment: str,
    verdict: Literal["approve", "deny"],
    read: Read,
    *,
    reason: str = "",
) -> int | None:
    """Sign one answer to the alike approvals of a group. Exit code 4 if some were left out."""
    from answerable.api.group_answers import BatchSeen, BatchToken
    from answerable.client import group_calls
    from answerable.core.approval.batch import batch_of
    from answerable.core.base64url import from_base64url_32
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_batch

    signing_key, by = load_key(key), principal_id(person)
    with shell.control() as control:
        group = _group(control, name)
        listed = {str(one.approval.id): read(one.approval) for one in group.alike}
        if not listed:
            raise APPROVAL_NONE_ALIKE("no two approvals of this group are alike: answer each by itself")
        if verdict == "approve":
            if group.not_together:
                raise APPROVAL_NOT_TOGETHER(
                    f"these approvals must be answered one by one: {group.not_together}"
                )
            _check_alike(list(listed.values()))
        # Open before showing: the viewing time of the approver counts from here.
        seen = {identity: one.card.hex for identity, one in listed.items()}
        opened = group_calls.open_approval_batch(control, BatchSeen(seen=seen, verdict=verdict))
        if not shell.terminal.as_json:
            _show(shell, group, list(listed.values()))
        question = f"{verdict.capitalize()} these {len(listed)}, with one signature?"
        if not shell.terminal.confirmed(question, yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        if not set(opened.ids) <= set(listed):
            raise CLI_DIGEST(
                "the server requests signatures for other approvals than it displayed: nothing was signed"
            )
        batch = batch_of(listed[one] for one in opened.ids)
        token = signed_batch(
            batch,
            nonce=from_base64url_32(str(opened.nonce)) or b"",
            by=by,
            verdict=verdict,
            comment=comment,
            reason=reason,
            audience=str(group.alike[0].approval.audience),
            at=UnixMillis(time.time_ns() // 1_000_000),
            key=signing_key,
        )
        signed = BatchToken(ids=tuple(one.approval for one in batch.items), token=token)
        after = group_calls.answer_approval_batch(control, signed)
    left_out = {**opened.left_out, **after.left_out}
    waits = any(one.state == "pending" for one in after.answered)
    if shell.terminal.as_json:
        shell.terminal.json(structs.replace(after, left_out=left_out))
    else:
        others = ", others must answer too" if waits else ""
        shell.terminal.say(f"answered {len(after.answered)} with one signature{others}")
        for identity, why in left_out.items():
            shell.terminal.warn(f"left out {identity}: {why}")
    return PENDING if left_out or waits else None


def _group(control: Control, name: str, *, as_json: bool = False) -> ApprovalGroupShown:
    """Return the group with whole values, to compare with its cards: a card has only the fingerprint of a
    credential."""
    from answerable.client import group_calls

    return group_calls.show_approval_group(control, name, whole=None if as_json else "true")


def _check_alike(approvals: list[Approval]) -> None:
    """Check that the approvals are alike by the signed objects, too. Raises Unverified (`cli.digest`)."""
    from answerable.core.approval.approval_grouping import grouped
    from answerable.core.approval.features import features_of

    found = grouped(approvals, features_of)
    if found.alone or len(found.groups) != 1 or found.groups[0].odd or found.groups[0].not_together:
        raise CLI_DIGEST(
            "the server groups approvals that are not alike: sign nothing, and notify its operator"
        )


def _show(shell: Shell, group: ApprovalGroupShown, alike: list[Approval]) -> None:
    terminal = shell.terminal
    if group.odd:
        terminal.heading(
            f"{group.odd_count} of {group.odd_count + group.alike_count} differ from the others:"
        )
        for one in group.odd:
            card = json.loads(one.approval.card)
            terminal.heading(f"  {one.approval.id}  {card.get('sentence', '')}")
            for why in one.because:
                terminal.line(f"    {why}")
        terminal.line("  answer each by itself: answerable approval show ID")
        terminal.line("")
    if alike:
        card = json.loads(alike[0].card.bytes)
        terminal.heading(f"one of the {group.alike_count} others:")
        terminal.line(f"  {card['sentence']}")
        terminal.record([(f"  {label}", text) for label, text in (*card["lines"], *card["arguments"])])
        terminal.line("")
        terminal.line(
            f"what differs in the first {len(alike)}:" if len(alike) < group.alike_count else "what differs:"
        )
        labels = [str(one.label) for one in group.differs]
        terminal.table(
            ("approval", *labels),
            [(one.approval.id, *one.cells) for one in group.alike],
            empty="nothing",
        )
    if group.not_together:
        terminal.line(f"answered one by one: {group.not_together}")
