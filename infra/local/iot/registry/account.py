"""What belongs to the account as a whole: its endpoint, and tags on what it holds."""

from infra.local.config import Ports
from infra.local.iot.errors import InvalidError, NotEmulatedError, NotFoundError
from infra.local.iot.registry.state import Answer, Ask, State

DATA_ENDPOINTS = {"iot:Data-ATS", "iot:Data"}
MAX_TAGS = 50
"""Of one resource. (API reference, "TagResource")."""


class Account:
    """DescribeEndpoint and tags."""

    def __init__(self, state: State, ports: Ports) -> None:
        self._state = state
        self._ports = ports

    def describe_endpoint(self, ask: Ask) -> Answer:
        """Return where data is served: the host, and the port that stands for AWS's 443. MQTT has 8883 beside it."""
        kind = ask.get("endpointType", "iot:Data")
        if kind in {"iot:CredentialProvider", "iot:Jobs"}:
            raise NotEmulatedError(f"DescribeEndpoint of {kind}")
        if kind not in DATA_ENDPOINTS:
            raise InvalidError(f"Endpoint type {kind} is not supported.")
        return {"endpointAddress": f"127.0.0.1:{self._ports.https}"}

    def tag_resource(self, ask: Ask) -> Answer:
        """Put tags on a resource."""
        held = self._tags(ask) | {tag["Key"]: tag.get("Value", "") for tag in ask["tags"]}
        if len(held) > MAX_TAGS:
            raise InvalidError(f"A resource has at most {MAX_TAGS} tags.")
        self._state.tags[ask["resourceArn"]] = held
        return {}

    def untag_resource(self, ask: Ask) -> Answer:
        """Take tags off a resource."""
        for key in ask["tagKeys"]:
            self._tags(ask).pop(key, None)
        return {}

    def list_tags_for_resource(self, ask: Ask) -> Answer:
        """List a resource's tags."""
        return {"tags": [{"Key": key, "Value": value} for key, value in self._tags(ask).items()]}

    def _tags(self, ask: Ask) -> dict[str, str]:
        if not self._state.holds(ask["resourceArn"]):
            raise NotFoundError(f"Resource {ask['resourceArn']} not found.")
        return self._state.tags.setdefault(ask["resourceArn"], {})
