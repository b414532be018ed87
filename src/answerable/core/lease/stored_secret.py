"""Metadata of a standing secret in the broker's store: versions, uses, exposure, and when rotation is due.

Laws: no value is stored here; a retired version is never checked out again, and the checked-out version is the newest
not retired; an exposed secret is due until a newer version replaces it; a prepared version is given only to the code
that sets it at the target, until it is settled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Malformed, shown
from answerable.errors.codes.leases import SECRET_FULL, SECRET_NAME, SECRET_RECORD, SECRET_TEXT

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

SecretKind = Literal["static", "canary"]
SECRET_KINDS: Final[tuple[SecretKind, ...]] = get_args(SecretKind)
VERSIONS_MAX: Final = 1_000
USERS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 240
ROTATE_DAYS_MAX: Final = 3_650
NEVER: Final = UnixMillis(0)
_DAY_MS: Final = 86_400_000
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One version of a stored secret. made_at: Unix milliseconds. retired_at: 0 while it may be checked out."""

    number: int
    made_at: UnixMillis
    retired_at: UnixMillis = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """Uses by one user. by: the target, or the lease's account, for which it was checked out."""

    by: str
    count: int
    last_at: UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """The metadata of a stored secret. owner: who answers for it. about: what it opens. rotate_days: 0 for no schedule.
    exposed_at: 0 for never, or not since the newest version was made; exposed_why: where it was seen. prepared_at:
    since when a next version is stored, which the target may know already; 0 for none."""

    name: str
    kind: SecretKind
    owner: str
    about: str
    rotate_days: int
    versions: tuple[SecretVersion, ...]
    exposed_at: UnixMillis = NEVER
    exposed_why: str = ""
    prepared_at: UnixMillis = NEVER

    @property
    def current(self) -> SecretVersion | None:
        """The version that is checked out; None when all were retired."""
        return next((one for one in reversed(self.versions) if not one.retired_at), None)

    def due(self, now: UnixMillis) -> str:
        """Return why it is due for rotation, in words; empty while it is not."""
        current = self.current
        if current is None:
            return ""
        if self.exposed_at:
            return f"it was exposed: {self.exposed_why}"
        age = (now - current.made_at) // _DAY_MS
        if self.rotate_days and age >= self.rotate_days:
            return f"it is {age} days old, and was to live {self.rotate_days}"
        return ""

    def with_version(self, now: UnixMillis) -> StoredSecret:
        """Return the secret with one version more. Raises Refused (`secret.full`)."""
        if len(self.versions) >= VERSIONS_MAX:
            raise SECRET_FULL(
                f"secret {shown(self.name)} has {VERSIONS_MAX} versions, which is the limit: retire it, "
                "and create another secret"
            )
        number = self.versions[-1].number + 1 if self.versions else 1
        versions = (*self.versions, SecretVersion(number=number, made_at=now))
        return replace(self, versions=versions, exposed_at=NEVER, exposed_why="", prepared_at=NEVER)

    def prepared(self, now: UnixMillis) -> StoredSecret:
        """Return the secret with a prepared version that is not checked out yet."""
        return replace(self, prepared_at=now)

    def settled(self, now: UnixMillis) -> StoredSecret:
        """Return the secret with the prepared version made current. An exposure after it was stored may concern it:
        then it is due at once. Raises Refused (`secret.full`)."""
        made = self.with_version(now)
        if self.prepared_at < self.exposed_at:
            return replace(made, exposed_at=self.exposed_at, exposed_why=self.exposed_why)
        return made

    def retired(self, now: UnixMillis, *, before: int = 0) -> StoredSecret:
        """Return the secret with every version retired, or those below `before`."""
        return replace(
            self,
            prepared_at=self.prepared_at if before else NEVER,
            versions=tuple(
                one if one.retired_at or (before and one.number >= before) else replace(one, retired_at=now)
                for one in self.versions
            ),
        )

    def exposed(self, now: UnixMillis, why: str) -> StoredSecret:
        """Return the secret with an exposure noted."""
        return replace(self, exposed_at=now, exposed_why=checked_text(why, what="the reason"))


def checked_secret_name(text: str) -> str:
    """Validate a secret's name. Raises Malformed (`secret.name`)."""
    if not _NAME.fullmatch(text):
        raise SECRET_NAME(
            f"{shown(text, 63)} is not the name of a secret: use 1 to 63 of a-z 0-9 . _ - with a letter or digit at "
            "both ends"
        )
    return text


def checked_text(text: str, *, what: str) -> str:
    """Validate an owner, purpose or reason: one line. Raises Malformed (`secret.text`)."""
    if len(text) > TEXT_CHARS_MAX or not (text.isprintable() or not text):
        raise SECRET_TEXT(f"{what} is one line of at most {TEXT_CHARS_MAX} characters")
    return text


def encoded_secret(secret: StoredSecret) -> dict[str, JSONValue]:
    """Encode for storage."""
    prepared: dict[str, JSONValue] = {"prepared_at": secret.prepared_at} if secret.prepared_at else {}
    return prepared | {
        "name": secret.name,
        "kind": secret.kind,
        "owner": secret.owner,
        "about": secret.about,
        "rotate_days": secret.rotate_days,
        "versions": [[one.number, one.made_at, one.retired_at] for one in secret.versions],
        "exposed_at": secret.exposed_at,
        "exposed_why": secret.exposed_why,
    }


def decoded_secret(value: JSONValue) -> StoredSecret:
    """Decode a stored record. Raises Malformed (`secret.record`)."""
    try:
        if not isinstance(value, dict) or not isinstance(value["versions"], list):
            raise TypeError
        versions = tuple(_version(one) for one in value["versions"])
        kind = next(one for one in SECRET_KINDS if one == value["kind"])
        made = StoredSecret(
            name=checked_secret_name(_text(value["name"])),
            kind=kind,
            owner=checked_text(_text(value["owner"]), what="the owner"),
            about=checked_text(_text(value["about"]), what="the purpose"),
            rotate_days=_count(value["rotate_days"], ROTATE_DAYS_MAX),
            versions=versions,
            exposed_at=UnixMillis(_count(value["exposed_at"])),
            exposed_why=checked_text(_text(value["exposed_why"]), what="the reason"),
            prepared_at=UnixMillis(_count(value.get("prepared_at", 0))),
        )
    except (KeyError, TypeError, ValueError, StopIteration, Malformed):
        raise SECRET_RECORD() from None
    numbers = [one.number for one in versions]
    if encoded_secret(made) != value or numbers != list(range(1, len(numbers) + 1)):
        raise SECRET_RECORD()
    return made


def _version(value: JSONValue) -> SecretVersion:
    if not isinstance(value, list):
        raise TypeError
    number, made_at, retired_at = (_count(one) for one in value)
    return SecretVersion(number=number, made_at=UnixMillis(made_at), retired_at=UnixMillis(retired_at))


def _text(value: JSONValue) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: JSONValue, maximum: int = 2**53 - 1) -> int:
    if type(value) is not int or not 0 <= value <= maximum:
        raise TypeError
    return value
