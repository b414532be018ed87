"""Prepared objects: what one tool prepared for another to execute, frozen under its digest, and sent on as these exact
bytes.

Laws: the digest is SHA-256 of exactly the bytes that are presented, signed and sent; an agent refers to a prepared
object by its digest only; an answer that cannot be presented whole, or contains a credential, is not a prepared object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from answerable.core.action.reserved import refuse_reserved
from answerable.core.action.token_shapes import described, found_in
from answerable.core.canonical import encode, freeze, parse
from answerable.errors.codes.action import PREPARED_NONE, PREPARED_TOKEN, PREPARED_TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId

Format = Literal["json", "text"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
BYTES_MAX: Final = 262_144
"""The largest limit that a setting may choose; the presentation for people is several times as long."""
LEAVES_MAX: Final = 2_000
"""Most values and empty containers in one object: people would not read more."""
KEPT_MS: Final = 86_400_000
"""How long after its expiry the fate of an object is remembered."""
PREFIX: Final = "sha256:"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedText:
    """The content of a prepared object. format: `json` for canonical JSON, `text` for plain text. text: the bytes to
    send, as UTF-8."""

    format: Format
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, hex."""
        return digest_of(self.text)

    def value(self) -> JSONValue:
        """Return what people and policies read: the parsed JSON, or the text."""
        return parse(self.text.encode()) if self.format == "json" else self.text


NO_CONTENT: Final = PreparedText(format="text", text="")
"""The content of an object that was used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A stored prepared object. id: of the action that prepared it. capability: the preparing capability. tool: digest
    of that tool's definition.

    manifest: of the agent at that time. chain: agents through which the mandate was handed on. entry, leaf: index and
    leaf hash, hex, of the ledger outcome that contains its digest. used_by: the action that executed it; empty while
    none did. After use its text is removed: the ledger has it.
    """

    id: str
    agent: AgentId
    mandate: MandateId
    server: str
    capability: str
    content: PreparedText
    digest: str
    tool: str
    manifest: str
    chain: tuple[str, ...]
    entry: int
    leaf: str
    made_at: UnixMillis
    expires_at: UnixMillis
    used_by: str = ""

    def waits(self, now: UnixMillis) -> bool:
        """Whether the object can still be executed."""
        return not self.used_by and now < self.expires_at


class Executed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The prepared object in a verified request. argument: the argument that carries the bytes. entry, leaf: of the
    outcome that contains its digest. made_by: the capability that prepared it. money: a pointer into the object to the
    amounts whose sum is the money that moves, in minor units, such as `/lines/*/amount`; empty if not declared."""

    id: str
    argument: str
    digest: str
    entry: int
    leaf: str
    expires_at: int
    made_by: str
    content: PreparedText
    money: str = ""

    def members(self) -> dict[str, JSONValue]:
        """Return what the action object contains about the prepared object, including the whole object."""
        money: dict[str, JSONValue] = {"money": self.money} if self.money else {}
        return {**self.link(), **money, "expires_at": self.expires_at, "object": self.content.value()}

    def link(self) -> dict[str, JSONValue]:
        """Return what the intent contains about the prepared object; the bytes are among the arguments of its
        action."""
        return {
            "argument": self.argument,
            "by": self.made_by,
            "digest": self.digest,
            "entry": self.entry,
            "format": self.content.format,
        }


def digest_of(text: str) -> str:
    """Return the SHA-256 of the UTF-8 bytes, hex."""
    return sha256(text.encode()).hexdigest()


def named_digest(value: JSONValue) -> str | None:
    """Return the hex digest in `sha256:<64 hex digits>`, or None for any other value from an agent."""
    return value.removeprefix(PREFIX) if isinstance(value, str) and _DIGEST.fullmatch(value) else None


def prepared_text(result: Mapping[str, JSONValue], *, bytes_max: int) -> PreparedText:
    """Extract the prepared object from a tool's answer: its `structuredContent` as canonical JSON, or its only text
    unchanged.

    Raises Malformed: `prepared.none` if there is neither, `prepared.too_large`, `prepared.token` for an object with an
    apparent credential, `arguments.reserved_member`, and `json.*`.
    """
    structured = result.get("structuredContent")
    if structured is not None:
        frozen = freeze(structured)
        refuse_reserved(frozen)
        found = PreparedText(format="json", text=frozen.bytes.decode())
    else:
        found = PreparedText(format="text", text=_only_text(result.get("content")))
    # `encode` also refuses lone surrogates.
    content = encode(found.text)
    size = len(found.text.encode())
    if size > bytes_max:
        raise PREPARED_TOO_LARGE(
            f"the prepared object has {size} bytes, expected at most {bytes_max}: prepare less at once"
        )
    if found.format == "json" and _leaves(structured) > LEAVES_MAX:
        raise PREPARED_TOO_LARGE(
            f"the prepared object has more than {LEAVES_MAX} values: prepare less at once"
        )
    if findings := (found_in(found.text.encode()) or found_in(content)):
        raise PREPARED_TOKEN(
            f"the prepared object has what looks like a credential ({described(findings)}), and would "
            "be stored and shown"
        )
    return found


def _only_text(content: JSONValue) -> str:
    match content:
        case [{"type": "text", "text": str(text)}] if text:
            return text
        case _:
            raise PREPARED_NONE("the tool answered neither with `structuredContent` nor with one text")


def _leaves(value: JSONValue) -> int:
    count, level = 0, [value]
    while level and count <= LEAVES_MAX:
        below: list[JSONValue] = []
        for one in level:
            if isinstance(one, dict) and one:
                below += one.values()
            elif isinstance(one, list) and one:
                below += one
            else:
                count += 1
        level = below
    return count
