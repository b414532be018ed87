"""Issue RabbitMQ users as leases, and offer messages as tools."""

from answerable.adapters.rabbitmq_users.admin_account import RabbitOwnAccount
from answerable.adapters.rabbitmq_users.issuer import RabbitIssuer
from answerable.adapters.rabbitmq_users.management import Management
from answerable.adapters.rabbitmq_users.rights import RabbitRights
from answerable.adapters.rabbitmq_users.server import RabbitServer
from answerable.adapters.rabbitmq_users.target import RabbitTarget

__all__ = [
    "Management",
    "RabbitIssuer",
    "RabbitOwnAccount",
    "RabbitRights",
    "RabbitServer",
    "RabbitTarget",
]
