"""Encode messages and error details with this package's private descriptor pool; grpclib would use the shared one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase

from answerable.apps.workload_api.messages import schema
from answerable.core.identity.names.spiffe_terms import ERROR_DOMAIN

if TYPE_CHECKING:
    from grpclib.const import Status


class WireCodec(CodecBase):
    """Protobuf codec for classes of any pool."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """Encode a message. Raises TypeError for a message of another type."""
        if not isinstance(message, message_type):
            raise TypeError(f"expected {message_type.__name__}, got {type(message).__name__}")
        encoded: bytes = message.SerializeToString()
        return encoded

    def decode(self, data: bytes, message_type: Any) -> Any:
        """Decode a message. Raises protobuf's DecodeError."""
        return message_type.FromString(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReason:
    """Encoded as a `google.rpc.ErrorInfo`."""

    reason: str


class DetailedStatus(StatusDetailsCodecBase):
    """Codec for error details, which are an `ErrorReason` or nothing."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        """Encode a `google.rpc.Status`."""
        written = schema().message("google.rpc.Status")(code=status.value, message=message or "")
        if isinstance(details, ErrorReason):
            reason = schema().message("google.rpc.ErrorInfo")(reason=details.reason, domain=ERROR_DOMAIN)
            written.details.add().Pack(reason)
        encoded: bytes = written.SerializeToString()
        return encoded

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        """Decode a `google.rpc.Status`; used by a client."""
        return schema().message("google.rpc.Status").FromString(data)
