"""A stored entry as people read it: its leaf, and its fields if there is a key for them.

Law: what cannot be opened is withheld, never guessed; fields whose digests are not in the leaf are not its fields.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import parse
from answerable.core.ledger.disclosure import INNER, opened_fields
from answerable.core.ledger.entry import FIRST_LEAF_VERSION, opened_payload
from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.errors import AnswerableError
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey

    FindKey = Callable[[bytes], SubjectKey | None]

_TOLD_AS: Final = {
    "request": "action",
    "principal_name": "principal",
    "person_name": "person",
    "by_name": "by",
    "owner_name": "owner",
    "author_name": "author",
    "of_name": "of",
    "to_name": "to",
}
"""Fields whose leaves have a member of the plainer name, so that they could not have it themselves."""


def leaf_of(stored: StoredEntry) -> dict[str, JSONValue]:
    """The leaf. Raises Broken (`ledger.leaf_malformed`) for one that no version of ours wrote."""
    leaf = parse(stored.leaf)
    if not isinstance(leaf, dict):
        raise LEDGER_LEAF_MALFORMED(f"entry {stored.index} has a leaf that is not an object")
    return leaf


def disclosures_of(stored: StoredEntry, find: FindKey) -> tuple[Disclosure, ...] | None:
    """The sealed fields of an entry of version 2, checked against its leaf; None when there is no key for any of them.

    Raises Unverified or Malformed (`ledger.*`) when the attachment is not what the leaf commits to; and as `leaf_of`.
    """
    leaf = leaf_of(stored)
    if not stored.attachment:
        return ()
    fields, _ = _opened(stored, leaf, find)
    return fields


def keys_gone(stored: StoredEntry, leaf: dict[str, JSONValue], find: FindKey) -> tuple[str, ...]:
    """Ids, hex, of the keys of those whose inner fields in an entry cannot be opened any more. Raises as
    `disclosures_of`."""
    fields, _ = _opened(stored, leaf, find)
    count = len(_listed(fields or ()))
    ids = [key_id_of(one) for one in sections_of(stored.attachment)[-count:]] if count else []
    return tuple(one.hex() for one in ids if find(one) is None)


def _listed(fields: Sequence[Disclosure]) -> set[str]:
    return {each for one in fields if one.name == INNER for each in json.loads(bytes(one.value))}


def _opened(
    stored: StoredEntry, leaf: dict[str, JSONValue], find: FindKey
) -> tuple[tuple[Disclosure, ...] | None, tuple[Disclosure, ...]]:
    """The fields that the leaf commits to, and those that one of them does."""
    sections = sections_of(stored.attachment)
    keys = [find(key_id_of(one)) for one in sections]
    committed = leaf.get("_sd")
    if not any(keys) or not isinstance(committed, list) or not _is_committed(leaf, stored.attachment):
        return None, ()
    opened = [
        one
        for section, key in zip(sections, keys, strict=True)
        if key is not None
        for one in opened_fields(section, key)
    ]
    digests = [(one.digest, one) for one in opened]
    fields = tuple(one for digest, one in digests if digest in committed)
    listed = _listed(fields)
    others = [(digest, one) for digest, one in digests if digest not in committed]
    if all(keys) and sorted(digest for digest, _ in digests if digest in committed) != committed:
        return None, ()
    if keys[0] is not None and any(digest not in listed for digest, _ in others):
        return None, ()
    return fields, tuple(one for digest, one in others if digest in listed)


def payload_of(stored: StoredEntry, leaf: dict[str, JSONValue], find: FindKey) -> dict[str, JSONValue] | None:
    """The fields by name, whatever version wrote them; None when they cannot be opened.

    Names of people and the action are given under the names of the members that stand for them in leaves, and beside an
    `action` its digest as `digest`.
    """
    try:
        if leaf.get("v") == FIRST_LEAF_VERSION:
            return _first_payload(stored, leaf)
        fields, inner = _opened(stored, leaf, find) if stored.attachment else ((), ())
        if not fields:
            return None
        # Results of upstreams may hold what our canonical form refuses, so the lenient reader is right here.
        payload = {
            _TOLD_AS.get(one.name, one.name): json.loads(bytes(one.value), parse_constant=str)
            for one in fields
        }
        for one in inner:
            # What is sealed apart, for whose data it is, belongs with the rest of its kind.
            payload[one.name] = {**payload.get(one.name, {}), **json.loads(bytes(one.value))}
        payload.pop(INNER, None)
        action = next((one.value for one in fields if one.name == "request"), None)
        if action is not None:
            payload["digest"] = hashlib.sha256(bytes(action)).hexdigest()
        elif "request_digest" in payload:
            payload["digest"] = payload["request_digest"]
        return payload
    except (AnswerableError, ValueError, TypeError, RecursionError):
        return None


def _first_payload(stored: StoredEntry, leaf: dict[str, JSONValue]) -> dict[str, JSONValue] | None:
    committed = leaf.get("payload")
    if not isinstance(committed, str) or not stored.attachment:
        return None
    value = json.loads(opened_payload(stored.attachment, committed=committed), parse_constant=str)
    return value if isinstance(value, dict) else None


def _is_committed(leaf: dict[str, JSONValue], attachment: bytes) -> bool:
    committed = leaf.get("payload")
    return isinstance(committed, str) and hmac.compare_digest(
        hashlib.sha256(attachment).hexdigest().encode(), committed.encode()
    )
