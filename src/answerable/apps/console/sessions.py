"""People's console sessions, in memory: found by the hash of their secret, bound to the credential that opened them and
to the browser they began in.

A restart ends all sessions: approvers can verify themselves again. The credential that opened a session is checked
again at every request, so that revoking it needs no separate step to end sessions.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.services import CONSOLE_SESSIONS
from answerable.flows.validity.person_validity import desk_of, person_standing

if TYPE_CHECKING:
    from answerable.apps.console.browser import Browser
    from answerable.apps.console.services import ConsoleLimits
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.people.sign_in import SignedIn
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.ports.entropy import Entropy

SECRET_BYTES: Final = 32
COOKIE: Final = "__Host-answerable"
"""With this prefix browsers refuse the cookie from another host, for another path, or without TLS (RFC 6265bis,
4.1.3.2)."""
REFUSED_MAX: Final = 5
"""Failed verifications after which a session ends."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One session.

    name: shown in its person's list; it opens nothing. csrf: token that forms of its pages must carry. passkey: id of
    the passkey that opened it; or oidc: issuer and subject. opened, used, shown: monotonic seconds; shown: last
    verification of the person, and shown_from: its address. since, used_at: as `opened` and `used`, Unix milliseconds.
    browser: in which it began. address: of its last use. refused: failed verifications. streams: open live pages.
    """

    name: str
    person: PrincipalId
    csrf: str
    passkey: bytes
    oidc: tuple[str, str] | None
    opened: float
    used: float
    shown: float
    shown_from: str
    since: UnixMillis
    used_at: UnixMillis
    browser: Browser
    address: str
    refused: int = 0
    streams: int = 0

    def is_fresh(self, now: float, seconds: float, *, address: str) -> bool:
        """Whether the person verified themselves within this time, at the same address."""
        return now - self.shown < seconds and self.shown_from == address

    def has_token(self, text: str) -> bool:
        """Whether a form carries this session's token."""
        return hmac.compare_digest(self.csrf.encode(), text.encode("utf-8", "replace"))


class Sessions:
    """All sessions, for one event loop."""

    def __init__(
        self, authority: AuthorityRegisters, asking: AskingState, entropy: Entropy, limits: ConsoleLimits
    ) -> None:
        self._authority, self._asking, self._entropy = authority, asking, entropy
        self._clock = authority.clock
        self._limits = limits
        self._kept: dict[bytes, Session] = {}

    def open(self, who: SignedIn, *, browser: Browser, shown_seconds_ago: float = 0.0) -> str:
        """Open a session and return its secret, for the cookie. Raises Unavailable (`console.sessions`)."""
        now = self._clock.monotonic()
        self._drop_ended(now)
        if len(self._kept) >= self._limits.sessions_max:
            raise CONSOLE_SESSIONS()
        secret = to_base64url(self._entropy.bytes(SECRET_BYTES))
        key = _key(secret)
        self._kept[key] = Session(
            name=key.hex()[:16],
            person=who.person,
            csrf=to_base64url(self._entropy.bytes(SECRET_BYTES)),
            passkey=who.passkey.id if who.passkey is not None else b"",
            oidc=who.oidc,
            opened=now,
            used=now,
            shown=now - shown_seconds_ago,
            shown_from=browser.address,
            since=self._clock.now(),
            used_at=self._clock.now(),
            browser=browser,
            address=browser.address,
        )
        return secret

    def find(self, secret: str) -> tuple[Session, Principal] | None:
        """Return the session and its person if both are still valid; otherwise end the session. Raises Unavailable."""
        if from_base64url_32(secret) is None:
            return None
        key = _key(secret)
        session = self._kept.get(key)
        if session is None:
            return None
        now = self._clock.monotonic()
        person = self._standing(session, now)
        if person is None:
            self._kept.pop(key, None)
            return None
        return session, person

    def use(self, session: Session, browser: Browser) -> None:
        """Note activity of the person, so that the session is not idle."""
        session.used, session.used_at = self._clock.monotonic(), self._clock.now()
        session.address = browser.address

    def end(self, secret: str) -> None:
        """End the session: sign out."""
        self._kept.pop(_key(secret), None)

    def end_called(self, person: PrincipalId, name: str) -> bool:
        """End another session of the same person; False if none has this name."""
        found = [key for key, one in self._kept.items() if one.person == person and one.name == name]
        for key in found:
            del self._kept[key]
        return bool(found)

    def of(self, person: PrincipalId) -> list[Session]:
        """Return a person's valid sessions, newest first."""
        now = self._clock.monotonic()
        mine = [one for one in self._kept.values() if one.person == person and self._lasts(one, now)]
        return sorted(mine, key=lambda one: -one.opened)

    def _lasts(self, session: Session, now: float) -> bool:
        idle, old = now - session.used, now - session.opened
        return idle < self._limits.session_idle_seconds and old < self._limits.session_seconds

    def _standing(self, session: Session, now: float) -> Principal | None:
        if not self._lasts(session, now):
            return None
        key = ""
        if session.passkey:
            passkey = desk_of(self._asking.passkeys).register.find(session.passkey)
            if passkey is None or passkey.person != session.person:
                return None
            key = passkey.key
        try:
            person = person_standing(self._authority, self._asking.passkeys, session.person, key=key)
        except Unavailable:
            raise
        except AnswerableError:
            return None
        return person if session.passkey or person.oidc == session.oidc else None

    def _drop_ended(self, now: float) -> None:
        self._kept = {key: one for key, one in self._kept.items() if self._lasts(one, now)}


def _key(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "replace")).digest()
