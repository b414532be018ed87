"""Act on NATS: issue user tokens as leases, and publish and request messages for agents."""

from answerable.adapters.nats_users.issuer import NatsIssuer
from answerable.adapters.nats_users.rights import NatsRights
from answerable.adapters.nats_users.server import NatsServer, user_of
from answerable.adapters.nats_users.system_account import SystemAccount
from answerable.adapters.nats_users.target import NatsTarget
from answerable.adapters.nats_users.tokens import is_public_key

__all__ = [
    "NatsIssuer",
    "NatsRights",
    "NatsServer",
    "NatsTarget",
    "SystemAccount",
    "is_public_key",
    "user_of",
]
