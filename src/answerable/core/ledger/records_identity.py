"""Build the entry of a registered agent manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import key_file_fields, key_file_members
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest import form_of

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.records_keys import KeyFile
    from answerable.core.registry.manifests.manifest_token import SignedManifest


def manifest_registered(
    signed: SignedManifest,
    *,
    at: UnixMillis,
    sealing: Sealing,
    signer: str,
    by: str,
    person: str,
    key_file: KeyFile | None = None,
) -> Entry:
    """Build the entry of a signed agent manifest that came into force.

    Its form is in the leaf, because it names nobody: a reader of the log can tell under which prompt and model an
    action ran, and the digest proves it. sealing: of the signer. signer: pseudonym of the signer. by: who submitted it,
    as authenticated by the control API. person: pseudonym of `by`. key_file: the key used to sign.
    """
    members: dict[str, JSONValue] = {
        "agent": signed.manifest.agent,
        "by": signer,
        "form": form_of(signed.manifest),
        "manifest": signed.digest,
        "person": person,
        "signed": signed.signed_at,
        **key_file_members(key_file),
    }
    fields = [
        (b"by_name", encode(signed.signed_by)),
        (b"person_name", encode(by)),
        (b"token", encode(signed.token)),
        *key_file_fields(key_file),
    ]
    return sealed_entry(Tag.MANIFEST_REGISTERED, at=at, members=members, fields=fields, sealing=sealing)
