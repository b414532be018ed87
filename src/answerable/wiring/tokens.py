"""Assemble the token service: its keys, its register, its status lists, and the removal of expired tokens."""

from __future__ import annotations

import logging
import re
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.adapters.local_keys import open_key, open_or_create_key
from answerable.adapters.sqlite import SqliteCitationRegister, SqliteTokenRegister
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.status_list import StatusList, signed_status_list
from answerable.core.mandate.token_life import ActingLimits
from answerable.errors import Malformed, Unavailable
from answerable.flows.entries.keep_citations import keep_citations
from answerable.flows.recording.rounds import until_round
from answerable.flows.state.delegations import Delegations
from answerable.flows.state.token_desk import TokenLimits, TokenState
from answerable.flows.tokens.exchange_token import status_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.flows.tokens.verify_caller import CallerVerifier
    from answerable.ports.entropy import Entropy
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.walk import Walk

LISTS_MAX: Final = 10_000
KEPT_MILLIS: Final = 86_400_000
"""How long an expired token can still be found by its id: at least the lifetime of any status list that somebody holds
(`TTL_SECONDS_MAX`)."""
FORGOTTEN_MAX: Final = 10_000
BETWEEN_SECONDS: Final = 0.05
"""Pause between two writes, so that other writers get their turn."""
_log: Final = logging.getLogger(__name__)
_KEY_FILE: Final = re.compile(r"([0-9]{1,6})\.key")


def issuer_of(settings: Settings, address: tuple[str, int] | None) -> str:
    """Return the token service's issuer: as configured, else the address that the gateway listens on."""
    if settings.tokens.issuer:
        return settings.tokens.issuer
    scheme = "https" if settings.gateway.tls_certificate else "http"
    host, port = address or (settings.gateway.host, settings.gateway.port)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def token_desk(
    settings: Settings,
    walk: Walk,
    store: SqliteStore,
    verifier: CallerVerifier,
    address: tuple[str, int] | None,
) -> TokenState:
    """Build the state, and set the walk's trusted signers of hops. Raises Unavailable (`key.*`, `register.*`)."""
    wanted, entropy, issuer = settings.tokens, walk.entropy, issuer_of(settings, address)
    desk = TokenState(
        recorder=walk.recorder,
        authority=walk.authority,
        verification=walk.verification,
        counters=walk.counters,
        live=walk.live,
        tokens=SqliteTokenRegister(store, entropy=entropy),
        known=verifier.known,
        keys=tuple(_keys(settings, entropy)),
        issuer=lambda: issuer,
        limits=TokenLimits(
            action=wanted.action_seconds,
            delegation=wanted.delegation_seconds,
            status_list=wanted.status_list_seconds,
        ),
    )
    walk.live.tokens, walk.recorder.citations = desk.tokens, SqliteCitationRegister(store)
    walk.verification.acting = ActingLimits(seconds=wanted.action_seconds_max)
    walk.verification.delegations = Delegations(keys_of=desk.public_keys, audience=desk.issuer)
    return desk


def _keys(settings: Settings, entropy: Entropy) -> Iterator[SigningKey]:
    """Yield the keys of the folder, the highest number first: it signs; the others stay trusted until their files are
    removed."""
    folder = settings.data / "keys" / "tokens"
    first = open_or_create_key(folder / "1.key", entropy=entropy)
    numbers = sorted(
        (int(found[1]) for one in folder.iterdir() if (found := _KEY_FILE.fullmatch(one.name))), reverse=True
    )
    for number in numbers:
        yield first if number == 1 else open_key(folder / f"{number}.key")


async def forgetting_tokens(desk: TokenState, *, seconds: float = 60.0) -> None:
    """Remove tokens that expired a day ago, revoked or not, until cancelled; their places in lists stay taken.

    Tokens are removed in batches, as often as there are more, so that removal keeps up with any rate of issuing. The
    positions of tokens and other statements in the log are stored at the same times; the next process reads those not
    stored from the log.
    """
    while True:
        before = UnixMillis(desk.recorder.clock.now() - KEPT_MILLIS)
        forget, count = partial(desk.tokens.prune, before=before, count_max=FORGOTTEN_MAX), 0
        try:
            count = await anyio.to_thread.run_sync(forget)
        except Unavailable as failed:
            _log.warning("expired tokens cannot be removed now: %s", failed.message)
        try:
            await keep_citations(desk.recorder)
        except Unavailable as failed:
            _log.warning("positions of statements cannot be stored now: %s", failed.message)
        await anyio.sleep(until_round(seconds) if count < FORGOTTEN_MAX else BETWEEN_SECONDS)


def status_lists_of(desk: TokenState) -> tuple[int, ...]:
    """Return the numbers of the existing lists."""
    return tuple(takewhile(partial(_is_list, desk), range(1, LISTS_MAX)))


def _is_list(desk: TokenState, number: int) -> bool:
    try:
        desk.tokens.statuses(number)
    except Malformed:
        return False
    return True


def status_list_of(desk: TokenState, number: int) -> str | None:
    """Return the signed list of that number, None if there is none yet. Raises Unavailable."""
    try:
        octets = desk.tokens.statuses(number)
    except Malformed:
        return None
    return signed_status_list(
        StatusList(bits=1, statuses=octets),
        uri=status_uri(desk.issuer(), number),
        at=desk.recorder.clock.now(),
        ttl=desk.limits.status_list,
        lifetime_seconds=desk.limits.status_list,
        key=desk.keys[0],
    )
