"""What evaluating rules costs: a realistic statement beside ``json.loads`` alone, and a hundred rules beside one."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

from infra.local.clock import ManualClock
from infra.local.iot.message import Message
from infra.local.iot.rules.aws_calls import Call
from infra.local.iot.rules.compiler import compile_statement
from infra.local.iot.rules.context import V2, Context
from infra.local.iot.rules.engine import Rule, RulesEngine

SQL = (
    "SELECT deviceid, temp, humidity, coords.latitude AS lat, seq, topic(2) AS site, timestamp() AS received_ms "
    "FROM 'site/+/telemetry' WHERE temp > 20 AND status = 'ok'"
)
PAYLOAD = (
    b'{"deviceid": "iot-0123456789", "temp": 54.98, "humidity": 32.43, "status": "ok", "seq": 123456, '
    b'"coords": {"latitude": 47.615694, "longitude": -122.3359976}, "tags": ["indoor", "north"], "battery": 3}'
)
MOST_TIMES_JSON_LOADS = 12.0
MOST_TIMES_ONE_RULE = 1.5
ROUNDS = 15


class NoAws:
    """Nobody is called: the rules here have no actions."""

    async def send(self, call: Call, source_arn: str) -> bytes:
        raise AssertionError(call)

    async def check_role(self, role_arn: str, source_arn: str) -> None:
        raise AssertionError(role_arn)


def _rule(name: str, sql: str) -> Rule:
    return Rule(
        name=name, arn=name, created_at=0, definition={}, query=compile_statement(sql, V2), actions=(),
        error_action=None, enabled=True,
    )  # fmt: skip


def _engine(rules: int) -> RulesEngine:
    """Return an engine of so many rules on different filters; the last concerns the message, its WHERE is false."""
    engine = RulesEngine(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), NoAws())
    for number in range(rules - 1):
        engine.put(_rule(f"other_{number}", SQL.replace("site/+", f"site{number}/+")))
    engine.put(_rule("ours", SQL.replace("temp > 20", "temp > 99")))
    return engine


def interleaved_us(calls: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Return the median time of one call of each, in microseconds, taken in turns so that the machine is the same."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(count):
                call()
            times[name].append((time.process_time() - start) / count * 1e6)
    return {name: median(taken) for name, taken in times.items()}


def run(count: str = "2000") -> dict[str, float]:
    """Return the figures: microseconds of CPU, medians, and the two ratios that are bounded."""
    assert len(PAYLOAD) == 200, len(PAYLOAD)
    query, text = compile_statement(SQL, V2), PAYLOAD.decode()
    message = Message(topic="site/7/telemetry", payload=PAYLOAD, client_id="d")
    one, hundred = _engine(1), _engine(100)
    times = interleaved_us(
        {
            "json_loads": lambda: json.loads(text),
            "evaluate": lambda: query.evaluate(Context(topic="site/7/telemetry", payload=PAYLOAD, now_ms=1)),
            "one_rule": lambda: one.receive(message),
            "hundred_rules": lambda: hundred.receive(message),
        },
        int(count),
    )
    return {
        **{f"{name}_us": round(taken, 2) for name, taken in times.items()},
        "times_json_loads": round(times["evaluate"] / times["json_loads"], 2),
        "hundred_to_one": round(times["hundred_rules"] / times["one_rule"], 2),
    }


if __name__ == "__main__":
    print(json.dumps(run()))
