"""What an issuer mints, and what it can say of itself.

Laws: a secret is in memory only, is in no representation of anything, and compares as nothing; what an issuer cannot do
it says beforehand, and what a revocation left live it says afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.core.lease.use import Used

Boundary = Literal["target", "broker", "nobody"]
"""Who keeps a credential within its task: the target's own rules, the broker's checks alone, or nobody."""
HIDDEN: Final = "(hidden)"


class Secret:
    """Texts that must not get out: shown, pickled and compared as nothing. `reveal` is called where it is used."""

    __slots__ = ("_texts",)

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    def reveal(self, name: str) -> str:
        """One of them, to be used at once. Raises KeyError."""
        return self._texts[name]

    def names(self) -> tuple[str, ...]:
        """What there is, without what it is."""
        return tuple(self._texts)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be copied out of the process")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTraits:
    """boundary: who enforces what a credential may do. ends_by: who ends it when its time is up, whatever becomes of
    the broker. revocable: whether it can be ended before. cuts_sessions: whether what is open with it is ended, too.

    ttl_seconds_min: the shortest life that the target gives; 0 for any.
    """

    boundary: Boundary
    ends_by: Literal["target", "broker"]
    revocable: bool = True
    cuts_sessions: bool = True
    ttl_seconds_min: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOrder:
    """What to mint. expires_at: Unix milliseconds, first instant at which it is good for nothing."""

    name: LeaseName
    scope: Scope
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Credential:
    """account: its name as the target's own log shows it, never a secret; empty where the target has none.

    expires_at: when the target itself ends it, or the broker where `ends_by` says so.
    """

    lease: LeaseName
    account: str
    expires_at: UnixMillis
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """sessions_cut: what was open and was ended. left: what could not be ended and why, in words; empty for nothing.
    live_until: until when that may still work, in Unix milliseconds; 0 where nothing is left."""

    sessions_cut: int = 0
    left: tuple[str, ...] = ()
    live_until: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it works any more."""
        return not self.live_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """What came of one tool call at a target. result: an MCP `CallToolResult`; `isError` where the target said no.

    session: what the server itself calls the session and the place in its log, as pairs such as
    `("pg_session", "68f0a1b2.1f3c")`; the agent cannot forge them. It is recorded with the action. told: what the
    session can say of what the call touched, for the rights of its kind alone. used: what these made of it; None where
    it cannot be told.
    """

    result: Mapping[str, object]
    session: tuple[tuple[str, str], ...] = ()
    told: JSONValue = None
    used: Used | None = None
