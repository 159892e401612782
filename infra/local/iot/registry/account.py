"""What belongs to the account as a whole: its endpoint, and tags on what it holds."""

from infra.local.config import Ports
from infra.local.iot.errors import InvalidError, NotEmulatedError
from infra.local.iot.registry.state import Answer, Ask, State

DATA_ENDPOINTS = {"iot:Data-ATS", "iot:Data"}


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
        held = self._state.tags.setdefault(ask["resourceArn"], {})
        held |= {tag["Key"]: tag.get("Value", "") for tag in ask["tags"]}
        return {}

    def untag_resource(self, ask: Ask) -> Answer:
        """Take tags off a resource."""
        for key in ask["tagKeys"]:
            self._state.tags.get(ask["resourceArn"], {}).pop(key, None)
        return {}

    def list_tags_for_resource(self, ask: Ask) -> Answer:
        """List a resource's tags."""
        held = self._state.tags.get(ask["resourceArn"], {})
        return {"tags": [{"Key": key, "Value": value} for key, value in held.items()]}
