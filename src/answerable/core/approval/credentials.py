"""A credential among what people are shown: its kind and a fingerprint, never itself.

Laws: what has no credential comes back as it is; a pure function of the value and of what question it belongs to.

What has the shape of a credential cannot be guessed, and its fingerprint is the beginning of its SHA-256: whoever holds
one finds which questions had it. What is one only by the name of its argument may be a word, so its fingerprint is over
the question as well: it tells no more than the action hash does.
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
    """The value with kind and fingerprint in place of each credential. question: id of the approval. named: whether the
    names of members are an agent's, and tell; those beside the arguments are ours, and their values are looked at."""
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
    """The text with kind and fingerprint in place of whatever has the shape of a credential."""
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
