"""Forward actions between the processes of a deployment, over Unix sockets that only its own account can open."""

from __future__ import annotations

from answerable.adapters.shard_socket.client import SocketShardLink
from answerable.adapters.shard_socket.frames import LinkLimits
from answerable.adapters.shard_socket.server import SocketShardDoor

__all__ = ["LinkLimits", "SocketShardDoor", "SocketShardLink"]
