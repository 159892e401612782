"""MQTT 5 over mutual TLS by the AWS IoT Device SDK. The only module that awscrt and awsiot enter by.

The SDK calls back on threads of its own; every callback is handed to the event loop before it touches any state.
Reconnecting is the SDK's: exponential back-off with full jitter, as "Exponential Backoff And Jitter" (AWS Architecture
Blog) advises, so that a fleet cut off at once does not come back at once.
"""

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

from device_client.config import DeviceSettings
from device_client.connection import OnMessage
from device_client.errors import ConfigurationError, NotConnectedError, RefusedError
from device_client.topics import matches

_LOGGER = logging.getLogger(__name__)
_FAILURE = 0x80
"""Reason codes from here on are failures. [MQTT5 2.4]"""
_MIN_RECONNECT_MS = 500
_MAX_RECONNECT_MS = 60_000
_STOP_TIMEOUT_S = 5.0
T = TypeVar("T")


class MqttConnection:
    """A `Connection` to AWS IoT Core.

    Args:
        settings: of the device; with a claim's certificate in them, of one that is to be provisioned.
        client_id: the thing's name, unless it is a claim that connects.
    """

    def __init__(self, settings: DeviceSettings, client_id: str | None = None) -> None:
        self._settings = settings
        self._client_id = client_id or settings.thing
        self._connected = asyncio.Event()
        self._stopped = asyncio.Event()
        self._last_failure = "no answer yet"
        self._handlers: dict[str, OnMessage] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._coming_back: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None

    async def start(self) -> None:
        """Connect; return once connected. See `Connection`."""
        self._loop = asyncio.get_running_loop()
        self._client = self._build()
        self._client.start()
        try:
            await asyncio.wait_for(self._connected.wait(), self._settings.connect_timeout_s)
        except TimeoutError:
            where = f"{self._settings.endpoint}:{self._settings.port}"
            message = (
                f"{self._client_id} did not connect to {where} within {self._settings.connect_timeout_s:g} s: "
                f"{self._last_failure}; {_cure(str(self._last_failure))}"
            )
            raise NotConnectedError(message) from None

    async def stop(self) -> None:
        """Disconnect in good order. See `Connection`."""
        if self._client is None:
            return
        client, self._client = self._client, None
        client.stop(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION))
        try:
            await asyncio.wait_for(self._stopped.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            _LOGGER.warning("%s: the connection did not close within %g s", self._client_id, _STOP_TIMEOUT_S)

    async def connected(self) -> None:
        """Return as soon as there is a connection."""
        await self._connected.wait()

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called at each connection, once the subscriptions stand. See `Connection`."""
        self._callbacks.append(callback)

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1; return at its PUBACK. See `Connection`."""
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        completion = await self._answer(lambda client: client.publish(packet))
        reason = int(completion.puback.reason_code)
        if reason >= _FAILURE:
            raise RefusedError(f"{topic}: the PUBACK says 0x{reason:02X}", reason=reason)

    async def subscribe(self, topic_filter: str, on_message: OnMessage) -> None:
        """Subscribe with QoS 1; return at its SUBACK. See `Connection`."""
        self._handlers[topic_filter] = on_message
        await self._subscribe(topic_filter)

    async def _subscribe(self, topic_filter: str) -> None:
        wish = mqtt5.Subscription(topic_filter=topic_filter, qos=mqtt5.QoS.AT_LEAST_ONCE)
        suback = await self._answer(lambda client: client.subscribe(mqtt5.SubscribePacket(subscriptions=[wish])))
        reason = int(suback.reason_codes[0])
        if reason >= _FAILURE:
            raise RefusedError(f"{topic_filter}: the SUBACK says 0x{reason:02X}", reason=reason)

    async def _answer(self, call: Callable[[Any], "concurrent.futures.Future[T]"]) -> T:
        if self._client is None:
            raise NotConnectedError("not started")
        try:
            return await asyncio.wrap_future(call(self._client))
        except AwsCrtError as error:
            raise NotConnectedError(str(error)) from error

    def _build(self) -> Any:
        settings = self._settings
        options = mqtt5.ClientOptions(
            host_name=settings.endpoint,
            port=settings.port,
            session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
            min_reconnect_delay_ms=_MIN_RECONNECT_MS,
            max_reconnect_delay_ms=_MAX_RECONNECT_MS,
            on_publish_callback_fn=lambda data: self._on_loop(self._on_publish, data.publish_packet),
            on_lifecycle_event_connection_success_fn=lambda _: self._on_loop(self._on_connected),
            on_lifecycle_event_connection_failure_fn=lambda data: self._on_loop(self._on_failure, data),
            on_lifecycle_event_disconnection_fn=lambda data: self._on_loop(self._on_disconnected, data),
            on_lifecycle_event_stopped_fn=lambda _: self._on_loop(self._stopped.set),
        )
        try:
            return mqtt5_client_builder.mtls_from_path(
                cert_filepath=str(settings.certificate),
                pri_key_filepath=str(settings.private_key),
                ca_filepath=str(settings.ca),
                endpoint=settings.endpoint,
                port=settings.port,
                client_id=self._client_id,
                keep_alive_interval_sec=settings.keep_alive_s,
                client_options=options,
            )
        except RuntimeError as error:  # what awscrt raises of whatever is wrong
            named = f"{settings.certificate}, {settings.private_key}, {settings.ca}"
            raise ConfigurationError(
                f"{named}: no certificate, key and CA in PEM that fit together ({error})"
            ) from error

    def _on_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _on_connected(self) -> None:
        _LOGGER.info("%s: connected", self._client_id)
        self._connected.set()
        self._coming_back = asyncio.ensure_future(self._come_back())

    async def _come_back(self) -> None:
        """Make every subscription anew, then say that the connection is whole."""
        outcomes = await asyncio.gather(*map(self._subscribe, self._handlers), return_exceptions=True)
        for topic_filter, outcome in zip(self._handlers, outcomes, strict=False):
            if isinstance(outcome, BaseException):
                _LOGGER.warning(
                    "%s: the subscription to %s did not come back: %s", self._client_id, topic_filter, outcome
                )
        for callback in self._callbacks:
            callback()

    def _on_failure(self, data: Any) -> None:
        packet = data.connack_packet
        self._last_failure = str(packet.reason_code) if packet is not None else str(data.exception)
        _LOGGER.warning("%s: no connection: %s", self._client_id, self._last_failure)

    def _on_disconnected(self, data: Any) -> None:
        self._connected.clear()
        packet = data.disconnect_packet
        why = packet.reason_code if packet is not None else data.exception
        _LOGGER.info("%s: disconnected: %s", self._client_id, why)

    def _on_publish(self, packet: Any) -> None:
        for topic_filter, on_message in self._handlers.items():
            if matches(topic_filter, packet.topic):
                on_message(packet.topic, packet.payload or b"")


def _cure(failure: str) -> str:
    """Return what to look at, by the SDK's name for what failed."""
    if any(name in failure for name in ("_DNS_", "CONNECTION_REFUSED", "SOCKET_TIMEOUT", "NO_ROUTE_TO_HOST")):
        return "check endpoint and port, and that they can be reached from here"
    if "_TLS_" in failure:
        return (
            "check that the CA is this endpoint's, that certificate and key belong together, and that it is registered"
        )
    return "check that its certificate is registered and ACTIVE and that the policy allows iot:Connect for its name"
