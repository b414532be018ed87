"""Names of data subjects: whose personal data an entry holds, and so whose key seals it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

ID_CHARS_MAX: Final = 256
"""Maximum length of a subject's own id; a longer one, and one that looks like a digest, is replaced by its digest."""
LOG_SUBJECT: Final = "log:own"
"""Subject of what is nobody's personal data: policy sets and tool definitions."""

DOORS_SUBJECT: Final = "log:doors"
"""Subject of callers refused before authentication: addresses and unverified claims. One key for all, which can be
destroyed at once."""

TARGET_LOGS_SUBJECT: Final = "log:targets"
"""Subject of names of accounts in targets' logs that are none of the broker's. One key for all."""

_DIGEST: Final = "sha256:"


def named_subject(kind: str, name: str) -> str:
    """Return the subject that a capability declares for an action. kind: an entity type, with a capital letter."""
    if len(name) > ID_CHARS_MAX or name.startswith(_DIGEST):
        name = f"{_DIGEST}{sha256(name.encode()).hexdigest()}"
    return f"{kind}:{name}"


def principal_subject(name: str) -> str:
    """Return the subject of a person. Their pseudonym in leaves is derived from the same key."""
    return f"principal:{name}"


def agent_subject(name: str) -> str:
    """Return the subject of an agent that acts under no mandate."""
    return f"agent:{name}"


def operator_subject(name: str) -> str:
    """Return the subject of an operator, by the name that the control API authenticated."""
    return f"operator:{name}"
