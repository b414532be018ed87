"""How messages and error details are written: with our private pool, where grpclib would use the shared one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase

from answerable.apps.workload_api.messages import schema
from answerable.core.identity.names.spiffe_terms import ERROR_DOMAIN

if TYPE_CHECKING:
    from grpclib.const import Status


class WireCodec(CodecBase):
    """Protobuf, whichever pool a class is of."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """To bytes. Raises TypeError for a message of another type."""
        if not isinstance(message, message_type):
            raise TypeError(f"expected {message_type.__name__}, got {type(message).__name__}")
        encoded: bytes = message.SerializeToString()
        return encoded

    def decode(self, data: bytes, message_type: Any) -> Any:
        """From bytes. Raises protobuf's DecodeError."""
        return message_type.FromString(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReason:
    """Becomes a `google.rpc.ErrorInfo`."""

    reason: str


class DetailedStatus(StatusDetailsCodecBase):
    """Details of an error are an `ErrorReason`, or nothing."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        """A `google.rpc.Status`."""
        written = schema().message("google.rpc.Status")(code=status.value, message=message or "")
        if isinstance(details, ErrorReason):
            reason = schema().message("google.rpc.ErrorInfo")(reason=details.reason, domain=ERROR_DOMAIN)
            written.details.add().Pack(reason)
        encoded: bytes = written.SerializeToString()
        return encoded

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        """The `google.rpc.Status`; for a client."""
        return schema().message("google.rpc.Status").FromString(data)
