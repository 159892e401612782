"""A guard against rules that republish to one another without end: how many rules a message came through."""

import re
from collections import OrderedDict

from infra.local.clock import Clock
from infra.local.iot.message import Message

MAX_HOPS = 10
"""AWS IoT has no such limit and bills the loop; here it ends with an error that says so."""
REMEMBERED_S = 10.0
SHADOW_REMEMBERED_S = 1.0
"""What a shadow says does not repeat what it was told, so any message of it soon after counts; a loop takes
milliseconds, a device that reports takes its time."""
MAX_REMEMBERED = 10_000


class Trail:
    """Remembers what was republished a short while ago, to recognise it when it arrives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: OrderedDict[tuple[str, object], tuple[int, float]] = OrderedDict()

    def sent(self, topic: str, payload: bytes, hops: int) -> None:
        """Note that a message that came through ``hops`` rules is about to be republished."""
        self._sent[self._key(topic, payload)] = (hops, self._clock.time())
        while len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)

    def hops(self, message: Message) -> int:
        """Return through how many rules the message came; what an MQTT client sent came through none."""
        if message.client_id is not None or not self._sent:
            return 0
        key = self._key(message.topic, message.payload)
        hops, at = self._sent.get(key, (0, 0.0))
        remembered_s = REMEMBERED_S if key[1] else SHADOW_REMEMBERED_S
        return hops if self._clock.time() - at <= remembered_s else 0

    @staticmethod
    def _key(topic: str, payload: bytes) -> tuple[str, object]:
        """Return what a message is recognised by: topic and payload, or the shadow (None) for any message of one."""
        shadow = _SHADOW.match(topic)
        return (shadow[0], None) if shadow else (topic, (hash(payload),))


_SHADOW = re.compile(r"\$aws/things/[^/]+/shadow(/name/[^/]+)?")
