"""The error classes, grouped by which party must act.

    AnswerableError
    ├── Malformed     the caller's input is invalid                   HTTP 400
    ├── Unverified    identity, mandate or proof did not verify       HTTP 401
    ├── Refused       policy, mandate, quota or quorum refused        HTTP 403
    ├── Unavailable   a port failed; says whether an effect happened  HTTP 503
    └── Broken        an invariant was violated: stop                 HTTP 500

Messages start lower-case, have no full stop, fit one line and never contain a secret. `code` is stable, declared in
`errors.codes` and listed in the reference; wording is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Effect = Literal["none", "unknown"]

TEXT_CHARS_MAX = 120


def shown(text: object, limit: int = TEXT_CHARS_MAX) -> str:
    """Quote untrusted text: in backticks, printable, cut at `limit` characters. A backtick in it becomes an
    apostrophe."""
    cut = str(text)[: limit + 1].replace("`", "'")
    printable = "".join(c if c.isprintable() else "�" for c in cut)
    return f"`{printable[:limit]}…`" if len(printable) > limit else f"`{printable}`"


class AnswerableError(Exception):
    """Root of the error classes; never raised itself.

    effect: whether something may have been done. retry: whether the same request may be repeated and end differently.
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
    """The caller's input is invalid; nothing happened."""


class Unverified(AnswerableError):
    """Identity, mandate or proof did not verify. Carries the failed `step`, the only detail that unauthenticated
    callers see.

    key: RFC 7638 thumbprint of the key that the proof named, once it was parsed; empty where it named none.
    """

    def __init__(self, message: str, *, code: str, step: str, key: str = "") -> None:
        super().__init__(message, code=code)
        self.step = step
        self.key = key


class Refused(AnswerableError):
    """An authority refused the request. `reasons` are safe to show; `entry_index` is the ledger entry, if any.

    log: origin of the log of that entry, where another process keeps it; empty for our own. denial: the answer of the
    people who denied it, as JSON members that are safe to show; None where people did not deny it.
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
    """An invariant of ours was violated: stop, do not continue. `effect` says whether something may have been done."""

    def __init__(self, message: str, *, code: str, effect: Effect = "unknown") -> None:
        super().__init__(message, code=code)
        self.effect = effect
