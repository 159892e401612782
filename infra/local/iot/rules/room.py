"""The rules room as the composition plugs it in: a ``ports.Tap``, a ``ports.Reserved``, and handler of ``/rules…``."""

from infra.local.clock import Clock
from infra.local.config import Settings
from infra.local.iot.rules.api import Tag, TopicRules
from infra.local.iot.rules.aws_calls import AwsCalls
from infra.local.iot.rules.engine import RulesEngine

DRAIN_S = 5.0


class Rules:
    """Made inside the running loop; ``handle`` serves the topic-rule operations of boto3's ``iot``."""

    def __init__(self, settings: Settings, clock: Clock, tag: Tag) -> None:
        self._aws = AwsCalls(settings, clock)
        self.engine = RulesEngine(clock, self._aws)
        self._api = TopicRules(self.engine, self._aws, clock, settings, tag)
        self.handle = self._api.handle
        self.accepts = self.engine.accepts
        self.receive = self.engine.receive

    async def stop(self) -> None:
        """Finish the actions under way, within ``DRAIN_S`` seconds, then close the connections."""
        await self.engine.drain(DRAIN_S)
        await self._aws.stop()
