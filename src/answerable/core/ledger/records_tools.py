"""What the entries about definitions of tools say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import key_file_fields, key_file_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.records_keys import KeyFile
    from answerable.core.registry.tools.tool_pin import ToolPin


def tool_approved(
    pin: ToolPin,
    *,
    at: UnixMillis,
    previous: str,
    sealing: Sealing,
    signer: str,
    by: str,
    person: str,
    key_file: KeyFile | None = None,
) -> Entry:
    """A definition came into force by its owner's signature.

    previous: the definition before, empty for none. sealing: of who signed it. signer: pseudonym of who signed it. by:
    who handed it in, as the control door knows them. person: pseudonym of `by`. key_file: what they signed with.
    """
    members: dict[str, JSONValue] = {
        **_members(pin, previous),
        "by": signer,
        "person": person,
        "signed": pin.at,
        **key_file_members(key_file),
    }
    fields = [
        (b"by_name", encode(pin.signed_by)),
        (b"person_name", encode(by)),
        (b"text", pin.text),
        (b"token", encode(pin.token)),
        *key_file_fields(key_file),
    ]
    return sealed_entry(Tag.TOOL_PINNED, at=at, members=members, fields=fields, sealing=sealing)


def tool_first_seen(pin: ToolPin, *, at: UnixMillis, sealing: Sealing) -> Entry:
    """A definition came into force because it was the first one seen, and the settings say so. sealing: the log's."""
    return sealed_entry(
        Tag.TOOL_PINNED,
        at=at,
        members=_members(pin, ""),
        fields=[(b"text", pin.text)],
        sealing=sealing,
    )


def _members(pin: ToolPin, previous: str) -> dict[str, JSONValue]:
    return {
        "definition": pin.definition,
        "previous": previous,
        "server": pin.server,
        "source": pin.source,
        "tool": pin.tool,
    }
