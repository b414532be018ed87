"""Create botocore clients for AWS services from explicit settings and keys; profiles, config files and environment
proxies of the machine are ignored.

botocore calls block, so they run in worker threads. Each call ends within its own time limits and is never retried.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError
from botocore.session import Session

from answerable.errors import Unavailable, UnavailableCode, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.errors import Effect

THREADS_MAX: Final = 16
CONNECTIONS_MAX: Final = 16
CONNECT_SECONDS_MAX: Final = 5.0
_SERVER_FAULT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPlace:
    """The AWS region and endpoint to use. endpoint: URL for every service, for a private endpoint or a stand-in; empty
    for the public AWS endpoints."""

    region: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys that sign a request. session_token: empty for a long-lived key."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Keys({self.access_key}, hidden)"


class AwsClients:
    """Factory for botocore clients. Service models are loaded once and reused. Construction opens no connection."""

    def __init__(self, place: AwsPlace) -> None:
        # botocore's debug logs contain whole responses, including those that carry keys.
        for name in ("botocore", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._place = place
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._threads: anyio.CapacityLimiter | None = None

    def made(self, service: str, keys: Keys, *, answer_seconds_max: float) -> Any:
        """Create a client of one service. Blocks while service models are loaded. Raises BotoCoreError for an unknown
        service."""
        config = Config(
            connect_timeout=min(CONNECT_SECONDS_MAX, answer_seconds_max),
            read_timeout=answer_seconds_max,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=CONNECTIONS_MAX,
            proxies={},
            ignore_configured_endpoint_urls=True,
            parameter_validation=True,
        )
        with self._lock:
            return self._models().create_client(
                service,
                region_name=self._place.region,
                endpoint_url=self._place.endpoint or None,
                verify=True,
                aws_access_key_id=keys.access_key,
                aws_secret_access_key=keys.secret_key,
                aws_session_token=keys.session_token or None,
                config=config,
            )

    def operation(self, service: str, operation: str) -> Any:
        """Return the botocore model of one operation, or None if the service or operation does not exist. Blocks while
        service models are loaded."""
        with self._lock:
            session = self._models()
            if service not in session.get_available_services():
                return None
            model = session.get_service_model(service)
            return model.operation_model(operation) if operation in model.operation_names else None

    async def called(self, call: Callable[[], Any]) -> Any:
        """Run a blocking call in a worker thread and return its result. A cancellation waits until the call has
        ended."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS_MAX)
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    def _models(self) -> Session:
        if self._session is None:
            # AWS profiles and files of the user who runs the broker must not take effect: every setting is passed
            # explicitly.
            nothing = {
                "profile": (None, None, None, None),
                "config_file": (None, None, "/dev/null", None),
                "credentials_file": (None, None, "/dev/null", None),
            }
            self._session = Session(session_vars=nothing)
        return self._session


def effect_of(error: BotoCoreError | ClientError) -> Effect:
    """Return the effect of a failed request: `none` if AWS certainly did not perform it, else `unknown`."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_FAULT)
        return "none" if status < _SERVER_FAULT else "unknown"
    return "none" if isinstance(error, (EndpointConnectionError, ConnectTimeoutError)) else "unknown"


def unavailable(error: BotoCoreError | ClientError, *, code: UnavailableCode, port: str) -> Unavailable:
    """Convert a botocore error to the port's Unavailable. The message holds AWS's error code and text, and nothing that
    was sent."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        why = f"it answered {shown(told.get('Code', 'an error'), 80)}: {shown(told.get('Message', ''), 300)}"
    else:
        why = f"the connection failed: {type(error).__name__}"
    return code(f"AWS: {why}", port=port, effect=effect_of(error))
