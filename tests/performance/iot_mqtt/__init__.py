"""The device gateway, weighed; mounted as ``scripts/bench gateway [--messages N --hold N --seconds S --rounds N]``."""

from typing import Any


def run(*, messages: str = "40000", hold: str = "2000", seconds: str = "60", rounds: str = "3") -> dict[str, Any]:
    """Return CPU a message beside mosquitto, connections held, and what fan-out and fan-in lost."""
    from tests.performance.iot_mqtt.bench import weigh

    return weigh(messages=int(messages), devices=int(hold), seconds=float(seconds), rounds=int(rounds))
