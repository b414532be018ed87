"""One enrolled identity in the sidecar: its keys, its name and its remaining lifetime.

The private keys exist only in this object, in this process: never in the environment, a file or an argument.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

import anyio
import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.canonical import parse
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.core.identity.workload.attestation import SHOWN_AGAIN
from answerable.errors import AnswerableError, Refused, shown
from answerable.errors.codes.services import SIDECAR_OTHER_AGENT, SIDECAR_OTHER_DOMAIN
from answerable.sdk.delegation import hand_on
from answerable.sdk.enrolment import certificate_request
from answerable.sdk.proof_auth import SessionAuth
from answerable.sdk.system_access import SYSTEM_WORLD

if TYPE_CHECKING:
    from answerable.apps.sidecar.attesting import Attesting
    from answerable.core.canonical import JSONValue
    from answerable.sdk.delegation import Narrowing, Receiver
    from answerable.sdk.enrolment import Enrolled, EnrolmentClient, MadeOf
    from answerable.sdk.system_access import SystemAccess

SHORTEST_SECONDS: Final = 1.0


class Identity:
    """One identity. key: Ed25519, proves every request. `auth` signs with it. Made by `enrol` and `sub_agent`.

    If the server has lost it, `enrol_anew` and `enrol_anew_below` replace its keys and name; signers therefore read
    `auth` each time.
    """

    def __init__(
        self, client: EnrolmentClient, *, mandate: str = "", world: SystemAccess = SYSTEM_WORLD
    ) -> None:
        self._client = client
        self._mandate = mandate
        self._world = world
        # Of two concurrent changes, the one answered last must not restore what the other replaced.
        self._changing = anyio.Lock()
        self._doubt = anyio.Event()
        self._key = SigningKey(new_private_jwk("ed25519", os.urandom(SEED_BYTES["ed25519"])))
        self._svid_key = ec.generate_private_key(ec.SECP256R1())
        self._enrolled: Enrolled | None = None
        self._ends_at = 0.0
        self._attesting: Attesting | None = None
        self.auth = SessionAuth(self._key, mandate=mandate, world=world)

    def __repr__(self) -> str:
        return f"Identity({self._key.public.thumbprint})"

    @property
    def enrolled(self) -> Enrolled:
        """The server's last answer. Only for an enrolled identity."""
        if self._enrolled is None:
            raise RuntimeError("this identity is not enrolled yet")
        return self._enrolled

    @property
    def thumbprint(self) -> str:
        """Thumbprint of the key that proves the identity's requests and to which its received delegations are bound."""
        return self._key.public.thumbprint

    @property
    def public_jwk(self) -> JSONValue:
        """The public half of that key (RFC 7517)."""
        return parse(self._key.public.jwk.encode("ascii"))

    def hand_on(self, chain: str, receiver: Receiver, narrowing: Narrowing) -> str:
        """As `answerable.sdk.delegation.hand_on`, with the key that only this object has."""
        return hand_on(chain, receiver, narrowing, key=self._key)

    def seconds_left(self) -> float:
        """Return the seconds left of its lifetime, on this process's monotonic clock."""
        return max(0.0, self._ends_at - self._world.monotonic())

    def doubt(self) -> None:
        """Report that a request with this key was refused: the keeper then checks whether the identity is still
        known."""
        self._doubt.set()

    async def doubted(self) -> None:
        """Wait for a `doubt` since the last return. For one waiter."""
        await self._doubt.wait()
        self._doubt = anyio.Event()

    async def enrol(
        self, attesting: Attesting, *, made_of: MadeOf | None = None, former: str = ""
    ) -> Enrolled:
        """Enrol. former: thumbprint of the key that this one replaces. Raises the error family."""
        challenge = await self._client.challenge()
        attestation = await anyio.to_thread.run_sync(attesting, challenge, self.thumbprint)
        self._attesting = attesting
        return self._kept(
            await self._client.enrol(
                challenge,
                key=self._key,
                attestation=attestation,
                csr=certificate_request(self._svid_key),
                made_of=made_of,
                former=former,
            )
        )

    async def enrol_anew(self, attesting: Attesting, *, made_of: MadeOf | None = None) -> Enrolled:
        """Enrol again under another name and other keys; nothing changes before success.

        Raises the error family, and Refused: `sidecar.other_agent`, `sidecar.other_domain` if the server assigns
        another agent now, or is of another trust domain.
        """
        async with self._changing:
            fresh = Identity(self._client, mandate=self._mandate, world=self._world)
            enrolled = await fresh.enrol(attesting, made_of=made_of, former=self.thumbprint)
            if fault := _another(enrolled, self.enrolled):
                with suppress(AnswerableError):
                    await fresh.end()
                raise fault
            return self._replaced(fresh)

    async def enrol_anew_below(self, parent: Identity) -> Enrolled:
        """As `enrol_anew`, for a sub-agent whose parent was enrolled again."""
        async with self._changing:
            return self._replaced(await parent.sub_agent())

    async def sub_agent(self) -> Identity:
        """Enrol a new identity below this one, with keys of its own. Raises the error family."""
        made = Identity(self._client, mandate=self._mandate, world=self._world)
        made._kept(
            await self._client.enrol_sub_agent(
                await self._client.challenge(),
                parent=self.auth,
                key=made._key,
                csr=certificate_request(made._svid_key),
            )
        )
        return made

    async def renew(self, *, made_of: MadeOf | None = None) -> Enrolled:
        """Extend the lifetime, with a new certificate over the same key. Raises the error family.

        An identity whose evidence can be withdrawn by a third party attests again.
        """
        async with self._changing:
            attestation = None
            if self._attesting is not None and self.enrolled.source in SHOWN_AGAIN:
                challenge = await self._client.challenge()
                attestation = await anyio.to_thread.run_sync(self._attesting, challenge, self.thumbprint)
            csr = certificate_request(self._svid_key)
            return self._kept(
                await self._client.renew(self.auth, csr=csr, made_of=made_of, attestation=attestation)
            )

    async def end(self) -> None:
        """End the instance. Raises the error family."""
        await self._client.end(self.auth)

    async def stop(self, over: Literal["instance", "agent"]) -> str:
        """Place a hold on this instance or its agent; return the id of the hold. Raises the error family."""
        return await self._client.stop(self.auth, over=over)

    def _kept(self, enrolled: Enrolled) -> Enrolled:
        self._enrolled = enrolled
        self._ends_at = self._world.monotonic() + enrolled.milliseconds_left / 1000
        return enrolled

    def _replaced(self, fresh: Identity) -> Enrolled:
        self._key, self._svid_key, self.auth = fresh._key, fresh._svid_key, fresh.auth
        self._enrolled, self._ends_at = fresh._enrolled, fresh._ends_at
        return self.enrolled


def _another(now: Enrolled, before: Enrolled) -> Refused | None:
    """Return the fault of a new name; None if it is of the same agent and trust domain as the former one."""
    if now.instance.trust_domain != before.instance.trust_domain:
        return SIDECAR_OTHER_DOMAIN(
            f"the server is of trust domain {shown(now.instance.trust_domain)} now: restart this command"
        )
    if now.agent != before.agent:
        message = f"the measured process is agent {shown(now.agent)} now, expected {shown(before.agent)}"
        return SIDECAR_OTHER_AGENT(message)
    return None
