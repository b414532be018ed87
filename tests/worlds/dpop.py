"""What tests of DPoP share: a client with a key, a server that others cannot see into, both on one manual clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.proof.dpop import dpop_proof
from answerable.errors import Unverified
from answerable.flows.tokens.verify_dpop import BoundToken, DpopLimits, DpopVerifier, ProvedHolder
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh_replay_store
from tests.worlds.proof import new_key

if TYPE_CHECKING:
    from answerable.ports.replay_store import ReplayStore

URL = "https://gateway.example"
TARGET = b"/mcp/crm"
BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"amount":5}}}'
TOKEN = "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln"  # not read here: its verifier is another's

Headers = list[tuple[bytes, bytes]]


@dataclass
class DpopWorld:
    """A server with one issued token, bound to the key of `holder`; `thief` has a key of its own."""

    holder: SigningKey = field(default_factory=lambda: new_key("holder"))
    thief: SigningKey = field(default_factory=lambda: new_key("thief"))
    clock: ManualClock = field(default_factory=ManualClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    limits: DpopLimits = field(default_factory=lambda: DpopLimits(urls=frozenset({URL})))
    signed_by: Any = None

    def __post_init__(self) -> None:
        self.tokens = {TOKEN: self.holder.public.thumbprint}
        self.store: ReplayStore = fresh_replay_store(self.entropy)
        self.verifier = self.started()

    def started(
        self, *, store: ReplayStore | None = None, limits: DpopLimits | None = None
    ) -> DpopVerifier[str]:
        """A process of the server. store: where it keeps what was used; the one that all share by default."""
        return DpopVerifier(
            clock=self.clock,
            entropy=self.entropy,
            store=store or self.store,
            limits=limits or self.limits,
            token_of=self._token_of,
            signed_by=self.signed_by,
        )

    def _token_of(self, token: str) -> BoundToken[str]:
        if token not in self.tokens:
            raise Unverified("no such token", code="token.unknown", step="token")
        return BoundToken(key=self.tokens[token], content="agent-of-the-token")

    def nonce(self) -> str:
        return self.verifier.nonce_field()[1].decode()

    def proof(self, key: SigningKey | None = None, **changes: Any) -> str:
        """An honest proof of the holder for POST of `BODY` with `TOKEN`, but for what is changed."""
        given: dict[str, Any] = {
            "method": "POST",
            "url": URL + TARGET.decode(),
            "identifier": to_base64url(self.entropy.bytes(16)),
            "issued_at": self.clock.now() // 1000,
            "token": TOKEN,
            "nonce": self.nonce(),
            "message": BODY,
        }
        return dpop_proof(key or self.holder, **(given | changes))

    def headers(self, proof: str | None = None, *, token: str = TOKEN, scheme: str = "DPoP") -> Headers:
        return [
            (b"host", b"whatever.example"),
            (b"authorization", f"{scheme} {token}".encode()),
            (b"dpop", (self.proof() if proof is None else proof).encode("latin-1")),
        ]

    def verify(self, headers: Headers | None = None, **changes: Any) -> ProvedHolder[str]:
        given: dict[str, Any] = {"method": "POST", "target": TARGET, "body": BODY}
        given |= changes
        headers = self.headers() if headers is None else headers
        return self.verifier.verify(given["method"], given["target"], headers, given["body"])

    def refused(self, headers: Headers | None = None, **changes: Any) -> str:
        """The code with which a message is refused; fails when it is not."""
        try:
            self.verify(headers, **changes)
        except Unverified as error:
            return error.code
        raise AssertionError("the message was accepted")
