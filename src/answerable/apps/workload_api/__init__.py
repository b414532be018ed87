"""The SPIFFE Workload API (and Broker API) over a Unix socket: the kernel identifies the caller, and no caller needs a
secret."""

from __future__ import annotations

from answerable.apps.workload_api.front import Doors, WorkloadFront, serve
from answerable.apps.workload_api.peer import PeerProcess
from answerable.apps.workload_api.places import ConnectionLimits
from answerable.apps.workload_api.services import Identity, IssuedWit, WorkloadServices
from answerable.apps.workload_api.socket_file import SOCKET_MODE, check_socket

__all__ = [
    "SOCKET_MODE",
    "ConnectionLimits",
    "Doors",
    "Identity",
    "IssuedWit",
    "PeerProcess",
    "WorkloadFront",
    "WorkloadServices",
    "check_socket",
    "serve",
]
