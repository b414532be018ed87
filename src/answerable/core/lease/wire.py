"""Names on the socket between gateway and broker, as `docs/reference/wire/broker.md` specifies."""

from __future__ import annotations

from typing import Final, Literal, get_args

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_LIST

WARRANT_META: Final = "answerable/warrant"
"""Member of a call's `_meta`: the signed warrant."""
DONE_META: Final = "answerable/done"
"""Member of an answer's `_meta`: `{"lease": name, "session": {…}, "state": state of the lease}`, and where the use is
known `"used": {"scope": digest, "sure": [place …], "unsure": [place …]}`."""
EFFECT_DATA: Final = "answerable/effect"
"""Member of an error's `data`: `none` when nothing was begun, `unknown` otherwise."""
RETRY_DATA: Final = "answerable/retry"
"""Member of an error's `data`: false when the same call would be refused again."""

MCP_PATH: Final = "/mcp/"
CONTROL_PATH: Final = "/v1/"
HOST: Final = "broker"

LeaseList = Literal["open", "unrevoked", "ended"]
LEASE_LISTS: Final[tuple[LeaseList, ...]] = get_args(LeaseList)
LISTED_MAX: Final = 1_000
NAMES_MAX: Final = 10_000
"""Maximum in one request to end leases, or to recall them."""
WAIT_SECONDS_MAX: Final = 30.0
BODY_BYTES_MAX: Final = 8_388_608


def lease_list(text: str) -> LeaseList:
    """Validate an untrusted list name. Raises Malformed (`lease.list`)."""
    for one in LEASE_LISTS:
        if one == text:
            return one
    raise LEASE_LIST(f"unknown list of leases {shown(text, 40)}: expected one of {', '.join(LEASE_LISTS)}")
