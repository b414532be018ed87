"""Build the entries of tool definitions that came into force."""

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
    """Build the entry of a definition that its owner signed.

    previous: the definition before, empty for none. sealing: of the signer. signer: pseudonym of the signer. by: who
    submitted it, as authenticated by the control API. person: pseudonym of `by`. key_file: the key used to sign.
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
    """Build the entry of a definition that was pinned at first sight, as configured. sealing: the log's."""
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
