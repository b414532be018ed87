"""Trust policies (C2SP tlog-policy): which logs are trusted, and which witnesses must have cosigned.

Laws:
- what `text` writes is read back as an equal policy; comments and spacing are dropped;
- each witness adds to the quorum in one way only; a key of a log adds nothing, and may not also be a witness's;
- whether a quorum is met depends on known witnesses alone, and further cosignatures never make it unmet.

Names are arbitrary octets, as in the format: names that are not ASCII are stored as UTF-8 with surrogate escapes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from answerable.core.tlog.checkpoint import Checkpoint, checkpoint_in
from answerable.core.tlog.cosignature import Cosignature, verified_cosignatures
from answerable.core.tlog.note import COSIGNATURE_KINDS, LOG_KINDS, Note, VerifierKey
from answerable.core.tlog.text import decimal
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import (
    POLICY_CONTROL,
    POLICY_KEY_TWICE,
    POLICY_KEY_TYPE,
    POLICY_LINE,
    POLICY_MEMBER_TWICE,
    POLICY_NAME_TWICE,
    POLICY_NAME_UNKNOWN,
    POLICY_NEWLINE,
    POLICY_QUORUM,
    POLICY_SIZE,
    POLICY_THRESHOLD,
    POLICY_WORD,
)
from answerable.errors.codes.tlog import CHECKPOINT_QUORUM_UNMET

LOGS_MAX: Final = 256
WITNESSES_MAX: Final = 256
GROUPS_MAX: Final = 256
"""Maxima; C2SP requires support for at least 32 of each."""
POLICY_BYTES_MAX: Final = 1_048_576
WORD_CHARS_MAX: Final = 4096
NONE: Final = "none"
"""The quorum that requires no cosignature."""

_EXPLAINED_MAX: Final = 8
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE: Final = re.compile("[ \t]+")
_OCTETS: Final = "surrogateescape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A trusted log, identified by one of its keys; `key.name` is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness. `name` is local to its policy."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group counts as a cosigner once `threshold` of its members do: witnesses, and groups defined before it."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A trust policy. quorum: name of a witness or group, or `NONE`."""

    logs: tuple[Log, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str

    def __post_init__(self) -> None:
        _require_count(len(self.logs), LOGS_MAX, "logs")
        _require_count(len(self.witnesses), WITNESSES_MAX, "witnesses")
        _require_count(len(self.groups), GROUPS_MAX, "groups")
        self._require_keys()
        self._require_names()

    def _require_keys(self) -> None:
        logs, witnesses = [one.key for one in self.logs], [one.key for one in self.witnesses]
        for keys, kinds in ((logs, LOG_KINDS), (witnesses, COSIGNATURE_KINDS)):
            for key in keys:
                if key.kind not in kinds:
                    raise POLICY_KEY_TYPE(
                        f"key of {shown(key.name)} is of type {key.kind}, expected one of {list(kinds)}"
                    )
        # Otherwise one key under two names would count twice.
        seen: set[bytes] = set()
        for key in (*logs, *witnesses):
            if key.public in seen:
                raise POLICY_KEY_TWICE(f"key of {shown(key.name)} is listed twice")
            seen.add(key.public)

    def _require_names(self) -> None:
        for url in (*(one.url for one in self.logs), *(one.url for one in self.witnesses)):
            if url is not None:
                _require_word(url)
        defined: set[str] = set()
        for witness in self.witnesses:
            _define(witness.name, defined)
        placed: set[str] = set()
        for group in self.groups:
            if not 1 <= group.threshold <= len(group.members):
                raise POLICY_THRESHOLD(
                    f"group {shown(group.name)} asks for {group.threshold} of {len(group.members)} members"
                )
            for member in group.members:
                if member not in defined:
                    raise _undefined(member)
                if member in placed:
                    raise POLICY_MEMBER_TWICE(f"{shown(member)} is a member for the second time")
                placed.add(member)
            _define(group.name, defined)
        if self.quorum != NONE and self.quorum not in defined:
            raise _undefined(self.quorum)

    def text(self) -> bytes:
        """Return the file that `parse_policy` reads as this policy."""
        lines = [
            *(("log", one.key.formatted(), one.url) for one in self.logs),
            *(("witness", one.name, one.key.formatted(), one.url) for one in self.witnesses),
            *(("group", one.name, str(one.threshold), *one.members) for one in self.groups),
            ("quorum", self.quorum),
        ]
        text = "".join(" ".join(word for word in line if word is not None) + "\n" for line in lines)
        return text.encode("utf-8", _OCTETS)

    def is_met_by(self, cosigners: Collection[VerifierKey | str]) -> bool:
        """Whether cosignatures by these witnesses, given by key or by name in this policy, meet the quorum.

        Cosigners that are not in the policy do not count. This is no verification of a checkpoint: see
        `verified_checkpoint_under`.
        """
        return self._cosigned(cosigners)[self.quorum]

    def explain(self, cosigners: Collection[VerifierKey | str]) -> str:
        """Return one line, of bounded length, that states which part of the quorum these witnesses leave unmet."""
        if self.quorum == NONE:
            return "no cosignature is needed"
        cosigned = self._cosigned(cosigners)
        if cosigned[self.quorum]:
            return f"quorum {shown(self.quorum)} is met"
        lacking = list(self._lacking(cosigned))
        more = "" if len(lacking) <= _EXPLAINED_MAX else f"; and {len(lacking) - _EXPLAINED_MAX} more"
        return f"quorum {shown(self.quorum)} is not met: {'; '.join(lacking[:_EXPLAINED_MAX])}{more}"

    def _lacking(self, cosigned: dict[str, bool]) -> Iterator[str]:
        """Yield what is missing, from the quorum downwards."""
        groups = {group.name: group for group in self.groups}
        asked = [self.quorum]
        for name in asked:
            group = groups.get(name)
            if group is None:
                yield f"{shown(name)} has not cosigned"
                continue
            absent = [member for member in group.members if not cosigned[member]]
            have = len(group.members) - len(absent)
            yield f"{shown(name)} has {have} of the {group.threshold} it needs"
            asked += absent

    def _cosigned(self, cosigners: Collection[VerifierKey | str]) -> dict[str, bool]:
        """Return for each name whether it counts as a cosigner."""
        present = set(cosigners)
        cosigned = {one.name: one.name in present or one.key in present for one in self.witnesses}
        cosigned[NONE] = True
        for group in self.groups:
            # Members are defined before their group, so one pass is enough for any nesting.
            cosigned[group.name] = sum(cosigned[member] for member in group.members) >= group.threshold
        return cosigned


def verified_checkpoint_under(
    encoded: bytes, policy: Policy, *, origin: str, log_keys: Iterable[VerifierKey] = ()
) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
    """Read a checkpoint that the log `origin` signed and witnesses cosigned, as the policy requires.

    Only logs of the policy with that origin are trusted; `log_keys` if the policy lists no log at all. Returns every
    valid cosignature by a witness of the policy; the caller judges their times. Raises Malformed, or Unverified with
    the steps of `verified_checkpoint`, `note.signature` for a bad cosignature by a known witness, and
    `checkpoint.quorum`.
    """
    note = Note.parse(encoded)
    witnesses = [one.key for one in policy.witnesses]
    keys = [one.key for one in policy.logs if one.key.name == origin] if policy.logs else list(log_keys)
    if {key.public for key in keys} & {key.public for key in witnesses}:
        raise POLICY_KEY_TWICE(f"a witness has the key of the log {shown(origin)}")
    checkpoint = checkpoint_in(note, origin=origin, log_keys=keys)
    cosignatures = verified_cosignatures(note, cosigners=witnesses)
    cosigners = [one.cosigner for one in cosignatures]
    if not policy.is_met_by(cosigners):
        raise CHECKPOINT_QUORUM_UNMET(policy.explain(cosigners))
    return checkpoint, cosignatures


def parse_policy(text: bytes) -> Policy:
    """Read a policy file of at most `POLICY_BYTES_MAX` bytes. Raises Malformed, with the line.

    Stricter than C2SP where no sensible policy is affected: a key is a log's or a witness's, not both; keys are of
    types that this module can verify, Ed25519 and ML-DSA-44.
    """
    if len(text) > POLICY_BYTES_MAX:
        raise POLICY_SIZE(f"policy of {len(text)} bytes, expected at most {POLICY_BYTES_MAX}")
    control = _CONTROL.search(text)
    if control:
        raise POLICY_CONTROL(f"control character in policy: at byte {control.start()}")
    if text and not text.endswith(b"\n"):
        # A truncated file could end in the middle of a name.
        raise POLICY_NEWLINE()
    reading = _Reading()
    for number, line in enumerate(text.decode("utf-8", _OCTETS).split("\n"), 1):
        words = [word for word in _SPACE.split(line) if word]
        if words and not words[0].startswith("#"):
            try:
                reading.take(words)
            except Malformed as fault:
                raise Malformed(f"line {number} of the policy: {fault.message}", code=fault.code) from None
    if reading.quorum is None:
        raise POLICY_QUORUM("policy without a quorum line")
    return Policy(
        logs=tuple(reading.logs),
        witnesses=tuple(reading.witnesses),
        groups=tuple(reading.groups),
        quorum=reading.quorum,
    )


class _Reading:
    """The lines read so far. `Policy` checks what does not depend on their order."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._defined = {NONE}

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self.logs.append(Log(key=VerifierKey.parse(key), url=url[0] if url else None))
            case ["witness", name, key, *url] if len(url) <= 1:
                self.witnesses.append(
                    Witness(name=name, key=VerifierKey.parse(key), url=url[0] if url else None)
                )
                self._defined.add(name)
            case ["group", name, threshold, *members]:
                self.groups.append(
                    Group(name=name, threshold=_threshold(threshold, len(members)), members=tuple(members))
                )
                self._require_defined(members)
                self._defined.add(name)
            case ["quorum", name]:
                if self.quorum is not None:
                    raise POLICY_QUORUM("a second quorum")
                self.quorum = name
                self._require_defined([name])
            case _:
                raise POLICY_LINE(f"not a line of a policy: {shown(' '.join(words))}")

    def _require_defined(self, names: list[str]) -> None:
        for name in names:
            if name not in self._defined:
                raise _undefined(name)


def _threshold(text: str, members: int) -> int:
    match text:
        case "all":
            return members
        case "any":
            return 1
        case _:
            return decimal(text, what="threshold")


def _define(name: str, defined: set[str]) -> None:
    _require_word(name)
    if name == NONE or name in defined:
        raise POLICY_NAME_TWICE(f"{shown(name)} is defined already")
    defined.add(name)


def _undefined(name: str) -> Malformed:
    return POLICY_NAME_UNKNOWN(f"{shown(name)} is not defined before it is used")


def _require_count(count: int, most: int, what: str) -> None:
    if count > most:
        raise POLICY_SIZE(f"policy of {count} {what}, expected at most {most}")


def _require_word(word: str) -> None:
    """Check that `parse_policy` would read the word as written. Raises Malformed."""
    bad = any(c <= " " or c == "\x7f" for c in word) or not 1 <= len(word) <= WORD_CHARS_MAX
    try:
        bad = bad or word.encode("utf-8", _OCTETS).decode("utf-8", _OCTETS) != word
    except UnicodeEncodeError:
        bad = True
    if bad:
        raise POLICY_WORD(f"not a name or address: {shown(word)}")
