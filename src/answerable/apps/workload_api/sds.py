"""Envoy's Secret Discovery Service, as the SPIRE agent offers it: SVIDs and bundles for proxies that do not speak
SPIFFE.

Sources: Envoy's `envoy.service.secret.v3`, state of 1.40, and the resource names of the SPIRE agent's `sds` section. A
proxy is a workload like any other: it gets what its process may get, and sends the Workload API's security header.

Resource names: a SPIFFE ID of the caller, or `default` for its first one: certificate and key. `spiffe://TD`, or
`ROOTCA` for this server's domain: that domain's authorities alone. `ALL`: every bundle, each for the names of its own
domain only (Envoy's SPIFFE validator), which verifies peers of federated domains correctly. A resource that the proxy
may not have, or that does not exist yet, is left out and pushed when it exists; if nothing else was requested, the
stream ends with NOT_FOUND, and Envoy retries.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import message_factory
from grpclib.const import Cardinality, Status
from grpclib.const import Handler as GRPCMethod
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from h2.exceptions import StreamClosedError

from answerable.apps.workload_api.call import Call, invalid, translated
from answerable.apps.workload_api.messages import private_pool
from answerable.apps.workload_api.sets import Sight, renewal
from answerable.apps.workload_api.streams import identities_of, keep_sending
from answerable.core.identity.names.spiffe_terms import WORKLOAD_HEADER
from answerable.errors.codes.workloads import WORKLOAD_API_NO_BUNDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpclib.server import Stream

    from answerable.apps.workload_api.connection import PeerConnection
    from answerable.apps.workload_api.peer import PeerProcess
    from answerable.apps.workload_api.services import Identity, WorkloadServices
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.svid.trust_bundle import TrustBundle

SERVICE: Final = "/envoy.service.secret.v3.SecretDiscoveryService/"
SECRET_TYPE: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105
VALIDATOR_TYPE: Final = (
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
)
VALIDATOR_NAME: Final = "envoy.tls.cert_validator.spiffe"
DEFAULT_NAME: Final = "default"
ROOT_NAME: Final = "ROOTCA"
ALL_NAME: Final = "ALL"
NAMES_MAX: Final = 256

# Message: `name:number:type`, `*` is repeated. Only fields that are read or written; other fields of Envoy's are
# ignored.
_TABLE: Final = """
Any type_url:1:string value:2:bytes
Status code:1:int32 message:2:string
DiscoveryRequest version_info:1:string resource_names:3:*string type_url:4:string response_nonce:5:string error_detail:6:Status
DiscoveryResponse version_info:1:string resources:2:*Any type_url:4:string nonce:5:string
DataSource inline_bytes:2:bytes
TlsCertificate certificate_chain:1:DataSource private_key:2:DataSource
TypedExtensionConfig name:1:string typed_config:2:Any
CertificateValidationContext trusted_ca:1:DataSource custom_validator_config:12:TypedExtensionConfig
Secret name:1:string tls_certificate:2:TlsCertificate validation_context:4:CertificateValidationContext
TrustDomain name:1:string trust_bundle:2:DataSource
SPIFFECertValidatorConfig trust_domains:1:*TrustDomain
"""  # noqa: E501 - a table


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSight(Sight):
    """The input of an answer. named: the identity for each requested name. bundles: encoded validation contexts by
    name. authorities: this domain's, encoded: a change of them causes new SVIDs. Empty if nothing is named."""

    named: Mapping[str, Identity]
    authorities: bytes


def secret_methods(
    connection: PeerConnection, needs: WorkloadServices, peer: PeerProcess, *, recheck_seconds: float
) -> dict[str, GRPCMethod]:
    """Return the RPCs of one connection, by path, to serve beside those of the Workload API."""
    door = SecretDiscovery(connection, needs, peer, recheck_seconds=recheck_seconds)
    takes, gives = _message("DiscoveryRequest"), _message("DiscoveryResponse")
    return {
        SERVICE + "StreamSecrets": GRPCMethod(
            _answering(door.stream_secrets), Cardinality.STREAM_STREAM, takes, gives
        ),
        SERVICE + "FetchSecrets": GRPCMethod(
            _answering(door.fetch_secrets), Cardinality.UNARY_UNARY, takes, gives
        ),
    }


