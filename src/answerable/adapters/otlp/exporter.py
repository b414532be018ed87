"""Post metrics to an OpenTelemetry collector over HTTP (OTLP/HTTP, protobuf), within limits of time and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import httpx2

from answerable.connection_fault import connection_fault
from answerable.errors import Unavailable
from answerable.errors.codes.services import TELEMETRY_ANSWER, TELEMETRY_UNREACHABLE

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

ANSWER_BYTES_MAX: Final = 65_536
ANSWER_SECONDS_MAX: Final = 10.0


class OtlpExporter:
    """Client of one collector. endpoint: full URL to post to. header: name and value that the collector requires, if
    any.

    Follows no redirects, ignores proxy settings of the environment, and does not retry: the metrics are cumulative, so
    the next message replaces a lost one.
    """

    def __init__(self, *, endpoint: str, header: tuple[str, str] | None = None) -> None:
        self._endpoint = endpoint
        headers = {"accept-encoding": "identity", "user-agent": "answerable"}
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(trust_env=False),
            timeout=ANSWER_SECONDS_MAX,
            trust_env=False,
            headers={**headers, **({header[0]: header[1]} if header is not None else {})},
        )

    async def send(self, request: ExportMetricsServiceRequest) -> None:
        """Post one message. Raises Unavailable: `telemetry.unreachable`, `telemetry.answer`. Neither repeats the
        collector's answer."""
        content_type = {"content-type": "application/x-protobuf"}
        body = request.SerializeToString()
        try:
            with anyio.fail_after(ANSWER_SECONDS_MAX):
                posted = self._client.stream("POST", self._endpoint, content=body, headers=content_type)
                async with posted as response:
                    received = 0
                    async for chunk in response.aiter_raw():
                        received += len(chunk)
                        if received > ANSWER_BYTES_MAX:
                            raise _odd(f"more than {ANSWER_BYTES_MAX} bytes")
                    status = response.status_code
        except TimeoutError:
            raise _unreachable(f"no whole answer within {ANSWER_SECONDS_MAX:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _unreachable(connection_fault(error)) from None
        if not 200 <= status < 300:
            raise _odd(f"status {status}")

    async def __aenter__(self) -> OtlpExporter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def _unreachable(why: str) -> Unavailable:
    return TELEMETRY_UNREACHABLE(f"the collector of `telemetry.otlp_endpoint` was not reached: {why}")


def _odd(what: str) -> Unavailable:
    return TELEMETRY_ANSWER(
        f"the collector of `telemetry.otlp_endpoint` answered with {what}: check its log and "
        "`telemetry.otlp_header`"
    )
