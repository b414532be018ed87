"""What the servers of NATS are asked under their system account: tokens of accounts, and who is connected."""

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
    """One connection, kept warm. servers: how many there are, each of which answers for itself."""

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
        """The token of an account, as the first server that has it says. Raises Unavailable (`lease.target`)."""
        answer = (await self._asked(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP", b"", answers=1))[0]
        return answer.decode(errors="replace")

    async def replace_token(self, token: str) -> None:
        """Give every server another token of an account. Raises Unavailable (`lease.target`)."""
        for answer in await self._asked("$SYS.REQ.CLAIMS.UPDATE", token.encode(), answers=self._servers):
            told = _told(answer).get("data")
            if not isinstance(told, dict) or told.get("code") != ACCEPTED:
                raise away("a server of nats does not take the account's token", "unknown")

    async def connections(self, account: str, user: str = "") -> list[dict[str, JSONValue]]:
        """Who is connected to any server. user: by public key; empty for all of the account."""
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
        """Close it."""
        if self._client is not None:
            await closed(self._client)
            self._client = None

    async def _asked(self, subject: str, payload: bytes, *, answers: int) -> list[bytes]:
        """So many answers. Whoever is cancelled waits for them: what was sent cannot be taken back."""
        client = await self._connected()
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(self._seconds_max):
                    inbox = client.new_inbox()
                    listening = await client.subscribe(inbox, max_msgs=answers)
                    await client.publish(subject, payload, reply=inbox)
                    found = [await listening.next_msg(timeout=self._seconds_max) for _ in range(answers)]
            except FAILURES:
                # Not used again: what is answered late would be taken for an answer to something else.
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
    """The target is not there for its issuer."""
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
