"""What is known of accounts of one name, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.search_answers import TargetAccount

_KINDS: Final = {
    "unknown": "nobody declared it",
    "static": "a secret of the broker's own",
    "shared": "shared by leases",
    "task": "made for one task",
    "action": "made for one action",
}


def account_lines(accounts: Sequence[TargetAccount]) -> list[str]:
    """Return what is known of accounts of one name, a line each."""
    return [f"at {one.target}: {_KINDS[one.kind]}{_log_told(one)}; next: {one.advice}" for one in accounts]


def _log_told(one: TargetAccount) -> str:
    if not one.lines:
        return ""
    past = f", {one.past} of them past the broker" if one.past else ""
    when = f" from {one.seen_first_at} to {one.seen_last_at}" if one.seen_first_at else ""
    return f", with {one.lines} {'line' if one.lines == 1 else 'lines'} in the target's log{when}{past}"
