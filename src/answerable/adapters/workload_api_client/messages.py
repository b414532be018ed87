"""Define the messages of the Workload API that a client needs (SPIFFE Workload API, sections 5 and 6).

They are in a descriptor pool of their own: the protocol has no package name, so a second definition in the shared pool,
as from another SPIFFE library, would clash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from answerable.core.identity.names.spiffe_terms import WORKLOAD_API, WORKLOAD_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

SERVICE: Final = f"/{WORKLOAD_API}/"
METADATA: Final = {WORKLOAD_HEADER: "true"}

_Field = descriptor_pb2.FieldDescriptorProto
_STRING: Final = _Field.TYPE_STRING
_BYTES: Final = _Field.TYPE_BYTES

# Message: field, number, type, repeated. A type that is a string names a message.
_TABLE: Final[dict[str, tuple[tuple[str, int, int | str, bool], ...]]] = {
    "Empty": (),
    "Entry": (("key", 1, _STRING, False), ("value", 2, _BYTES, False)),
    "Bundles": (("bundles", 2, "Entry", True),),
    "JWTBundles": (("bundles", 1, "Entry", True),),
    "X509SVID": (
        ("spiffe_id", 1, _STRING, False),
        ("x509_svid", 2, _BYTES, False),
        ("x509_svid_key", 3, _BYTES, False),
        ("bundle", 4, _BYTES, False),
        ("hint", 5, _STRING, False),
    ),
    "X509SVIDs": (("svids", 1, "X509SVID", True), ("federated_bundles", 3, "Entry", True)),
    "JWTQuery": (("audience", 1, _STRING, True), ("spiffe_id", 2, _STRING, False)),
    "JWTSVID": (("spiffe_id", 1, _STRING, False), ("svid", 2, _STRING, False)),
    "JWTSVIDs": (("svids", 1, "JWTSVID", True),),
}


class Entry(Protocol):
    """One entry of a map. On the wire a map is a list of such entries, and is read as one in this module."""

    key: str
    value: bytes


class Bundles(Protocol):
    """Reply of FetchX509Bundles, FetchJWTBundles and FetchWITBundles."""

    bundles: Sequence[Entry]


class X509Svid(Protocol):
    """One X.509-SVID: chain and bundle are concatenated DER certificates."""

    spiffe_id: str
    x509_svid: bytes
    x509_svid_key: bytes
    bundle: bytes
    hint: str


class X509Svids(Protocol):
    """Reply of FetchX509SVID."""

    svids: Sequence[X509Svid]
    federated_bundles: Sequence[Entry]


class JwtSvid(Protocol):
    """One JWT-SVID, as a compact JWS."""

    spiffe_id: str
    svid: str


class JwtSvids(Protocol):
    """Reply of FetchJWTSVID."""

    svids: Sequence[JwtSvid]


def _classes() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="workload_api_client.proto", package="answerable.client", syntax="proto3"
    )
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            added = message.field.add(name=field, number=number)
            added.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, f".answerable.client.{kind}"
            else:
                added.type = cast("_Field.Type.ValueType", kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"answerable.client.{name}"))
        for name in _TABLE
    }


CLASSES: Final[Mapping[str, type[Message]]] = _classes()