class SecretDiscovery:
    """The SVIDs and bundles that one process may have, in Envoy's messages."""

    def __init__(
        self,
        connection: PeerConnection,
        needs: WorkloadServices,
        peer: PeerProcess,
        *,
        recheck_seconds: float,
    ) -> None:
        self._connection = connection
        self._needs = needs
        self._peer = peer
        self._recheck_seconds = recheck_seconds

    async def fetch_secrets(self, stream: Stream[Any, Any]) -> None:
        """Return the named secrets, once."""
        call = self._call(stream)
        names = _names(await call.request())
        answer = _message("DiscoveryResponse")()
        await self._fill(answer, await self._look(names))
        await call.send(answer)

    async def stream_secrets(self, stream: Stream[Any, Any]) -> None:
        """Stream the secrets named last: at once, when they change, and before they expire."""
        call = self._call(stream)
        asked = _Subscription(names=_names(await call.request()))
        reading = asyncio.create_task(asked.follow(stream))

        async def look() -> Sight:
            asked.check()
            return await self._look(asked.names)

        async def fill(answer: Any, sight: Sight) -> UnixMillis | None:
            return await self._fill(answer, sight)

        try:
            await keep_sending(
                call,
                self._needs,
                look=look,
                fill=fill,
                answer=_message("DiscoveryResponse"),
                recheck_seconds=self._recheck_seconds,
                hear=asked.hear,
            )
        except _Left:
            return
        finally:
            reading.cancel()

    def _call(self, stream: Stream[Any, Any]) -> Call:
        call = Call(stream, self._connection)
        call.check_header(WORKLOAD_HEADER)
        return call

    async def _look(self, names: tuple[str, ...]) -> SecretSight:
        identities = await identities_of(self._needs, self._peer, self._connection.speaks)
        by_name = {DEFAULT_NAME: identities[0]} | {str(one.id): one for one in identities}
        contexts = _contexts(self._needs)
        wanted = names or (*(str(one.id) for one in identities), *contexts)
        named = {name: by_name[name] for name in wanted if name in by_name}
        found = SecretSight(
            identities=identities,
            bundles={name: contexts[name] for name in wanted if name in contexts},
            named=named,
            authorities=contexts[ROOT_NAME] if named else b"",
        )
        if not (found.bundles or found.named):
            raise GRPCError(Status.NOT_FOUND, "no secret of these names for this process")
        return found

    async def _fill(self, answer: Any, sight: Sight) -> UnixMillis | None:
        """Fill the answer and return when to send it again; None if it has no certificate."""
        ends = []
        named = sight.named if isinstance(sight, SecretSight) else {}
        for name, identity in named.items():
            key = ec.generate_private_key(ec.SECP256R1())
            issued = await self._needs.x509_svid(identity.id, key.public_key())
            secret = _message("Secret")(name=name)
            chain = "".join(map(ssl.DER_cert_to_PEM_cert, (issued.leaf, *issued.chain)))
            secret.tls_certificate.certificate_chain.inline_bytes = chain.encode("ascii")
            secret.tls_certificate.private_key.inline_bytes = key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            answer.resources.add(type_url=SECRET_TYPE, value=secret.SerializeToString())
            ends.append(issued.not_after)
        for name, context in sight.bundles.items():
            secret = _message("Secret")(name=name)
            secret.validation_context.MergeFromString(context)
            answer.resources.add(type_url=SECRET_TYPE, value=secret.SerializeToString())
        answer.type_url = SECRET_TYPE
        # Each answer is a version of its own, because its keys are new.
        answer.version_info = answer.nonce = self._needs.entropy(8).hex()
        return renewal(min(ends), self._needs) if ends else None


class _Left(Exception):
    """The client has ended the stream."""


class _Subscription:
    """The client's latest request. An answer that the client rejects is not sent again before a change."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._changed: Callable[[], None] = lambda: None
        self._end: Exception | None = None

    def hear(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Register a callback, as `WorkloadServices.watch`."""
        self._changed = changed
        return lambda: None

    def check(self) -> None:
        """Check that the client is still there. Raises _Left, or GRPCError."""
        if self._end is not None:
            raise self._end

    async def follow(self, stream: Stream[Any, Any]) -> None:
        """Read requests until the client ends the stream. They may be far apart, so there is no time limit."""
        try:
            while (request := await stream.recv_message()) is not None:
                names = _names(request)
                if names != self.names:
                    self.names = names
                    self._changed()
            self._end = _Left()
        except GRPCError as error:
            self._end = error
        except Exception as error:
            self._end = _Left() if isinstance(error, StreamTerminatedError) else invalid("no request of xDS")
        self._changed()


def _contexts(needs: WorkloadServices) -> dict[str, bytes]:
    """Return validation contexts by resource name, encoded. Raises Unavailable without this domain's bundle."""
    bundles = {domain: one for domain, one in needs.bundles().items() if one.x509_authorities}
    if needs.domain not in bundles:
        raise WORKLOAD_API_NO_BUNDLE()
    found: dict[str, bytes] = {}
    every = _message("SPIFFECertValidatorConfig")()
    for domain, bundle in sorted(bundles.items()):
        context = _message("CertificateValidationContext")()
        context.trusted_ca.inline_bytes = _pem(bundle)
        found[f"spiffe://{domain}"] = context.SerializeToString()
        every.trust_domains.add(name=domain).trust_bundle.inline_bytes = _pem(bundle)
    found[ROOT_NAME] = found[f"spiffe://{needs.domain}"]
    context = _message("CertificateValidationContext")()
    context.custom_validator_config.name = VALIDATOR_NAME
    context.custom_validator_config.typed_config.type_url = VALIDATOR_TYPE
    context.custom_validator_config.typed_config.value = every.SerializeToString()
    found[ALL_NAME] = context.SerializeToString()
    return found


def _pem(bundle: TrustBundle) -> bytes:
    return "".join(map(ssl.DER_cert_to_PEM_cert, bundle.x509_authorities)).encode("ascii")


def _names(request: Any) -> tuple[str, ...]:
    """Return the requested resource names. Raises GRPCError (INVALID_ARGUMENT)."""
    if request.type_url not in ("", SECRET_TYPE):
        raise invalid("only secrets are given here")
    if len(request.resource_names) > NAMES_MAX:
        raise invalid(f"at most {NAMES_MAX} resource names")
    return tuple(dict.fromkeys(request.resource_names))


def _answering(rpc: Callable[[Stream[Any, Any]], Any]) -> Callable[[Stream[Any, Any]], Any]:
    """Return the RPC as grpclib calls it, with its errors translated to gRPC statuses."""

    async def answer(stream: Stream[Any, Any]) -> None:
        try:
            await rpc(stream)
        except (GRPCError, StreamTerminatedError, StreamClosedError, ProtocolError):
            raise
        except Exception as error:
            raise translated(error) from None

    return answer


@functools.cache
def _message(name: str) -> Any:
    """Return a message class. The pool is private: only the wire format is Envoy's, and it does not carry message
    names."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"answerable.sds.{name}"))


@functools.cache
def _pool() -> Any:
    return private_pool("answerable/sds.proto", "answerable.sds", _TABLE)
