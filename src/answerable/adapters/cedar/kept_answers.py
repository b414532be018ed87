"""What Cedar answered, kept by what it was asked: a third of a decision is that call, and a task asks alike again.

Laws: an answer is kept under all that the policies of its slice can look at, so a kept answer equals an asked one; none
is kept where they look at what every action changes; all go with their policy set. Keys are digests: no argument of an
action outlives it here, and each answer takes as much room as the next.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.cedar.engine import CedarRequest
    from answerable.adapters.cedar.mentions import Mentions
    from answerable.core.decision.decision import Evaluation

ANSWERS_MAX: Final = 16_384
_EACH_ACTION_CHANGES: Final = ("budget", "history", "now")

AnswerKey: TypeAlias = "tuple[object, bytes]"
"""A slice, which is itself alone, and the digest of what differs between two of its requests."""


class KeptAnswers:
    """The answers of one policy set; those that were not asked for the longest time go first. asked, kept: how many
    answers the engine gave, and how many were here."""

    __slots__ = ("_answers", "_most", "asked", "kept")

    def __init__(self, most: int = ANSWERS_MAX) -> None:
        self._answers: OrderedDict[AnswerKey, Evaluation] = OrderedDict()
        self._most = most
        self.asked = self.kept = 0

    def answer(
        self, key: AnswerKey | None, evaluate: Callable[[CedarRequest], Evaluation], request: CedarRequest
    ) -> Evaluation:
        """As `evaluate` gives it. key: None for what is not to be kept. What is raised is raised, and not kept."""
        known = None if key is None else self._answers.get(key)
        if known is None:
            self.asked += 1
            given = evaluate(request)
            if key is not None and self._most:
                self._keep(key, given)
            return given
        assert key is not None  # noqa: S101 - what is known has one
        self.kept += 1
        self._answers.move_to_end(key)
        return known

    def _keep(self, key: AnswerKey, given: Evaluation) -> None:
        self._answers[key] = given
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)


def is_steady(mentions: Mentions) -> bool:
    """Whether policies that mention this may be asked the same again: they look at neither time nor counter."""
    used = mentions.inside("task")
    return not (
        used is None
        or "calls_used" in used
        or any(mentions.inside(member) != frozenset() for member in _EACH_ACTION_CHANGES)
    )


def digest_of(request: CedarRequest, *, on_resource: bool) -> bytes:
    """Of what differs between two requests of a slice. on_resource: whether conditions look at the resource; what heads
    say of it decided which slice it is."""
    text = request["context"]
    assert isinstance(text, str)  # noqa: S101 - the view of a slice writes text
    digest = sha256(text.encode())
    if on_resource:
        digest.update(b"\0")  # no JSON text has one
        digest.update(repr(request["resource"]).encode())
    return digest.digest()
