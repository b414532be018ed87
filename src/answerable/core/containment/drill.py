"""Drills: trial runs of a hold, a revocation or a trace on a shadow of an agent or capability, required to raise a
tier.

Laws: a drill covers one definition, the registered document without its tier, so that what was drilled is what is
raised; a change raises a tier if it makes it higher than in force now, and something not in force has none; a failed
drill does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NewType, get_args

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import checked_name
from answerable.core.registry.manifests.manifest import TIER_MAX
from answerable.errors import shown
from answerable.errors.codes.containment import DRILL_DOCUMENT, DRILL_KIND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis

DrillId = NewType("DrillId", str)
DrillKind = Literal["stop", "revocation", "trace"]
DRILL_KINDS: Final[tuple[DrillKind, ...]] = get_args(DrillKind)
DrilledKind = Literal["agent", "capability"]
DRILLED_KINDS: Final[tuple[DrilledKind, ...]] = get_args(DrilledKind)

ID_PREFIX: Final = "drill_"
ID_BYTES: Final = 16
GOOD_FOR_DAYS: Final = 90
_DAY_MS: Final = 86_400_000
_DOCUMENTS: Final[dict[str, DrilledKind]] = {"Agent": "agent", "Capability": "capability"}
_UNSAID: Final = TIER_MAX
"""Tier of an agent whose document declares none, as policies see it."""


class Drilled(NamedTuple):
    """The subject of a drill: the registered name of an agent or capability."""

    kind: DrilledKind
    name: str


class Milestone(NamedTuple):
    """An observed condition, and the milliseconds from the press until it was met."""

    name: str
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill and its result. definition: digest of what was drilled, hex. shadow: name of the shadow agent.

    at: Unix milliseconds. by: who ran it, as authenticated by the control API. faults: deviations; empty where it
    passed. took: by name. actions: how many actions of the shadow took effect.
    """

    id: DrillId
    kind: DrillKind
    what: Drilled
    definition: str
    shadow: str
    at: UnixMillis
    by: str
    actions: int
    faults: tuple[str, ...] = ()
    took: tuple[Milestone, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there were no faults."""
        return not self.faults

    def counts(self, now: UnixMillis) -> bool:
        """Whether the drill counts for a raise now: it passed, not too long ago, and not in the future."""
        return self.passed and 0 <= now - self.at <= GOOD_FOR_DAYS * _DAY_MS


class Raised(NamedTuple):
    """A tier that documents would raise. before: 0 for what is not registered."""

    what: Drilled
    before: int
    after: int
    definition: str


class Undrilled(NamedTuple):
    """A raise, and the required drills that are missing."""

    what: Drilled
    before: int
    after: int
    missing: tuple[DrillKind, ...]

    def commands(self) -> tuple[str, ...]:
        """Return the exact commands to run."""
        return tuple(
            f"answerable drill {one} {self.what.name} --kind {self.what.kind}" for one in self.missing
        )

    def said(self) -> str:
        """Return a sentence, such as: agent `scout` is raised from tier 1 to 2."""
        return f"{self.what.kind} {shown(self.what.name)} is raised from tier {self.before} to {self.after}"


def drill_id(octets: bytes) -> DrillId:
    """Return a new id. octets: ID_BYTES random bytes."""
    return DrillId(ID_PREFIX + to_base64url(octets))


def drilled(kind: str, name: str) -> Drilled:
    """Validate a drill's subject. Raises Malformed (`drill.kind`, `name.invalid`)."""
    known = next((one for one in DRILLED_KINDS if one == kind), None)
    if known is None:
        raise DRILL_KIND(f"{shown(kind)} cannot be drilled: expected one of {', '.join(DRILLED_KINDS)}")
    return Drilled(known, checked_name(name, what=known))


def drill_kind(kind: str) -> DrillKind:
    """Validate a drill's kind. Raises Malformed (`drill.kind`)."""
    for one in DRILL_KINDS:
        if one == kind:
            return one
    raise DRILL_KIND(f"there is no drill {shown(kind)}: expected {', '.join(DRILL_KINDS)}")


def document_of(what: Drilled) -> str:
    """Return the key under which the subject's document is registered."""
    return f"{next(name for name, kind in _DOCUMENTS.items() if kind == what.kind)}/{what.name}"


def definition_of(document: JSONValue) -> str:
    """Return SHA-256, hex, of a registered document without its tier, and without its status, which an incident
    changes."""
    match document:
        case {"spec": dict(spec)}:
            kept = {name: value for name, value in spec.items() if name not in ("tier", "status")}
            assert isinstance(document, dict)  # noqa: S101 - the case has looked
            return sha256(encode({**document, "spec": kept})).hexdigest()
    raise DRILL_DOCUMENT()


def raised(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[Raised, ...]:
    """Return every agent and capability with a higher tier in `new` than in `old`, by name. Both: canonical documents
    by `kind/name`; those of `new` are valid."""
    found: list[Raised] = []
    for key in sorted(new):
        kind = _DOCUMENTS.get(key.partition("/")[0])
        if kind is None or old.get(key) == new[key]:
            continue
        document = parse(new[key])
        before = _tier(parse(old[key])) if key in old else 0
        after = _tier(document)
        if after > before:
            what = Drilled(kind, key.partition("/")[2])
            found.append(Raised(what, before, after, definition_of(document)))
    return tuple(found)


def undrilled(wanted: Raised, drills: Iterable[Drill], now: UnixMillis) -> Undrilled | None:
    """Return what is missing for a raise; None where a drill of each kind, of exactly this definition, counts."""
    done = {
        one.kind
        for one in drills
        if one.what == wanted.what and one.definition == wanted.definition and one.counts(now)
    }
    missing = tuple(kind for kind in DRILL_KINDS if kind not in done)
    return Undrilled(wanted.what, wanted.before, wanted.after, missing) if missing else None


def _tier(document: JSONValue) -> int:
    match document:
        case {"spec": {"tier": int(tier)}}:
            return tier
    return _UNSAID
