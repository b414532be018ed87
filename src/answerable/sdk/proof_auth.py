"""Prove possession of the agent's key on every request of an `httpx2` client.

    client = httpx2.AsyncClient(auth=SessionAuth(load_key(path), mandate="..."))

Both classes sign every request, GET and DELETE included. The key never leaves the process.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2

from answerable.core.identity.proof.http_signature import (
    DELEGATION_HEADER,
    MANDATE_HEADER,
    SEQUENCE_MAX,
    UNKNOWN_EPOCH,
    SignedRequest,
    sign_request,
    signature_base,
)
from answerable.core.identity.proof.session import (
    EPHEMERAL_BYTES,
    SESSION_TARGET,
    SessionKey,
    derive_key,
    encode_offer,
    ephemeral_public,
    parse_answer,
)
from answerable.errors import Malformed
from answerable.errors.codes.people import SESSION_ANSWER
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from answerable.core.identity.keys.keys import SigningKey

ATTEMPTS_MAX: Final = 3
"""How often one request is signed: once, again under the right epoch or a new session, and again if both were stale."""
RENEW_SECONDS_BEFORE_END: Final = 30
HANDSHAKE_BYTES_MAX: Final = 4_096
"""Bytes of an answer to a handshake, so that an unexpected server at this address cannot exhaust memory."""

_NONCE_BYTES: Final = 16
_CHALLENGE: Final = re.compile(r'Answerable epoch="([0-9a-z]{26})", step="([a-z]{1,20})"')
_INPUT_PREFIX_BYTES: Final = len(b"answerable=")
_HTTP_UNAUTHORIZED: Final = 401
_HTTP_NO_SESSIONS: Final = (404, 405)


class SignatureAuth(httpx2.Auth):
    """Signs every request (RFC 9421). 40 µs each for Ed25519; needs nothing from the server but its epoch.

    mandate: id to name in every request that names none itself.
    """

    requires_request_body = True

    def __init__(self, key: SigningKey, *, mandate: str = "", world: SystemAccess = SYSTEM_WORLD) -> None:
        self._key = key
        self._mandate = mandate
        self._world = world
        self._epoch = UNKNOWN_EPOCH

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign a request; sign it again if the server has another epoch, as after its restart."""
        self.sign(request)
        response = yield request
        if self.learns_from(response) == "epoch":
            self.sign(request)
            yield request

    def sign(self, request: httpx2.Request) -> SignedRequest:
        """Put the proof into the request's headers. Raises Unverified for a request whose form cannot be signed."""
        random_part = urlsafe_b64encode(self._world.random_bytes(_NONCE_BYTES)).rstrip(b"=").decode("ascii")
        signed = sign_request(
            covered(request, self._mandate),
            algorithm=self._key.algorithm,
            keyid=self._key.public.thumbprint,
            created=int(self._world.unix_seconds()),
            nonce=f"{self._epoch}.{random_part}",
            sign=self._key.sign,
        )
        put_proof(request, signed)
        return signed

    def learns_from(self, response: httpx2.Response) -> str:
        """Return the step at which the server refused, empty if it did not. Remembers the epoch in the answer."""
        if response.status_code != _HTTP_UNAUTHORIZED:
            return ""
        for value in response.headers.get_list("www-authenticate"):
            if match := _CHALLENGE.fullmatch(value):
                self._epoch = match[1]
                return match[2]
        return ""


class _ClientSession:
    """One session on the client's side. ends_at: monotonic seconds."""

    __slots__ = ("ends_at", "key", "name", "sequence")

    def __init__(self, name: str, key: bytes, ends_at: float) -> None:
        self.name: Final = name
        self.key: Final = SessionKey(key)
        self.ends_at: Final = ends_at
        self.sequence = 0


