"""Names of the fields that carry a delegation chain in messages between agents, for every protocol.

No standard defines a field for a chain. The member of `_meta` follows MCP's naming (a prefix, a slash, a name). In A2A
1.0.1 an extension has a URI, which is listed in `extensions` of the message that carries its metadata. Header names of
message brokers are those of HTTP, so that bridges between the two need not rename them.
"""

from __future__ import annotations

from typing import Final

from answerable.core.identity.proof.http_signature import DELEGATION_BYTES_MAX, DELEGATION_HEADER
from answerable.core.mandate.delegation_chain import CHAIN_CHARS_MAX

FIELD: Final = DELEGATION_HEADER
"""Field of HTTP and header of broker messages (NATS, AMQP, Kafka); case-insensitive, as in HTTP."""
FIELD_CHARS_MAX: Final = DELEGATION_BYTES_MAX

MEMBER: Final = "answerable/delegation"
"""Member of `_meta` in MCP, and of the metadata of an A2A message; case-sensitive."""
MEMBER_CHARS_MAX: Final = CHAIN_CHARS_MAX

A2A_EXTENSION: Final = "urn:answerable:a2a:extension:delegation:1"
"""Extension URI in `extensions` of the message, in the agent card, and in the HTTP field `A2A-Extensions`."""
