"""What one tool prepared for another to execute: frozen once, under its digest, and sent on as these very bytes.

Laws: the digest is SHA-256 of exactly the bytes that are shown, signed and sent; an agent names a prepared object by
its digest and by nothing else; what cannot be shown whole, or holds a credential, is not a prepared object.
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
"""The most that a setting may allow; what people are shown of it is several times as long."""
LEAVES_MAX: Final = 2_000
"""Values and empty containers in one object: more nobody reads."""
KEPT_MS: Final = 86_400_000
"""How long after it expired it is known what became of it."""
PREFIX: Final = "sha256:"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedText:
    """format: `json` for canonical JSON, `text` for what was text. text: the bytes that are sent, as UTF-8."""

    format: Format
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, hex."""
        return digest_of(self.text)

    def value(self) -> JSONValue:
        """What people and policies read: the object itself, or the text."""
        return parse(self.text.encode()) if self.format == "json" else self.text


NO_CONTENT: Final = PreparedText(format="text", text="")
"""Of what was used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """id: of the action that prepared it. capability: the one that prepares. tool: digest of that tool's definition.

    manifest: of the agent then; chain: agents that the mandate came through. entry, leaf: index and leaf hash, hex, of
    the outcome in the ledger that says its digest. used_by: the action that executed it; empty while none did. Once it
    is used, its text is gone from here: the ledger has it.
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
        """Whether it can still be executed."""
        return not self.used_by and now < self.expires_at


class Executed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The prepared object in a verified request. argument: the one that carries the bytes. entry, leaf: of the outcome
    that says its digest. made_by: the capability that prepared it. money: a pointer into the object to the amounts
    whose sum is the money that moves, in minor units, such as `/lines/*/amount`; empty where that is not said."""

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
        """What the action object says of it, the object whole."""
        money: dict[str, JSONValue] = {"money": self.money} if self.money else {}
        return {**self.link(), **money, "expires_at": self.expires_at, "object": self.content.value()}

    def link(self) -> dict[str, JSONValue]:
        """What the intent says of it; the bytes are among the arguments of its action."""
        return {
            "argument": self.argument,
            "by": self.made_by,
            "digest": self.digest,
            "entry": self.entry,
            "format": self.content.format,
        }


def digest_of(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, hex."""
    return sha256(text.encode()).hexdigest()


def named_digest(value: JSONValue) -> str | None:
    """The hex digest in `sha256:<64 hex digits>`; None for whatever else an agent sends."""
    return value.removeprefix(PREFIX) if isinstance(value, str) and _DIGEST.fullmatch(value) else None


def prepared_text(result: Mapping[str, JSONValue], *, bytes_max: int) -> PreparedText:
    """The prepared object in a tool's answer: its `structuredContent` as canonical JSON, or its one text as it stands.

    Raises Malformed: `prepared.none` where there is neither, `prepared.too_large`, `prepared.token` for one that holds
    what looks like a credential, `arguments.reserved_member`, and `json.*`.
    """
    structured = result.get("structuredContent")
    if structured is not None:
        frozen = freeze(structured)
        refuse_reserved(frozen)
        found = PreparedText(format="json", text=frozen.bytes.decode())
    else:
        found = PreparedText(format="text", text=_only_text(result.get("content")))
    # Half a character is refused here, too.
    content = encode(found.text)
    size = len(found.text.encode())
    if size > bytes_max:
        raise PREPARED_TOO_LARGE(f"it has {size} bytes, and {bytes_max} is the most: prepare less at once")
    if found.format == "json" and _leaves(structured) > LEAVES_MAX:
        raise PREPARED_TOO_LARGE(
            f"it has more than {LEAVES_MAX} values, which nobody reads: prepare less at once"
        )
    if findings := (found_in(found.text.encode()) or found_in(content)):
        raise PREPARED_TOKEN(
            f"it holds what looks like a credential ({described(findings)}), and would be kept and shown"
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
