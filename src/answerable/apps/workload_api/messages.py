"""Build the protobuf messages of the Workload API and the Broker API from a table, in a private descriptor pool.

The Workload API's messages have no package, as the standard requires; in the process-wide pool they would clash with
the copy of every other SPIFFE library. Source: workloadapi.proto and brokerapi.proto of the SPIFFE standards, state of
2026-07-01; error details: google/rpc/status.proto and error_details.proto.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import any_pb2, descriptor_pool, message_factory, struct_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

from answerable.core.identity.names.spiffe_terms import (
    BROKER_API,
    BROKER_PACKAGE,
    BROKER_SERVICE,
    WORKLOAD_API,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# Message, then `name:number:type`; `*` is repeated, `{t}` a map from string to t.
_WORKLOAD_MESSAGES: Final = """
X509SVIDRequest
X509SVIDResponse svids:1:*X509SVID crl:2:*bytes federated_bundles:3:{bytes}
X509SVID spiffe_id:1:string x509_svid:2:bytes x509_svid_key:3:bytes bundle:4:bytes hint:5:string
X509BundlesRequest
X509BundlesResponse crl:1:*bytes bundles:2:{bytes}
JWTSVIDRequest audience:1:*string spiffe_id:2:string
JWTSVIDResponse svids:1:*JWTSVID
JWTSVID spiffe_id:1:string svid:2:string hint:3:string
JWTBundlesRequest
JWTBundlesResponse bundles:1:{bytes}
ValidateJWTSVIDRequest audience:1:string svid:2:string
ValidateJWTSVIDResponse spiffe_id:1:string claims:2:google.protobuf.Struct
WITSVIDRequest spiffe_id:1:string
WITSVIDResponse svids:1:*WITSVID
WITSVID spiffe_id:1:string wit_svid:2:string wit_svid_key:3:string hint:4:string
WITBundlesRequest
WITBundlesResponse bundles:1:{string}
"""
_BROKER_MESSAGES: Final = """
WorkloadReference reference:1:google.protobuf.Any
WorkloadPIDReference pid:1:int32
KubernetesObjectType plural:1:string group:2:string
KubernetesObjectKey namespace:1:string name:2:string
KubernetesObjectReference type:1:KubernetesObjectType key:2:KubernetesObjectKey uid:3:string
SubscribeToX509SVIDRequest reference:1:WorkloadReference
SubscribeToX509SVIDResponse svids:1:*X509SVID crl:2:*bytes federated_bundles:3:{bytes}
X509SVID spiffe_id:1:string x509_svid:2:bytes x509_svid_key:3:bytes bundle:4:bytes hint:5:string
SubscribeToX509BundlesRequest reference:1:WorkloadReference
SubscribeToX509BundlesResponse crl:1:*bytes bundles:2:{bytes}
FetchJWTSVIDRequest reference:1:WorkloadReference audience:2:*string spiffe_id:3:string
FetchJWTSVIDResponse svids:1:*JWTSVID
JWTSVID spiffe_id:1:string svid:2:string hint:3:string
SubscribeToJWTBundlesRequest reference:1:WorkloadReference
SubscribeToJWTBundlesResponse bundles:1:{bytes}
"""
_ERROR_MESSAGES: Final = """
Status code:1:int32 message:2:string details:3:*google.protobuf.Any
ErrorInfo reason:1:string domain:2:string metadata:3:{string}
"""
# Method, its request, its response; `*` is a stream.
_WORKLOAD_METHODS: Final = """
FetchX509SVID X509SVIDRequest *X509SVIDResponse
FetchX509Bundles X509BundlesRequest *X509BundlesResponse
FetchJWTSVID JWTSVIDRequest JWTSVIDResponse
FetchJWTBundles JWTBundlesRequest *JWTBundlesResponse
ValidateJWTSVID ValidateJWTSVIDRequest ValidateJWTSVIDResponse
FetchWITSVID WITSVIDRequest *WITSVIDResponse
FetchWITBundles WITBundlesRequest *WITBundlesResponse
"""
_BROKER_METHODS: Final = """
SubscribeToX509SVID SubscribeToX509SVIDRequest *SubscribeToX509SVIDResponse
SubscribeToX509Bundles SubscribeToX509BundlesRequest *SubscribeToX509BundlesResponse
FetchJWTSVID FetchJWTSVIDRequest FetchJWTSVIDResponse
SubscribeToJWTBundles SubscribeToJWTBundlesRequest *SubscribeToJWTBundlesResponse
"""
_SCALARS: Final = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC. takes, gives: message classes."""

    path: str
    takes: Any
    gives: Any
    streams: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The messages and methods. pool: private. methods: by path, `/SERVICE/METHOD`."""

    pool: Any
    methods: Mapping[str, Method]

    def message(self, name: str) -> Any:
        """Return a message class by its full name. Raises KeyError."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))


