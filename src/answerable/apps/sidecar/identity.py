"""One enrolled identity as the sidecar holds it: its keys, its name, and how long it is good for.

The private keys are in this object, in this process, and go nowhere: not into the environment, a file or an argument.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.canonical import parse
from answerable.core.identity.attestation import SHOWN_AGAIN
from answerable.core.identity.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.sdk.delegation import hand_on
from answerable.sdk.enrolment import certificate_request
from answerable.sdk.proof_auth import SessionAuth

if TYPE_CHECKING:
    from answerable.apps.sidecar.attesting import Attesting
    from answerable.core.canonical import JSONValue
    from answerable.sdk.delegation import Narrowing, Receiver
    from answerable.sdk.enrolment import Enrolled, EnrolmentClient, MadeOf

SHORTEST_SECONDS: Final = 1.0


class Identity:
    """key: Ed25519, proves every request. `auth` signs with it. Made by `enrol` and `enrol_sub_agent`."""

    def __init__(self, client: EnrolmentClient, *, mandate: str = "") -> None:
        self._client = client
        self._mandate = mandate
        self._key = SigningKey(new_private_jwk("ed25519", os.urandom(SEED_BYTES["ed25519"])))
        self._svid_key = ec.generate_private_key(ec.SECP256R1())
        self._enrolled: Enrolled | None = None
        self._ends_at = 0.0
        self._attesting: Attesting | None = None
        self.auth: Final = SessionAuth(self._key, mandate=mandate)

    def __repr__(self) -> str:
        return f"Identity({self._key.public.thumbprint})"

    @property
    def enrolled(self) -> Enrolled:
        """What the server last said. For an identity that is enrolled."""
        if self._enrolled is None:
            raise RuntimeError("this identity is not enrolled yet")
        return self._enrolled

    @property
    def thumbprint(self) -> str:
        """Of the key that proves its requests, and that what is handed on to it is bound to."""
        return self._key.public.thumbprint

    @property
    def public_jwk(self) -> JSONValue:
        """The public half of that key (RFC 7517)."""
        return parse(self._key.public.jwk.encode("ascii"))

    def hand_on(self, chain: str, receiver: Receiver, narrowing: Narrowing) -> str:
        """As `answerable.sdk.delegation.hand_on`, with the key that only this object has."""
        return hand_on(chain, receiver, narrowing, key=self._key)

    def seconds_left(self) -> float:
        """Of its life, on our own monotonic clock."""
        return max(0.0, self._ends_at - anyio.current_time())

    async def enrol(self, attesting: Attesting, *, made_of: MadeOf | None = None) -> Enrolled:
        """Raises the error family."""
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
            )
        )

    async def sub_agent(self) -> Identity:
        """A new identity below this one, enrolled, with keys of its own. Raises the error family."""
        made = Identity(self._client, mandate=self._mandate)
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
        """A longer life, with a new certificate over the same key. Raises the error family.

        Who is known by what others may take back shows it again.
        """
        attestation = None
        if self._attesting is not None and self.enrolled.source in SHOWN_AGAIN:
            challenge = await self._client.challenge()
            attestation = await anyio.to_thread.run_sync(self._attesting, challenge, self.thumbprint)
        csr = certificate_request(self._svid_key)
        return self._kept(
            await self._client.renew(self.auth, csr=csr, made_of=made_of, attestation=attestation)
        )

    async def end(self) -> None:
        """Raises the error family."""
        await self._client.end(self.auth)

    def _kept(self, enrolled: Enrolled) -> Enrolled:
        self._enrolled = enrolled
        self._ends_at = anyio.current_time() + enrolled.milliseconds_left / 1000
        return enrolled
