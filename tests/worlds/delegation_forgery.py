"""How the tests of delegation forge hops and see them refused."""

from __future__ import annotations

import pytest

from answerable.errors import Malformed, Unverified
from answerable.testing.delegation import (
    claims_in,
    forged,
    verify,
)


def refused(tokens, **changes):
    with pytest.raises((Malformed, Unverified)) as raised:
        verify(tokens, **changes)
    if isinstance(raised.value, Unverified):
        assert raised.value.step == "delegation"
    return raised.value.code.removeprefix("delegation.")


def resigned(token, sign, *, header=None, **changes):
    """The token with other claims, signed by somebody. A change to None takes the claim out."""
    claims = {**claims_in(token), **changes}
    return forged({k: v for k, v in claims.items() if v is not None}, sign, **(header or {}))
