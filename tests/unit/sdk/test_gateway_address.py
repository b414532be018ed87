"""What a client says of a gateway that it cannot reach."""

from __future__ import annotations

import errno
import os

import httpx2
import pytest

from answerable.sdk.gateway_address import unreached


def failed(number: int) -> httpx2.ConnectError:
    fault = httpx2.ConnectError("all attempts failed")
    fault.__cause__ = OSError(number, os.strerror(number))
    return fault


@pytest.mark.requirement("BOUNDARY-15")
def test_a_socket_that_does_not_let_an_account_in_is_told_with_the_setting_that_does() -> None:
    assert "`gateway.socket_group`" in unreached(failed(errno.EACCES))
    assert unreached(failed(errno.ECONNREFUSED)) == "connection refused"
