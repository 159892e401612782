"""AWS IoT Jobs: the room is empty yet. Every operation is refused by its name; no topic of jobs takes messages."""

from infra.local.iot.control.rest_json import RestJson, dump_error
from infra.local.iot.errors import IotError, NotEmulatedError
from infra.local.wire import Request, Response


class Jobs:
    """The data plane of jobs (boto3's ``iot-jobs-data``)."""

    def __init__(self) -> None:
        self._protocol = RestJson("iot-jobs-data")

    async def handle(self, request: Request) -> Response:
        """Refuse a call by its operation's name."""
        try:
            operation, _ = self._protocol.load(request)
            raise NotEmulatedError(operation)
        except IotError as error:
            return dump_error(error)
