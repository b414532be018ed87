"""List the accounts at targets and print them: for the whole command line and for the light one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.cli.asked_index import complete_told, warn_partial
from answerable.apps.cli.csv_rows import check_form, print_row
from answerable.apps.cli.exit_codes import CHECK_FAILED, UNMET
from answerable.core.identity.names.principal import checked_name
from answerable.errors import shown
from answerable.ports.search_process import ACCOUNTS, AccountsQuestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.search_answers import AccountsAnswer, AccountUser
    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.log_index import LogIndex

ADVISED_MAX: Final = 20
"""Accounts of which the text says what to do next."""


def read_accounts(index: LogIndex, target: str) -> AccountsAnswer:
    """Return the accounts by the files of a ledger. Raises Malformed (`name.invalid`), and as `LogIndex`."""
    if target:
        checked_name(target, what="target")
    return index.ask(ACCOUNTS, AccountsQuestion(target=target))


def show_accounts(
    terminal: Terminal, answer: AccountsAnswer, *, as_csv: bool, target: str = ""
) -> int | None:
    """Print the accounts, and return the exit code. target: that they were asked of; empty for all. Raises as
    `check_form`."""
    check_form(terminal, as_csv=as_csv)
    if as_csv or not terminal.as_json:
        _warn(terminal, answer)
    if as_csv:
        _print_csv(answer)
    elif terminal.as_json:
        terminal.json(answer)
    else:
        _show(terminal, answer, target)
    # A target that has no name for what leases have is no account that somebody found.
    if any(one.past or (one.kind == "unknown" and one.name) for one in answer.items):
        return CHECK_FAILED
    # A target without accounts may be none.
    is_told = answer.items or (answer.happened and not target)
    is_whole = answer.broker and not (answer.fault or answer.elsewhere or answer.more)
    return None if is_told and is_whole else UNMET


def _print_csv(answer: AccountsAnswer) -> None:
    print_row(
        (
            "target",
            "account",
            "class",
            "accounts",
            "actions",
            "first",
            "last",
            "agents",
            "people",
            "kept",
            "lines",
            "past",
            "next",
        )
    )
    for one in answer.items:
        people, agents = ("; ".join(names.name for names in some) for some in (one.people, one.agents))
        print_row(
            (
                one.target,
                one.name,
                one.kind,
                one.accounts,
                one.actions,
                one.first_at or one.seen_first_at,
                one.last_at or one.seen_last_at,
                agents,
                people,
                one.kept,
                one.lines,
                one.past,
                one.advice,
            )
        )


def _warn(terminal: Terminal, answer: AccountsAnswer) -> None:
    warn_partial(terminal, answer)
    if answer.fault:
        terminal.warn(f"accounts that were seen in logs are missing: {answer.fault}")
    if not answer.broker:
        terminal.warn(
            "the broker was not asked: its own accounts are missing, and one key behind all leases of a target is told "
            "as their accounts"
        )


def _show(terminal: Terminal, answer: AccountsAnswer, target: str) -> None:
    known = f"no account is known at target {shown(target)}" if target else "no account is known"
    terminal.table(
        (
            "target",
            "account",
            "class",
            "accounts",
            "actions",
            "last use",
            "agents",
            "people",
            "lines",
            "past",
        ),
        [
            (
                one.target,
                one.name or "(no name)",
                one.kind,
                one.accounts or "",
                one.actions or "",
                one.last_at or one.seen_last_at or "",
                _users(one.agents, one.more_agents),
                _users(one.people, one.more_people),
                one.lines or "",
                one.past or "",
            )
            for one in answer.items
        ],
        empty=known if answer.happened else "nothing has happened yet",
    )
    for one in answer.items[:ADVISED_MAX]:
        terminal.say(f"{one.target} {one.name or '(no name)'} ({one.kind}): {one.advice}")
    if len(answer.items) > ADVISED_MAX:
        terminal.say(f"what to do next with {len(answer.items) - ADVISED_MAX} more: --json or --csv")
    more = f"{answer.more} more accounts are left out: name a target; " if answer.more else ""
    terminal.say(f"{more}{complete_told(answer)}")


def _users(users: Sequence[AccountUser], more: int) -> str:
    told = [f"{one.name} ({one.actions})" for one in users]
    return ", ".join((*told, *([f"{more} more"] if more else ())))
