"""Answers by a click in a chat: what of them can be held to anything, which is not who gave them.

Laws: an entry that calls an answer a click shows one, and a click is called one; it is no broken glass and no
workflow's; the object that was shown says that a click may answer it, is not of the highest tier, and asks for one
answer. All else of it is our server's word.
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
    """told: of each click, its entry and in words whose word it is. unread: those without what they can be held to."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.unread = 0
        self._taken: list[tuple[int, str]] = []
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: AnswerLeaf, token: str) -> ClickKept | None:
        """The next answer. token: what is kept of it; empty where that is not shown. None where it is no click.

        Raises Malformed (`approval.malformed`).
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
                (index, Fault("approval.strength", "a click is a person's yes or no, and nothing else"))
            )
        self._taken.append((index, leaf.approval))
        kept = click_in(token) if is_click(token) else None
        whose = f"user {kept.user} of team {kept.team}" if kept is not None else "somebody"
        self.told.append(
            (index, f"attributed, not signed: this log's server says that Slack said that {whose} clicked")
        )
        return kept

    def faults(self, asked: dict[str, tuple[FrozenJSON, FrozenJSON]]) -> Iterator[tuple[int, Fault]]:
        """What is wrong with them. asked: object and card by approval."""
        yield from self._found
        for index, approval in self._taken:
            shown = asked.get(approval)
            if shown is None:
                self.unread += 1
            elif not object_takes_clicks(object_in(shown[0])):
                yield (
                    index,
                    Fault("approval.strength", "what was shown asks for a signature, and this is a click"),
                )