class SessionAuth(httpx2.Auth):
    """Adds a MAC to every request, under a session that one signed handshake opens when first needed, and again before
    its end.

    For a server without sessions, signs every request instead. Safe for concurrent requests.
    """

    requires_request_body = True

    def __init__(self, key: SigningKey, *, mandate: str = "", world: SystemAccess = SYSTEM_WORLD) -> None:
        self._signer = SignatureAuth(key, mandate=mandate, world=world)
        self._mandate = mandate
        self._world = world
        self._session: _ClientSession | None = None
        self._has_sessions = True
        self._offering = Lock()
        self._offering_async = anyio.Lock()
        self._counting = Lock()

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Authenticate requests of `httpx2.Client`."""
        request.read()
        for _ in range(ATTEMPTS_MAX):
            if self._needs_session():
                with self._offering:
                    if self._needs_session():
                        handshake = self._handshake(request)
                        for _ in range(2):
                            response = yield handshake.request
                            response.stream = _Bounded(response.stream)
                            response.read()
                            if not self._again(handshake, response):
                                break
            response = yield self._proved(request)
            if not self._retries(request, response):
                return

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Authenticate requests of `httpx2.AsyncClient`."""
        await request.aread()
        for _ in range(ATTEMPTS_MAX):
            if self._needs_session():
                async with self._offering_async:
                    if self._needs_session():
                        handshake = self._handshake(request)
                        for _ in range(2):
                            response = yield handshake.request
                            response.stream = _Bounded(response.stream)
                            await response.aread()
                            if not self._again(handshake, response):
                                break
            response = yield self._proved(request)
            if not self._retries(request, response):
                return

    def _needs_session(self) -> bool:
        session = self._session
        return self._has_sessions and (
            session is None or self._world.monotonic() > session.ends_at or session.sequence >= SEQUENCE_MAX
        )

    def _handshake(self, request: httpx2.Request) -> _Handshake:
        return _Handshake(request, self._signer, self._world)

    def _again(self, handshake: _Handshake, response: httpx2.Response) -> bool:
        """Process the answer. True if the handshake must be sent again, signed under another epoch."""
        if response.status_code in _HTTP_NO_SESSIONS:
            self._has_sessions = False
            return False
        if response.is_success:
            self._session = handshake.session(response.content)
            return False
        return self._signer.learns_from(response) == "epoch" and handshake.sign_again()

    def _proved(self, request: httpx2.Request) -> httpx2.Request:
        session = self._session
        if session is None or not self._has_sessions:
            self._signer.sign(request)
            return request
        with self._counting:
            session.sequence += 1
            sequence = session.sequence
        signed = sign_request(
            covered(request, self._mandate),
            algorithm="hmac-sha256",
            keyid=session.name,
            created=int(self._world.unix_seconds()),
            nonce=str(sequence),
            sign=session.key.mac,
        )
        put_proof(request, signed)
        return request

    def _retries(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Whether the server refused only because the session or epoch is stale, so that the request had no effect."""
        step = self._signer.learns_from(response)
        session = self._session
        # Discard only the refused session: another request may have opened a new one meanwhile.
        if (
            step == "session"
            and session is not None
            and f'keyid="{session.name}"' in request.headers["signature-input"]
        ):
            self._session = None
        return step in ("session", "epoch")


class _Bounded(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """A body of HANDSHAKE_BYTES_MAX at most. Raises Unavailable (`session.answer`) beyond that."""

    def __init__(self, inner: httpx2.AsyncByteStream | httpx2.SyncByteStream) -> None:
        self._inner: Any = inner
        self._left = HANDSHAKE_BYTES_MAX

    def _taken(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise SESSION_ANSWER(
                f"the server's answer to the session handshake: it has more than {HANDSHAKE_BYTES_MAX} bytes"
            )
        return piece

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:
            yield self._taken(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            yield self._taken(piece)

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Handshake:
    """One `POST /session` to the server of another request."""

    __slots__ = ("_private", "_signed", "_signer", "_world", "request")

    def __init__(self, request: httpx2.Request, signer: SignatureAuth, world: SystemAccess) -> None:
        self._private = world.random_bytes(EPHEMERAL_BYTES)
        self._signer = signer
        self._world = world
        self.request = httpx2.Request(
            "POST",
            request.url.copy_with(raw_path=SESSION_TARGET),
            headers={"host": request.headers["host"], "content-type": "application/json"},
            content=encode_offer(ephemeral_public(self._private)),
            # The deadlines of the waiting request also apply to the handshake.
            extensions=dict(request.extensions),
        )
        self._signed = signer.sign(self.request)

    def sign_again(self) -> bool:
        """Sign again under the epoch that the signer now knows. Always True."""
        self._signed = self._signer.sign(self.request)
        return True

    def session(self, answer: bytes) -> _ClientSession:
        """Derive the session key. Raises Unavailable (`session.answer`) for an invalid answer."""
        try:
            parsed = parse_answer(answer)
            key = derive_key(
                private=self._private,
                public=parsed.x25519,
                signature_base=signature_base(
                    self._signed, self._signed.signature_input[_INPUT_PREFIX_BYTES:]
                ),
                answer=answer,
            )
        except Malformed as error:
            raise SESSION_ANSWER(f"the server's answer to the session handshake: {error.message}") from None
        lifetime = parsed.lifetime_seconds - min(RENEW_SECONDS_BEFORE_END, parsed.lifetime_seconds // 2)
        return _ClientSession(parsed.session, key, self._world.monotonic() + lifetime)


def covered(request: httpx2.Request, mandate: str = "") -> SignedRequest:
    """Return what a proof over this request covers. A mandate that the request names itself takes precedence over
    `mandate`."""
    if mandate and MANDATE_HEADER not in request.headers:
        request.headers[MANDATE_HEADER] = mandate
    return SignedRequest(
        method=request.method.encode("ascii"),
        authority=request.headers["host"].encode("ascii"),
        target=request.url.raw_path,
        body=request.content,
        mandate=request.headers.get(MANDATE_HEADER, "").encode("ascii"),
        delegation=request.headers.get(DELEGATION_HEADER, "").encode("ascii"),
    )


def put_proof(request: httpx2.Request, signed: SignedRequest) -> None:
    """Write the three header fields of a proof, replacing existing ones."""
    request.headers["content-digest"] = signed.content_digest.decode("ascii")
    request.headers["signature-input"] = signed.signature_input.decode("ascii")
    request.headers["signature"] = signed.signature.decode("ascii")
