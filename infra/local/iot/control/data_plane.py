"""boto3's ``iot-data``: publish, retained messages, connections, shadows. API reference, "AWS IoT Data Plane"."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from infra.local.iot.control.rest_json import RestJson, dump_error
from infra.local.iot.errors import InvalidError, IotError, NotEmulatedError, NotFoundError, RefusedError
from infra.local.iot.message import Message, Principal, Properties
from infra.local.iot.ports import Broker, Reserved
from infra.local.iot.registry.state import Answer, Ask, page
from infra.local.wire import SOURCE_IP_HEADER, Request, Response

MAX_PAYLOAD_BYTES = 128 * 1024
MAX_TOPIC_BYTES = 256
MAX_TOPIC_SLASHES = 7
SHADOW_NAMES_PAGE = 25
"""Unless asked for another size; not documented for AWS IoT, so that of its engine for Greengrass."""
BASIC_INGEST = "$aws/rules/"


class Retained(Protocol):
    """A retained message and when it was stored, epoch seconds."""

    message: Message
    stored_at: float


class RetainedMessages(Protocol):
    """The broker's retained messages."""

    def put(self, message: Message) -> None:
        """Keep a message in place of its topic's former one; an empty one deletes."""

    def get(self, topic: str) -> Retained | None:
        """Return the topic's message."""

    def list(self) -> Iterable[Retained]:
        """Return all, by topic."""


class ShadowDocuments(Protocol):
    """The shadow service, as REST asks it. Raises ``IotError`` with the documented texts."""

    def get(self, thing: str, name: str | None) -> bytes:
        """Return a shadow's document."""

    def update(self, thing: str, name: str | None, payload: bytes) -> bytes:
        """Change a shadow; return what was accepted."""

    def delete(self, thing: str, name: str | None) -> bytes:
        """Delete a shadow; return what was accepted."""

    def names(self, thing: str) -> Sequence[str]:
        """Return the names of a thing's named shadows."""

    def now_s(self) -> int:
        """Return the time, epoch seconds."""


class DataPlane:
    """The data plane of AWS IoT Core over HTTPS, for boto3 and for the HTTPS doors."""

    def __init__(
        self,
        broker: Broker,
        retained: RetainedMessages,
        shadows: ShadowDocuments,
        reserved: Sequence[Reserved] = (),
    ) -> None:
        self._broker = broker
        self._retained = retained
        self._shadows = shadows
        self._reserved = reserved
        self._protocol = RestJson("iot-data")
        self._operations: Mapping[str, Callable[[Ask], Answer]] = {
            "DeleteConnection": self._delete_connection,
            "GetRetainedMessage": self._get_retained,
            "ListRetainedMessages": self._list_retained,
            "GetThingShadow": lambda ask: {"payload": shadows.get(ask["thingName"], ask.get("shadowName"))},
            "DeleteThingShadow": lambda ask: {"payload": shadows.delete(ask["thingName"], ask.get("shadowName"))},
            "UpdateThingShadow": self._update_shadow,
            "ListNamedShadowsForThing": self._list_shadows,
        }

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        try:
            operation, ask = self._protocol.load(request)
            if operation == "Publish":
                return self._protocol.dump(operation, self._publish(ask, request))
            serve = self._operations.get(operation)
            if serve is None:
                raise NotEmulatedError(operation)
            return self._protocol.dump(operation, serve(ask))
        except IotError as error:
            return dump_error(error)

    def _publish(self, ask: Ask, request: Request) -> Answer:
        topic, payload = ask["topic"], ask.get("payload") or b""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise RefusedError("RequestEntityTooLargeException", 413, "The payload exceeds the maximum size allowed")
        if not _publishable(topic):
            raise InvalidError(f"Invalid topic: {topic}")
        message = Message(
            topic=topic,
            payload=payload,
            qos=ask.get("qos", 0),
            retain=ask.get("retain", False),
            properties=_load_properties(ask),
            **_sender(request),
        )
        if topic.startswith("$"):
            if message.retain or not any(service.accepts(topic) for service in self._reserved):
                what = f"Publishing to the reserved topic {topic} is not allowed"
                raise RefusedError("ForbiddenException", 403, what)
        elif message.retain:
            self._retained.put(message)
        self._broker.publish(message)
        return {"message": "OK", "traceId": str(uuid4())}

    def _delete_connection(self, ask: Ask) -> Answer:
        clean_session, prevent_will = ask.get("cleanSession", False), ask.get("preventWillMessage", False)
        if not self._broker.disconnect(ask["clientId"], clean_session=clean_session, prevent_will=prevent_will):
            raise NotFoundError(f"Client {ask['clientId']} is not connected")
        return {}

    def _get_retained(self, ask: Ask) -> Answer:
        found = self._retained.get(ask["topic"])
        if found is None:
            raise NotFoundError(f"No retained message on topic {ask['topic']}")
        users = [{name: value} for name, value in found.message.properties.user_properties]
        return {
            **_summary(found),
            "payload": base64.b64encode(found.message.payload).decode(),
            "userProperties": base64.b64encode(json.dumps(users).encode()).decode() if users else None,
        }

    def _list_retained(self, ask: Ask) -> Answer:
        kept = {one.message.topic: one for one in self._retained.list()}
        topics, token = page(kept, ask)
        summaries = [{**_summary(kept[topic]), "payloadSize": len(kept[topic].message.payload)} for topic in topics]
        return {"retainedTopics": summaries, "nextToken": token}

    def _update_shadow(self, ask: Ask) -> Answer:
        return {"payload": self._shadows.update(ask["thingName"], ask.get("shadowName"), ask["payload"])}

    def _list_shadows(self, ask: Ask) -> Answer:
        names, token = page(self._shadows.names(ask["thingName"]), ask, SHADOW_NAMES_PAGE)
        return {"results": names, "nextToken": token, "timestamp": self._shadows.now_s()}


