"""Clients of botocore, which knows the APIs of AWS: made with what is given here and with nothing of the machine's own.

Its calls block, so that they run in threads; each ends by its own time limits, and is not made again.
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
    """endpoint: where every service is asked, for a private one or a stand-in; empty for those of AWS."""

    region: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a request is signed with. session_token: empty for a key that lasts."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Keys({self.access_key}, hidden)"


class AwsClients:
    """Makes clients; their models are read once. Connects to nothing."""

    def __init__(self, place: AwsPlace) -> None:
        # Its debug logs hold whole answers, those that bring keys included.
        for name in ("botocore", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._place = place
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._threads: anyio.CapacityLimiter | None = None

    def made(self, service: str, keys: Keys, *, answer_seconds_max: float) -> Any:
        """A client of one service. Blocks while models are read. Raises BotoCoreError for a service that is none."""
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
        """The model of one operation; None for one that there is not. Blocks while models are read."""
        with self._lock:
            session = self._models()
            if service not in session.get_available_services():
                return None
            model = session.get_service_model(service)
            return model.operation_model(operation) if operation in model.operation_names else None

    async def called(self, call: Callable[[], Any]) -> Any:
        """What a blocking call gives, from a thread. It is not left alone there: a cancellation waits for its end."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS_MAX)
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    def _models(self) -> Session:
        if self._session is None:
            # Neither profiles nor files of whoever runs the broker have a say: all is given when a client is made.
            nothing = {
                "profile": (None, None, None, None),
                "config_file": (None, None, "/dev/null", None),
                "credentials_file": (None, None, "/dev/null", None),
            }
            self._session = Session(session_vars=nothing)
        return self._session


def effect_of(error: BotoCoreError | ClientError) -> Effect:
    """Whether what failed may have happened all the same."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_FAULT)
        return "none" if status < _SERVER_FAULT else "unknown"
    return "none" if isinstance(error, (EndpointConnectionError, ConnectTimeoutError)) else "unknown"


def unavailable(error: BotoCoreError | ClientError, *, code: UnavailableCode, port: str) -> Unavailable:
    """It, as the port says it: what AWS named as the reason, and nothing that was sent."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        why = f"it answered {shown(told.get('Code', 'an error'), 80)}: {shown(told.get('Message', ''), 300)}"
    else:
        why = f"the connection failed: {type(error).__name__}"
    return code(f"AWS: {why}", port=port, effect=effect_of(error))
