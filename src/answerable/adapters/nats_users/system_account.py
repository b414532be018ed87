"""Query and update NATS servers through their system account: account tokens and open connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from answerable.adapters.nats_users.server import FAILURES, closed, unheard
from answerable.core.canonical import encode, parse
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.client import Client

    from answerable.adapters.nats_users.server import NatsServer, NatsUser
    from answerable.core.canonical import JSONValue
    from answerable.errors import Effect

PAGE: Final = 1024
PAGES_MAX: Final = 1_000
ACCEPTED: Final = 200


class SystemAccount:
    """One reused connection. servers: number of servers, each of which answers for itself."""

    def __init__(
        self, server: NatsServer, *, user_of: Callable[[], NatsUser], servers: int, seconds_max: float
    ) -> None:
        self._server = server
        self._user_of = user_of
        self._servers = servers
        self._seconds_max = seconds_max
        self._client: Client | None = None
        self._opening = anyio.Lock()

    async def token_of(self, account: str) -> str:
        """Return an account's token from the first server that has it. Raises Unavailable (`lease.target`)."""
        answer = (await self._asked(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP", b"", answers=1))[0]
        return answer.decode(errors="replace")

    async def replace_token(self, token: str) -> None:
        """Replace an account's token on every server. Raises Unavailable (`lease.target`)."""
        for answer in await self._asked("$SYS.REQ.CLAIMS.UPDATE", token.encode(), answers=self._servers):
            told = _told(answer).get("data")
            if not isinstance(told, dict) or told.get("code") != ACCEPTED:
                raise away("a server of nats does not take the account's token", "unknown")

    async def connections(self, account: str, user: str = "") -> list[dict[str, JSONValue]]:
        """Return the open connections on all servers. user: public key; empty for all users of the account."""
        found: list[dict[str, JSONValue]] = []
        for page in range(PAGES_MAX):
            wanted: dict[str, JSONValue] = {
                "auth": True,
                "acc": account,
                "limit": PAGE,
                "offset": page * PAGE,
            }
            if user:
                wanted["user"] = user
            answers = await self._asked("$SYS.REQ.SERVER.PING.CONNZ", encode(wanted), answers=self._servers)
            pages = [_connections(answer) for answer in answers]
            found += [one for connections in pages for one in connections]
            if all(len(connections) < PAGE for connections in pages):
                return found
        raise away("nats has more connections than can be looked through", "none")

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await closed(self._client)
            self._client = None

    async def _asked(self, subject: str, payload: bytes, *, answers: int) -> list[bytes]:
        """Send a request and return `answers` answers. A cancellation waits for them: what was sent cannot be
        withdrawn."""
        client = await self._connected()
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(self._seconds_max):
                    inbox = client.new_inbox()
                    listening = await client.subscribe(inbox, max_msgs=answers)
                    await client.publish(subject, payload, reply=inbox)
                    found = [await listening.next_msg(timeout=self._seconds_max) for _ in range(answers)]
            except FAILURES:
                # Not reused: a late answer would be taken for the answer to another request.
                await self.close()
                raise away("not every server of nats answered", "unknown") from None
        if any(not answer.data and answer.headers for answer in found):
            raise away("no server of nats answers for the system account", "none")
        return [answer.data for answer in found]

    async def _connected(self) -> Client:
        async with self._opening:
            if self._client is None or not self._client.is_connected:
                await self.close()
                try:
                    self._client = await self._server.opened(
                        self._user_of(), label="answerable-broker", inbox="_INBOX", on_error=unheard
                    )
                except FAILURES:
                    raise away("nats does not answer, or refuses the broker's own user", "none") from None
            return self._client


def away(why: str, effect: Effect) -> Unavailable:
    """Return the error for a target that its issuer cannot use."""
    return LEASE_TARGET(why, effect=effect)


def _told(answer: bytes) -> dict[str, Any]:
    try:
        told = parse(answer)
    except Malformed:
        told = None
    if not isinstance(told, dict):
        raise away("a server of nats answers with what is no json object", "unknown")
    return told


def _connections(answer: bytes) -> list[dict[str, JSONValue]]:
    told = _told(answer).get("data")
    listed = told.get("connections") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise away("a server of nats does not say who is connected", "none")
    return [one for one in listed if isinstance(one, dict)]
