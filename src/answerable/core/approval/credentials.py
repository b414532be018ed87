"""Replace credentials in texts shown to people with their kind and a fingerprint.

Laws: a value without credentials is returned unchanged; a pure function of the value and its approval.

A value with the shape of a credential cannot be guessed, and its fingerprint is the beginning of its SHA-256: the
holder of a credential can find which approvals contained it. A value that is a credential only by its argument's name
may be a word, so its fingerprint also covers the approval's id: it reveals no more than the action hash does.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.action.secret_names import is_secret
from answerable.core.action.token_shapes import replaced_in
from answerable.core.canonical import encode

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

FINGERPRINT_CHARS: Final = 12
BY_NAME: Final = "by its name"


def without_credentials(value: JSONValue, *, question: str, named: bool = False) -> JSONValue:
    """Return the value with kind and fingerprint in place of each credential. question: id of the approval. named:
    whether the member names come from an agent and may indicate a credential; names outside the arguments are ours, so
    only their values are checked."""
    if isinstance(value, str):
        return text_without_credentials(value)
    if isinstance(value, list):
        return [without_credentials(one, question=question, named=named) for one in value]
    if isinstance(value, dict):
        return {
            name: _by_name(below, question)
            if named and is_secret(name, below) and below != ""
            else without_credentials(below, question=question, named=named or name == "arguments")
            for name, below in value.items()
        }
    return value


def text_without_credentials(text: str) -> str:
    """Return the text with kind and fingerprint in place of everything with the shape of a credential."""
    return replaced_in(
        text.encode("utf-8", "surrogatepass"),
        lambda kind, found: _shown(kind, sha256(found).hexdigest()).encode(),
    ).decode("utf-8", "surrogatepass")


def _by_name(value: JSONValue, question: str) -> str:
    text = value if isinstance(value, str) else encode(value).decode()
    masked = text_without_credentials(text)
    if masked != text:
        return masked
    return _shown(BY_NAME, sha256(f"{question}\0{text}".encode("utf-8", "surrogatepass")).hexdigest())


def _shown(kind: str, digest: str) -> str:
    return f"[credential: {kind}, fingerprint {digest[:FINGERPRINT_CHARS]}]"
