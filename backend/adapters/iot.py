"""AWS IoT on behalf of people: certificates, connections, shadows, messages."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from backend.errors import ConflictError, NotFoundError, UnavailableError, invalid

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot_data import IoTDataPlaneClient

CONFIG_SHADOW = "config"
GONE = frozenset({"ResourceNotFoundException"})
REFUSED = frozenset({400, 413})
"""As the document cannot be: InvalidRequestException, RequestEntityTooLargeException. Throttling is 429."""


class IotControl:
    """What AWS IoT does to a device."""

    def __init__(self, *, control: "IoTClient | None" = None, data: "IoTDataPlaneClient | None" = None) -> None:
        self._control: IoTClient = control or boto3.client("iot")
        self._data: IoTDataPlaneClient = data or boto3.client("iot-data", endpoint_url=_data_endpoint(self._control))

    def deactivate(self, thing: str) -> None:
        """Make every certificate of a thing inactive."""
        pages = self._control.get_paginator("list_thing_principals").paginate(thingName=thing)
        try:
            for principal in (each for page in pages for each in page["principals"]):
                _, found, certificate = principal.partition(":cert/")
                if found:
                    self._deactivate(certificate)
        except (ClientError, BotoCoreError) as error:
            _raise_unless_gone(error)

    def _deactivate(self, certificate: str) -> None:
        try:
            self._control.update_certificate(certificateId=certificate, newStatus="INACTIVE")
        except (ClientError, BotoCoreError) as error:
            _raise_unless_gone(error)  # the others of the thing are to go as well

    def disconnect(self, thing: str) -> None:
        """Cut the connection of a thing, if it has one. (AWS IoT API reference, "DeleteConnection".)."""
        try:
            self._data.delete_connection(clientId=thing, cleanSession=True)
        except (ClientError, BotoCoreError) as error:
            _raise_unless_gone(error)

    def forget(self, thing: str) -> None:
        """Delete the shadows of a thing."""
        for named in ({}, {"shadowName": CONFIG_SHADOW}):
            try:
                self._data.delete_thing_shadow(thingName=thing, **named)
            except (ClientError, BotoCoreError) as error:
                _raise_unless_gone(error)

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish a document, QoS 1."""
        try:
            self._data.publish(topic=topic, qos=1, payload=json.dumps(payload, separators=(",", ":")).encode())
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError("Messages cannot be sent at the moment: try again.") from error

    def shadow(self, thing: str, name: str | None) -> dict[str, Any]:
        """Return a shadow document; one that never was is empty, at version 0."""
        named = {"shadowName": name} if name else {}
        try:
            document: dict[str, Any] = json.loads(
                self._data.get_thing_shadow(thingName=thing, **named)["payload"].read()
            )
        except (ClientError, BotoCoreError) as error:
            _raise_unless_gone(error)
            return {"state": {}, "version": 0}
        return document

    def desire(self, thing: str, name: str | None, desired: Mapping[str, Any], version: int | None) -> dict[str, Any]:
        """Change what is desired of a thing and return the shadow then.

        Raises:
            ConflictError: ``version`` is given and is not the current one.
            InvalidInputError: it is nested too deeply, or too large, for a shadow.
        """
        document: dict[str, Any] = {"state": {"desired": desired}}
        if version is not None:
            document["version"] = version
        named = {"shadowName": name} if name else {}
        try:
            self._data.update_thing_shadow(
                thingName=thing,
                payload=json.dumps(document).encode(),
                **named,
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "ConflictException":
                raise ConflictError("The shadow is at another version.") from error
            if _status(error) in REFUSED:
                raise invalid("desired" if name is None else name, _said(error)) from error
            _raise_unless_gone(error)
            raise NotFoundError("The device is not connected to this product yet.") from error
        return self.shadow(thing, name)


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _status(error: Exception) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(error, ClientError) else 0


def _said(error: Exception) -> str:
    message = error.response["Error"].get("Message", "") if isinstance(error, ClientError) else ""
    return f"is no state of a shadow: {message or _code(error)}"


def _raise_unless_gone(error: Exception) -> None:
    if _code(error) not in GONE:
        raise UnavailableError("AWS IoT did not do it: try again.") from error


def _data_endpoint(control: "IoTClient") -> str | None:
    """Return where this account's data plane is; the SDK's own default serves an older certificate chain."""
    if control.meta.endpoint_url.startswith("http://"):
        return None  # one endpoint serves all: AWS_ENDPOINT_URL
    address = control.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    return f"https://{address}"
