"""Cache Cedar's answers by request: the call is a third of a decision's time, and agents repeat requests.

Laws: the cache key covers everything that the policies of the slice can read, so a cached answer equals a fresh one; no
answer is cached if the policies read what every action changes; the cache ends with its policy set. Keys are digests:
the cache holds no arguments of actions, and every entry has the same size.
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
"""A slice, compared by identity, and the digest of what differs between two of its requests."""


class KeptAnswers:
    """Least-recently-used cache of the answers of one policy set. asked: answers computed by the engine. kept: answers
    served from the cache."""

    __slots__ = ("_answers", "_most", "asked", "kept")

    def __init__(self, most: int = ANSWERS_MAX) -> None:
        self._answers: OrderedDict[AnswerKey, Evaluation] = OrderedDict()
        self._most = most
        self.asked = self.kept = 0

    def answer(
        self, key: AnswerKey | None, evaluate: Callable[[CedarRequest], Evaluation], request: CedarRequest
    ) -> Evaluation:
        """Return the cached answer, or call `evaluate` and cache its result. key: None for an answer that must not be
        cached. Exceptions are passed on and not cached."""
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
    """Whether answers of policies with these mentions may be cached: they read neither time nor counters."""
    used = mentions.inside("task")
    return not (
        used is None
        or "calls_used" in used
        or any(mentions.inside(member) != frozenset() for member in _EACH_ACTION_CHANGES)
    )


def digest_of(request: CedarRequest, *, on_resource: bool) -> bytes:
    """Digest what differs between two requests of a slice. on_resource: whether conditions read the resource; resources
    named in heads already select the slice."""
    text = request["context"]
    assert isinstance(text, str)  # noqa: S101 - the view of a slice writes text
    digest = sha256(text.encode())
    if on_resource:
        digest.update(b"\0")  # JSON text contains no NUL byte
        digest.update(repr(request["resource"]).encode())
    return digest.digest()
