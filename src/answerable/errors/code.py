"""Classes that declare error codes: the id, the message, and the attributes that are equal wherever the error is
raised.

Calling a code makes its error; each class takes what its branch needs, so that a wrong argument does not type-check. A
message is built where its values are known, not from a template, so that formatting cannot fail while an error is
reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from answerable.errors.family import Broken, Effect, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from collections.abc import Mapping


Beyond = Literal["", "mandate", "delegation", "agent", "policy"]
"""What an action that is refused with a code was outside of: the task, what was handed on of it, what the agent may do
in any task, or what any policy allows. Empty for a code that does not say so."""


class Code:
    """A stable error code. id: used on the wire, in the ledger and in the reference.

    says: the message of the error, where a call gives none; else an example of it, with `…` for the variable part.
    """

    __slots__ = ("id", "says")

    def __init__(self, identifier: str, says: str) -> None:
        self.id: Final = identifier
        self.says: Final = says


class MalformedCode(Code):
    """A code for faulty input of the caller."""

    __slots__ = ()

    def __call__(self, message: str | None = None) -> Malformed:
        """Return the error to raise."""
        return Malformed(self.says if message is None else message, code=self.id)


class UnverifiedCode(Code):
    """A code for a failed verification. step: the check, where a call names no other."""

    __slots__ = ("step",)

    def __init__(self, identifier: str, says: str, *, step: str) -> None:
        super().__init__(identifier, says)
        self.step: Final = step

    def __call__(self, message: str | None = None, *, step: str = "", key: str = "") -> Unverified:
        """Return the error to raise."""
        return Unverified(
            self.says if message is None else message, code=self.id, step=step or self.step, key=key
        )


class RefusedCode(Code):
    """A code for a refusal."""

    __slots__ = ("beyond",)

    def __init__(self, identifier: str, says: str, *, beyond: Beyond = "") -> None:
        super().__init__(identifier, says)
        self.beyond: Final[Beyond] = beyond

    def __call__(
        self,
        message: str | None = None,
        *,
        reasons: tuple[str, ...] = (),
        entry_index: int | None = None,
        denial: Mapping[str, object] | None = None,
    ) -> Refused:
        """Return the error to raise."""
        return Refused(
            self.says if message is None else message,
            code=self.id,
            reasons=reasons,
            entry_index=entry_index,
            denial=denial,
        )


class UnavailableCode(Code):
    """A code for a failed port. port, effect: where a call does not give others."""

    __slots__ = ("effect", "port")

    def __init__(self, identifier: str, says: str, *, port: str, effect: Effect = "none") -> None:
        super().__init__(identifier, says)
        self.port: Final = port
        self.effect: Final[Effect] = effect

    def __call__(
        self, message: str | None = None, *, port: str = "", effect: Effect | None = None
    ) -> Unavailable:
        """Return the error to raise."""
        return Unavailable(
            self.says if message is None else message,
            code=self.id,
            port=port or self.port,
            effect=effect or self.effect,
        )


class BrokenCode(Code):
    """A code for a violated invariant. effect: of every error with this code."""

    __slots__ = ("effect",)

    def __init__(self, identifier: str, says: str, *, effect: Effect = "unknown") -> None:
        super().__init__(identifier, says)
        self.effect: Final[Effect] = effect

    def __call__(self, message: str | None = None) -> Broken:
        """Return the error to raise."""
        return Broken(self.says if message is None else message, code=self.id, effect=self.effect)


class DecisionCode(Code):
    """A code for a rule that appears in a decision beside the ids of policies; a refusal carries the first of them."""

    __slots__ = ("beyond",)

    def __init__(self, identifier: str, says: str, *, beyond: Beyond = "") -> None:
        super().__init__(identifier, says)
        self.beyond: Final[Beyond] = beyond


class FindingCode(Code):
    """A code for a finding in documents and policies: it is listed in an answer, and not raised."""

    __slots__ = ()
