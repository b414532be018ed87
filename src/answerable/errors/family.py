"""The error family, by who must move.

    AnswerableError
    ├── Malformed     the caller sent nonsense                        HTTP 400
    ├── Unverified    identity, mandate or proof did not check        HTTP 401
    ├── Refused       policy, mandate, quota or quorum said no        HTTP 403
    ├── Unavailable   a port failed; says whether an effect happened  HTTP 503
    └── Broken        an invariant fell: stop, do not continue        HTTP 500

Messages start lower-case, have no full stop, fit one line and never hold a secret. `code` is stable, declared in
`errors.codes` and listed in the reference; wording is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Effect = Literal["none", "unknown"]

TEXT_CHARS_MAX = 120


def shown(text: object, limit: int = TEXT_CHARS_MAX) -> str:
    """Quote text that somebody else supplied: in backticks, printable, cut at `limit` characters."""
    printable = "".join(c if c.isprintable() and c != "`" else "�" for c in str(text)[: limit + 1])
    return f"`{printable[:limit]}…`" if len(printable) > limit else f"`{printable}`"


class AnswerableError(Exception):
    """Root of the family; never raised itself.

    effect: whether something may have been done. retry: whether the very same may be asked again and end otherwise.
    """

    effect: Effect = "none"

    @property
    def retry(self) -> bool:
        return False

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Malformed(AnswerableError):
    """The caller sent nonsense; nothing happened."""


class Unverified(AnswerableError):
    """Identity, mandate or proof did not check. Carries the failed `step`, and to strangers no more than that.

    key: RFC 7638 thumbprint of the key that the proof named, once it was read; empty where it named none.
    """

    def __init__(self, message: str, *, code: str, step: str, key: str = "") -> None:
        super().__init__(message, code=code)
        self.step = step
        self.key = key


class Refused(AnswerableError):
    """Somebody entitled to say no said no. `reasons` are safe to show; `entry_index` is the ledger entry, if any.

    log: origin of the log of that entry, where it is another process's; empty for our own. denial: what people said who
    denied it, as JSON members that are safe to show; None where it was not people.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        reasons: tuple[str, ...] = (),
        entry_index: int | None = None,
        log: str = "",
        denial: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.reasons = reasons or (message,)
        self.entry_index = entry_index
        self.log = log
        self.denial = denial


class Unavailable(AnswerableError):
    """A port failed. `effect` says whether something may have happened on the other side."""

    def __init__(self, message: str, *, code: str, port: str, effect: Effect = "none") -> None:
        super().__init__(message, code=code)
        self.port = port
        self.effect = effect

    @property
    def retry(self) -> bool:
        return self.effect == "none"


class Broken(AnswerableError):
    """An invariant of ours fell: stop, do not continue."""

    effect: Effect = "unknown"
