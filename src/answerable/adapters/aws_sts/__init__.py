"""Issue leases on AWS as STS role sessions, each narrowed by its own session policy."""

from __future__ import annotations

from answerable.adapters.aws_sts.clients import AwsClients, AwsPlace
from answerable.adapters.aws_sts.issuer import AwsIssuer
from answerable.adapters.aws_sts.scope import SESSION_SECONDS_MIN
from answerable.adapters.aws_sts.target import AwsTarget

__all__ = ["SESSION_SECONDS_MIN", "AwsClients", "AwsIssuer", "AwsPlace", "AwsTarget"]
