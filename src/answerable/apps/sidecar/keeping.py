"""Keep one identity in force while the agent runs: renew it at half its lifetime, and enrol again if the server no
longer knows it.

Laws: only the answer that the key is unknown leads to a new enrolment, with another key and naming the former one, so
that a server that does know its fate can report it; an identity that was ended, suspended, retired or revoked stays so;
refusals are retried with pauses that grow to a bound and are jittered between sidecars.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from answerable.apps.sidecar.pace import RETRY_SECONDS_MAX, renewal_wait, retry_wait, return_wait, spread
from answerable.errors import AnswerableError, Unavailable
from answerable.sdk.system_access import SYSTEM_WORLD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.apps.sidecar.identity import Identity
    from answerable.sdk.enrolment import Enrolled, MadeOf
    from answerable.sdk.system_access import SystemAccess

UNKNOWN: Final = "instance.key_unknown"
STILL_KNOWN: Final = "instance.still_known"
DRIFTED: Final = ("manifest.drifted", "manifest.unmeasured")
CALM_SECONDS: Final = 2.0
"""Shortest time between two checks that doubts cause."""
_FINAL: Final = frozenset(
    {"agent.inactive", "attestation.changed", "instance.ended", "sidecar.other_agent", "sidecar.other_domain"}
)
_ADVICE: Final = (
    ("join_token.", "a join token can be used once: write a new one into its file, or restart this command"),
    (
        "attestation.",
        "apply the registry; if it is, start this command anew, for from outside less can be measured now",
    ),
    ("oidc.", "write a fresh token into its file"),
    ("x509_pop.", "put a valid certificate and its key into their files"),
    ("ssh.", "put a valid host key into its file"),
    ("manifest.", "let the owner sign the running project, or restore the signed one"),
)
_CHANCE_BYTES: Final = 4

_log: Final = logging.getLogger("answerable.sidecar")


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Keeps one identity in force. again: enrols the identity again. made_of: returns its current measurements. say:
    prints a message for people. sleep, world: time and randomness."""

    identity: Identity
    again: Callable[[], Awaitable[Enrolled]]
    made_of: Callable[[], MadeOf | None]
    say: Callable[[str], None]
    sleep: Callable[[float], Awaitable[None]] = field(default=anyio.sleep)
    world: SystemAccess = SYSTEM_WORLD

    async def keep(self) -> None:
        """Renew until the identity cannot be kept, then return; the reason was printed. Transient failures are retried
        forever."""
        wait = renewal_wait(self.identity.seconds_left(), self._chance())
        failures = 0
        while True:
            await self._wait(wait)
            try:
                await self.identity.renew(made_of=self.made_of())
                failures, wait = 0, renewal_wait(self.identity.seconds_left(), self._chance())
            except Unavailable as error:
                wait, failures = retry_wait(failures, self._chance()), failures + 1
                _log.warning("the identity could not be renewed, retrying: %s", error.message)
            except AnswerableError as error:
                if error.code == UNKNOWN:
                    if not await self._came_back():
                        return
                    failures, wait = 0, renewal_wait(self.identity.seconds_left(), self._chance())
                elif error.code in DRIFTED:
                    # The drift may be repaired before the lifetime ends.
                    wait = spread(RETRY_SECONDS_MAX, self._chance())
                else:
                    self.say(f"{self.identity.enrolled.instance} is no longer renewed: {error.message}")
                    return

    async def _came_back(self) -> bool:
        """Enrol again. True when enrolled or when the server knows the identity after all; False when the server
        forbids it."""
        former = self.identity.enrolled.instance
        self.say(f"the server no longer knows {former}: enrolling again with a new key")
        failures, told = 0, ""
        while True:
            await self.sleep(return_wait(failures, self._chance()))
            try:
                enrolled = await self.again()
            except AnswerableError as error:
                if error.code == STILL_KNOWN:
                    self.say(f"the server knows {former} again: it continues")
                    return True
                if error.code in _FINAL or error.code.startswith("revoked."):
                    self.say(f"{former} cannot be restored: {error.message}")
                    return False
                failures += 1
                if error.code != told:
                    # Print each reason once: it may take days until somebody acts on it.
                    told = error.code
                    self.say(f"not enrolled again yet, retrying: {error.message}{_advice(error.code)}")
                _log.warning("not enrolled again (%d attempts): %s", failures, error.message)
                continue
            self.say(f"{enrolled.instance} replaces {former}")
            return True

    async def _wait(self, seconds: float) -> None:
        """Wait that long, or until a doubt about the identity, but at least for the calm period."""
        calm = min(seconds, spread(CALM_SECONDS, self._chance()))
        await self.sleep(calm)
        async with anyio.create_task_group() as waiting:

            async def until_doubted() -> None:
                await self.identity.doubted()
                waiting.cancel_scope.cancel()

            waiting.start_soon(until_doubted)
            await self.sleep(seconds - calm)
            waiting.cancel_scope.cancel()

    def _chance(self) -> float:
        return int.from_bytes(self.world.random_bytes(_CHANCE_BYTES), "big") / (256**_CHANCE_BYTES - 1)


def _advice(code: str) -> str:
    return next((f"; {text}" for start, text in _ADVICE if code.startswith(start)), "")
