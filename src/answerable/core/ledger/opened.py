"""Decrypt a stored entry for display: its leaf, and its sealed fields where there is a key for them.

Law: fields that cannot be decrypted are withheld, never guessed; decrypted fields whose digests are not in the leaf are
rejected.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from answerable.core.canonical import parse
from answerable.core.ledger.disclosure import INNER, opened_fields
from answerable.core.ledger.entry import FIRST_LEAF_VERSION, opened_payload
from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey

    FindKey = Callable[[bytes], SubjectKey | None]

_LENIENT: Final = json.JSONDecoder(parse_constant=str)
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
"""Fields renamed for display. They cannot carry the plain name themselves, because their leaves have a member of that
name."""


def leaf_of(stored: StoredEntry) -> dict[str, JSONValue]:
    """Return the leaf as an object. Raises Broken (`ledger.leaf_malformed`) for one that no version of ours wrote."""
    leaf = parse(stored.leaf)
    if not isinstance(leaf, dict):
        raise LEDGER_LEAF_MALFORMED(f"entry {stored.index} has a leaf that is not an object")
    return leaf


def disclosures_of(stored: StoredEntry, find: FindKey) -> tuple[Disclosure, ...] | None:
    """Return the sealed fields of a version 2 entry, checked against its leaf; None when there is no key for any of
    them.

    Raises Unverified or Malformed (`ledger.*`) when the attachment is not the one that the leaf commits to; and as
    `leaf_of`.
    """
    leaf = leaf_of(stored)
    if not stored.attachment:
        return ()
    fields, _ = _opened(stored, leaf, find)
    return fields


def keys_gone(stored: StoredEntry, leaf: dict[str, JSONValue], find: FindKey) -> tuple[str, ...]:
    """Return the key ids, hex, of inner fields in an entry that can no longer be decrypted because their keys were
    destroyed. Raises as `disclosures_of`."""
    fields, _ = _opened(stored, leaf, find)
    count = len(_listed(fields or ()))
    ids = [key_id_of(one) for one in sections_of(stored.attachment)[-count:]] if count else []
    return tuple(one.hex() for one in ids if find(one) is None)


def _listed(fields: Sequence[Disclosure]) -> set[str]:
    return {each for one in fields if one.name == INNER for each in json.loads(bytes(one.value))}


def _opened(
    stored: StoredEntry, leaf: dict[str, JSONValue], find: FindKey
) -> tuple[tuple[Disclosure, ...] | None, tuple[Disclosure, ...]]:
    """Return the fields that the leaf commits to, and the inner fields that one of those commits to."""
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
    """Return the fields by name, whatever version wrote them; None when they cannot be decrypted.

    Names of people and the action are returned under the names of the leaf members that represent them, and an `action`
    is accompanied by its digest as `digest`. An intent that has its task only in its question is returned with
    `principal` and `purpose` as if it had them as fields.
    """
    try:
        if leaf.get("v") == FIRST_LEAF_VERSION:
            return _first_payload(stored, leaf)
        fields, inner = _opened(stored, leaf, find) if stored.attachment else ((), ())
        if not fields:
            return None
        # Results of upstreams may contain what our canonical form refuses, so they are read with the lenient parser.
        payload = {_TOLD_AS.get(one.name, one.name): _read(bytes(one.value)) for one in fields}
        for one in inner:
            # Values that are sealed separately for another subject are merged with the rest of their field.
            payload[one.name] = {**payload.get(one.name, {}), **json.loads(bytes(one.value))}
        payload.pop(INNER, None)
        action = next((one.value for one in fields if one.name == "request"), None)
        if action is not None:
            payload["digest"] = hashlib.sha256(bytes(action)).hexdigest()
        elif "request_digest" in payload:
            payload["digest"] = payload["request_digest"]
        return {**_task_in(payload.get("question")), **payload} if leaf.get("tag") == Tag.INTENT else payload
    except (AnswerableError, ValueError, TypeError, RecursionError):
        return None


def fields_to_index(
    stored: StoredEntry, leaf: dict[str, JSONValue], find: FindKey, wanted: frozenset[str]
) -> dict[str, JSONValue] | None:
    """Return some fields as `payload_of` does, without comparing them with the leaf: for an index, whose hits are
    opened again by `payload_of`. wanted: names as recorded."""
    if leaf.get("v") == FIRST_LEAF_VERSION:
        return payload_of(stored, leaf, find)
    try:
        sections = sections_of(stored.attachment) if stored.attachment else ()
        keys = [(section, find(key_id_of(section))) for section in sections]
        opened = [one for section, key in keys if key is not None for one in opened_fields(section, key)]
        payload = {
            _TOLD_AS.get(one.name, one.name): _read(bytes(one.value)) for one in opened if one.name in wanted
        }
        if "action" in payload:
            request = next(one.value for one in opened if one.name == "request")
            payload["digest"] = hashlib.sha256(bytes(request)).hexdigest()
    except (AnswerableError, ValueError, RecursionError):
        return None
    if not opened:
        return None
    return {**_task_in(payload.get("question")), **payload} if leaf.get("tag") == Tag.INTENT else payload


def _read(value: bytes) -> Any:
    """Read a field, which is UTF-8, as `json.loads` does, which makes a decoder each time. Raises ValueError,
    RecursionError."""
    return _LENIENT.decode(value.decode("utf-8", "surrogatepass"))


def _task_in(question: JSONValue) -> dict[str, JSONValue]:
    context = question.get("context") if isinstance(question, dict) else None
    task = context.get("task") if isinstance(context, dict) else None
    return (
        {one: task[one] for one in ("principal", "purpose") if one in task} if isinstance(task, dict) else {}
    )


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
