"""Define the limits of certificates, connections and answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits. ttl_seconds_max: the longest certificate. clock_skew_seconds: how far a host's clock may lag behind for a
    new certificate to be accepted at once. output_bytes_max: of standard output, and the same of standard error."""

    ttl_seconds_max: int = 3_600
    clock_skew_seconds: int = 30
    connect_seconds: int = 5
    revoke_seconds: int = 10
    output_bytes_max: int = 65_536