@functools.cache
def schema() -> Schema:
    """Return the schema, built on first use."""
    workload = _file("answerable/workloadapi.proto", "", _WORKLOAD_MESSAGES)
    broker = _file("answerable/brokerapi.proto", BROKER_PACKAGE, _BROKER_MESSAGES)
    workload.service.append(_described(WORKLOAD_API, "", _WORKLOAD_METHODS))
    broker.service.append(_described(BROKER_SERVICE, BROKER_PACKAGE, _BROKER_METHODS))
    pool = _pool(workload, broker, _file("answerable/google_rpc.proto", "google.rpc", _ERROR_MESSAGES))
    methods = {
        method.path: method
        for name in (WORKLOAD_API, BROKER_API)
        for method in _methods_of(pool.FindServiceByName(name))
    }
    return Schema(pool=pool, methods=methods)


def private_pool(name: str, package: str, table: str) -> Any:
    """Return a private pool for the messages of one table, each `Message name:number:type ...`, as those above."""
    return _pool(_file(name, package, table))


def _pool(*files: FileDescriptorProto) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for known in (struct_pb2, any_pb2):
        copy = FileDescriptorProto()
        known.DESCRIPTOR.CopyToProto(copy)
        pool.Add(copy)
    for file in files:
        pool.Add(file)
    return pool


def _file(name: str, package: str, table: str) -> FileDescriptorProto:
    file = FileDescriptorProto(name=name, package=package, syntax="proto3")
    file.dependency.extend(("google/protobuf/struct.proto", "google/protobuf/any.proto"))
    for line in table.strip().splitlines():
        title, *fields = line.split()
        message = file.message_type.add(name=title)
        for field in fields:
            _add_field(message, package, *field.split(":"))
    return file


def _add_field(message: DescriptorProto, package: str, name: str, number: str, kind: str) -> None:
    repeated = kind.startswith(("*", "{"))
    field = message.field.add(
        name=name,
        number=int(number),
        label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
    )
    if kind.startswith("{"):
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _add_field(entry, package, "key", "1", "string")
        _add_field(entry, package, "value", "2", kind.strip("{}"))
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = _full_name(package, f"{message.name}.{entry.name}")
        return
    kind = kind.removeprefix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{kind}" if "." in kind else _full_name(package, kind)


def _full_name(package: str, name: str) -> str:
    return f".{package}.{name}" if package else f".{name}"


def _described(name: str, package: str, table: str) -> ServiceDescriptorProto:
    described = ServiceDescriptorProto(name=name)
    for line in table.strip().splitlines():
        title, takes, gives = line.split()
        described.method.add(
            name=title,
            input_type=_full_name(package, takes),
            output_type=_full_name(package, gives.removeprefix("*")),
            server_streaming=gives.startswith("*"),
        )
    return described


def _methods_of(service: Any) -> list[Method]:
    return [
        Method(
            path=f"/{service.full_name}/{method.name}",
            takes=message_factory.GetMessageClass(method.input_type),
            gives=message_factory.GetMessageClass(method.output_type),
            streams=method.server_streaming,
        )
        for method in service.methods
    ]
