"""The credential that an issuer mints, and the issuer's declared limits.

Laws: a secret is in memory only, appears in no representation, and never compares equal; an issuer declares beforehand
what it cannot do, and a revocation reports what it left live.
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
"""Which party limits a credential to its task: the target's own rules, the broker's checks alone, or nobody."""
HIDDEN: Final = "(hidden)"


class Secret:
    """Confidential texts: hidden in every representation, not picklable, never equal. Call `reveal` only where the text
    is used."""

    __slots__ = ("_texts",)

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    def reveal(self, name: str) -> str:
        """Return one text, for immediate use. Raises KeyError."""
        return self._texts[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of the texts, without their values."""
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
    """What an issuer can and cannot do. boundary: which party enforces what a credential may do. ends_by: which party
    ends it at expiry, whatever happens to the broker. revocable: whether it can be ended earlier. cuts_sessions:
    whether its open sessions are ended, too.

    ttl_seconds_min: the shortest lifetime that the target supports; 0 for any.
    """

    boundary: Boundary
    ends_by: Literal["target", "broker"]
    revocable: bool = True
    cuts_sessions: bool = True
    ttl_seconds_min: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOrder:
    """A credential to mint. expires_at: Unix milliseconds, first instant at which it is no longer valid."""

    name: LeaseName
    scope: Scope
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Credential:
    """A minted credential. account: its name as in the target's own log, never a secret; empty where the target has
    none.

    expires_at: when the target itself ends it, or the broker where `ends_by` says so.
    """

    lease: LeaseName
    account: str
    expires_at: UnixMillis
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Result of a revocation. sessions_cut: open sessions that were ended. left: what could not be ended and why, in
    words; empty for nothing. live_until: until when the rest may still work, in Unix milliseconds; 0 where nothing is
    left."""

    sessions_cut: int = 0
    left: tuple[str, ...] = ()
    live_until: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it works any more."""
        return not self.live_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """Result of one tool call at a target. result: an MCP `CallToolResult`; `isError` where the target refused.

    session: the server's own name of the session and its place in the log, as pairs such as `("pg_session",
    "68f0a1b2.1f3c")`; the agent cannot forge them. It is recorded with the action. told: what the session reports of
    what the call touched, used only to compute the used rights. used: the used rights; None where they cannot be
    determined.
    """

    result: Mapping[str, object]
    session: tuple[tuple[str, str], ...] = ()
    told: JSONValue = None
    used: Used | None = None
