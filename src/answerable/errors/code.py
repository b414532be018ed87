"""What is declared of an error code: its id, what its error says, and what is the same wherever it is raised.

Calling a code makes its error; each class takes what its branch needs, so a wrong argument does not type-check. A
message is text made where it is known, not a template: nothing can go wrong in it while a fault is being told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors.family import Broken, Effect, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from collections.abc import Mapping


class Code:
    """A stable error code. id: what goes on the wire, to the ledger and into the reference.

    says: the message of the error, where a call gives none; else an example of what it says, with `…` for what differs.
    """

    __slots__ = ("id", "says")

    def __init__(self, identifier: str, says: str) -> None:
        self.id: Final = identifier
        self.says: Final = says


class MalformedCode(Code):
    """A code of what the caller sent."""

    __slots__ = ()

    def __call__(self, message: str | None = None) -> Malformed:
        """The error to raise."""
        return Malformed(self.says if message is None else message, code=self.id)


class UnverifiedCode(Code):
    """A code of what did not check. step: the check, where a call does not name another one."""

    __slots__ = ("step",)

    def __init__(self, identifier: str, says: str, *, step: str) -> None:
        super().__init__(identifier, says)
        self.step: Final = step

    def __call__(self, message: str | None = None, *, step: str = "", key: str = "") -> Unverified:
        """The error to raise."""
        return Unverified(
            self.says if message is None else message, code=self.id, step=step or self.step, key=key
        )


class RefusedCode(Code):
    """A code of a no."""

    __slots__ = ()

    def __call__(
        self,
        message: str | None = None,
        *,
        reasons: tuple[str, ...] = (),
        entry_index: int | None = None,
        denial: Mapping[str, object] | None = None,
    ) -> Refused:
        """The error to raise."""
        return Refused(
            self.says if message is None else message,
            code=self.id,
            reasons=reasons,
            entry_index=entry_index,
            denial=denial,
        )


class UnavailableCode(Code):
    """A code of a port that failed. port, effect: where a call does not give others."""

    __slots__ = ("effect", "port")

    def __init__(self, identifier: str, says: str, *, port: str, effect: Effect = "none") -> None:
        super().__init__(identifier, says)
        self.port: Final = port
        self.effect: Final[Effect] = effect

    def __call__(
        self, message: str | None = None, *, port: str = "", effect: Effect | None = None
    ) -> Unavailable:
        """The error to raise."""
        return Unavailable(
            self.says if message is None else message,
            code=self.id,
            port=port or self.port,
            effect=effect or self.effect,
        )


class BrokenCode(Code):
    """A code of an invariant that fell."""

    __slots__ = ()

    def __call__(self, message: str | None = None) -> Broken:
        """The error to raise."""
        return Broken(self.says if message is None else message, code=self.id)


class DecisionCode(Code):
    """A code of a rule that stands in a decision beside the ids of policies; a refusal carries the first of them."""

    __slots__ = ()


class FindingCode(Code):
    """A code of what is found in documents and policies: it is listed in an answer, and not raised."""

    __slots__ = ()
