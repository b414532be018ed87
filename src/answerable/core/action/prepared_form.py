"""Convert a prepared object to and from its stored form: its metadata as JSON, and its bytes beside that."""

from __future__ import annotations

from hmac import compare_digest

import msgspec

from answerable.core.action.prepared import NO_CONTENT, Format, Prepared, PreparedText, digest_of
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.errors.codes.action import PREPARED_MALFORMED


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    agent: str
    capability: str
    chain: tuple[str, ...]
    digest: str
    entry: int
    expires_at: int
    format: Format
    id: str
    leaf: str
    made_at: int
    mandate: str
    manifest: str
    server: str
    tool: str


_DECODER = msgspec.json.Decoder(_Kept)


def prepared_body(prepared: Prepared) -> bytes:
    """Return the stored metadata: everything except the bytes and whether the object was used."""
    return encode(
        {
            "agent": prepared.agent,
            "capability": prepared.capability,
            "chain": [*prepared.chain],
            "digest": prepared.digest,
            "entry": prepared.entry,
            "expires_at": prepared.expires_at,
            "format": prepared.content.format,
            "id": prepared.id,
            "leaf": prepared.leaf,
            "made_at": prepared.made_at,
            "mandate": prepared.mandate,
            "manifest": prepared.manifest,
            "server": prepared.server,
            "tool": prepared.tool,
        }
    )


def prepared_in(body: bytes, content: bytes, *, used_by: str) -> Prepared:
    """Read a stored object. Raises Malformed (`prepared.malformed`) for invalid metadata, and for bytes of another
    digest."""
    try:
        kept, text = _DECODER.decode(body), content.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise PREPARED_MALFORMED(f"not a prepared object: {type(fault).__name__}") from None
    if used_by and text:
        raise PREPARED_MALFORMED("the prepared object was used, and its bytes are still stored")
    if not used_by and not compare_digest(digest_of(text), kept.digest):
        raise PREPARED_MALFORMED("the bytes of the prepared object do not match its digest")
    return Prepared(
        id=kept.id,
        agent=AgentId(kept.agent),
        mandate=MandateId(kept.mandate),
        server=kept.server,
        capability=kept.capability,
        content=NO_CONTENT if used_by else PreparedText(format=kept.format, text=text),
        digest=kept.digest,
        tool=kept.tool,
        manifest=kept.manifest,
        chain=kept.chain,
        entry=kept.entry,
        leaf=kept.leaf,
        made_at=UnixMillis(kept.made_at),
        expires_at=UnixMillis(kept.expires_at),
        used_by=used_by,
    )
