"""Names of subjects: whose data an entry holds, and so whose key seals it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

ID_CHARS_MAX: Final = 256
"""Of a subject's own id; a longer one, and one that reads like a digest, stands as its digest."""
LOG_SUBJECT: Final = "log:own"
"""Of what is nobody's personal data: policy sets and tool definitions."""

DOORS_SUBJECT: Final = "log:doors"
"""Of who was refused at a door: addresses, and what strangers claimed. One key for all of them, which may go as one."""

_DIGEST: Final = "sha256:"


def named_subject(kind: str, name: str) -> str:
    """What a capability says that an action is about. kind: an entity type, with a capital letter."""
    if len(name) > ID_CHARS_MAX or name.startswith(_DIGEST):
        name = f"{_DIGEST}{sha256(name.encode()).hexdigest()}"
    return f"{kind}:{name}"


def principal_subject(name: str) -> str:
    """A person. Their pseudonym in leaves comes from the same key."""
    return f"principal:{name}"


def agent_subject(name: str) -> str:
    """An agent that acts under no mandate."""
    return f"agent:{name}"


def operator_subject(name: str) -> str:
    """Whoever the control door knows by this name."""
    return f"operator:{name}"
