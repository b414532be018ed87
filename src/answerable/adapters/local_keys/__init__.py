"""Store the server's own keys and secrets as local files."""

from __future__ import annotations

from answerable.adapters.local_keys.authority_keys import LocalAuthorityKeys
from answerable.adapters.local_keys.event_key import open_or_create_event_key
from answerable.adapters.local_keys.keys import open_key, open_or_create_key
from answerable.adapters.local_keys.secret import open_or_create_secret

__all__ = [
    "LocalAuthorityKeys",
    "open_key",
    "open_or_create_event_key",
    "open_or_create_key",
    "open_or_create_secret",
]
