"""Check answers by a click in a chat as far as that is possible. Who clicked cannot be verified.

Laws: an entry that records a click contains one, and every click is recorded as one; it is no break-glass answer and no
workflow's; the object that was shown permits clicks, is not of the highest tier, and requires one answer. Everything
else about a click is the server's claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from answerable.core.approval.action_object import object_in
from answerable.core.approval.assurance_level import CHAT
from answerable.core.approval.chat_click import click_in, is_click, object_takes_clicks
from answerable.verify.leaf_rules import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.approval.chat_click import ClickKept
    from answerable.core.canonical import FrozenJSON
    from answerable.verify.answer_shapes import AnswerLeaf


class ShownClicks:
    """Collects clicks. told: for each click, its entry and a text that names the party whose claim it is. unread:
    clicks without the object to compare them with."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.unread = 0
        self._taken: list[tuple[int, str]] = []
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: AnswerLeaf, token: str) -> ClickKept | None:
        """Take the next answer and return its click; None if it is none.

        token: the stored form of the answer; empty if it is not disclosed. Raises Malformed (`approval.malformed`).
        """
        called = leaf.strength is not UNSET
        if not called and not is_click(token):
            return None
        if token and called is not is_click(token):
            self._found.append(
                (
                    index,
                    Fault(
                        "approval.strength", f"it is called `{CHAT}` and is signed, or the other way round"
                    ),
                )
            )
        if leaf.verdict not in ("approve", "deny") or leaf.workflow is not UNSET:
            self._found.append(
                (index, Fault("approval.strength", "a click can only approve or deny, as a person"))
            )
        self._taken.append((index, leaf.approval))
        kept = click_in(token) if is_click(token) else None
        whose = f"user {kept.user} of team {kept.team}" if kept is not None else "somebody"
        self.told.append(
            (index, f"attributed, not signed: this log's server says that Slack said that {whose} clicked")
        )
        return kept

    def faults(self, asked: dict[str, tuple[FrozenJSON, FrozenJSON]]) -> Iterator[tuple[int, Fault]]:
        """Yield every fault. asked: object and card, by approval id."""
        yield from self._found
        for index, approval in self._taken:
            shown = asked.get(approval)
            if shown is None:
                self.unread += 1
            elif not object_takes_clicks(object_in(shown[0])):
                yield (
                    index,
                    Fault(
                        "approval.strength",
                        ("the approval required a signature, but was answered by a click"),
                    ),
                )
