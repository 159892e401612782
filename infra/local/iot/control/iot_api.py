"""boto3's ``iot``: each operation to the room that carries it, and the rest refused by name."""

from collections.abc import Mapping
from typing import Any

from infra.local.iot.control.rest_json import RestJson, dump_error
from infra.local.iot.errors import IotError
from infra.local.iot.registry.registry import Registry
from infra.local.wire import Handler, Request, Response

RULE_PATHS = "/rules"


class IotApi:
    """The control plane of AWS IoT Core."""

    def __init__(self, registry: Registry, *, rules: Handler | None = None) -> None:
        self._registry = registry
        self._rules = rules
        self._protocol = RestJson("iot")

    def call(self, operation: str, ask: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out an operation for a neighbouring room, its input checked like anybody's.

        Raises:
            IotError: what AWS answers instead of a result.
        """
        self._protocol.check(operation, ask)
        return self._registry.call(operation, ask)

    async def handle(self, request: Request) -> Response:
        """Answer one call; topic rules are the rules engine's."""
        if self._rules and request.path.startswith(RULE_PATHS):
            return await self._rules(request)
        try:
            operation, ask = self._protocol.load(request)
            answer = self._registry.call(operation, ask)
        except IotError as error:
            return dump_error(error)
        return self._protocol.dump(operation, answer)