def _sender(request: Request) -> dict[str, Any]:
    """Return who published, for a rule's ``principal()`` and ``sourceip()``, as the doors tell."""
    source_ip = request.headers.get(SOURCE_IP_HEADER)
    if source_ip is None:
        return {}
    who = request.caller
    return {"principal": Principal(kind=who.kind, id=who.user_id or who.arn), "source_ip": source_ip}


def _summary(retained: Retained) -> Answer:
    message = retained.message
    return {"topic": message.topic, "qos": message.qos, "lastModifiedTime": int(retained.stored_at * 1000)}


def _publishable(topic: str) -> bool:
    """Say whether a topic keeps the limits of the page "AWS IoT Core endpoints and quotas"."""
    counted = topic
    if topic.startswith(BASIC_INGEST):
        counted = topic.removeprefix(BASIC_INGEST).partition("/")[2]
    return (
        bool(topic)
        and not {"+", "#", "\x00"}.intersection(topic)
        and len(counted.encode()) <= MAX_TOPIC_BYTES
        and counted.count("/") <= MAX_TOPIC_SLASHES
    )


def _load_properties(ask: Ask) -> Properties:
    """Return the MQTT 5 properties that travel as headers and query. (page "HTTPS", ``x-amz-mqtt5-…``)."""
    indicators = {None: None, "UNSPECIFIED_BYTES": 0, "UTF8_DATA": 1}
    try:
        users: Any = json.loads(ask.get("userProperties", "[]"))
        pairs = tuple((name, value) for one in users for name, value in one.items())
        correlation = base64.b64decode(ask["correlationData"], validate=True) if "correlationData" in ask else None
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InvalidError("Invalid MQTT 5 property.") from error
    if not all(isinstance(value, str) for _, value in pairs):
        raise InvalidError("Invalid MQTT 5 user property.")
    response_topic, expiry_s = ask.get("responseTopic"), ask.get("messageExpiry")
    if response_topic is not None and not _publishable(response_topic):
        raise InvalidError(f"Invalid response topic: {response_topic}")
    if expiry_s is not None and expiry_s < 0:
        raise InvalidError(f"Invalid message expiry: {expiry_s}")
    return Properties(
        payload_format_indicator=indicators[ask.get("payloadFormatIndicator")],
        content_type=ask.get("contentType"),
        response_topic=response_topic,
        correlation_data=correlation,
        message_expiry_s=None if expiry_s is None else min(max(expiry_s, 1), 604_800),
        user_properties=pairs,
    )
