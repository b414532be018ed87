"""Check what a document may not have: a reserved name, or a call that takes longer than settlement waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.containment.shadow import is_shadow_name
from answerable.errors import shown
from answerable.errors.codes.registry import REGISTRY_CALL_SECONDS, REGISTRY_RESERVED_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


def check_reserved(documents: Sequence[JSONValue]) -> None:
    """Check that no document has a name that drills use. Raises Malformed (`registry.reserved_name`)."""
    for document in documents:
        match document:
            case {"metadata": {"name": str(name)}} if is_shadow_name(name):
                raise REGISTRY_RESERVED_NAME(
                    f"{shown(name)} is a reserved name, used by drills: choose another one"
                )


def check_call_seconds(snapshot: RegistrySnapshot, *, upstream_ms_max: int) -> None:
    """Check that no server may take longer per call than settlement waits.

    Raises Malformed (`registry.call_seconds`).
    """
    for server in snapshot.servers.values():
        if server.call_seconds_max * 1000 > upstream_ms_max:
            raise REGISTRY_CALL_SECONDS(
                f"server {shown(server.name)} may take {server.call_seconds_max} s a call, but "
                f"`walk.upstream_ms_max` is {upstream_ms_max} ms: raise that setting or lower the "
                "server's limit"
            )
