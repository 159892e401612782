"""What rules made of live messages, kept for those who watch: each record is a case of the tool, with its answer."""

import base64
from collections import deque
from collections.abc import Iterator
from typing import Any

from infra.local.clock import Clock
from infra.local.iot.rules.cases import result_of
from infra.local.iot.rules.compiler import Outcome
from infra.local.iot.rules.context import BEYOND, Context
from infra.local.iot.rules.engine import RulesEngine, Run

KEPT = 1_000
WATCHED_S = 30.0
"""Recording ends when nobody has asked for this long: it costs time on every message."""


class Recorder:
    """Records while somebody asks for records."""

    def __init__(self, engine: RulesEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0
        self._asked_at = 0.0

    def after(self, number: int) -> dict[str, Any]:
        """Return the records after the one of that number, and the number to ask with next."""
        self._asked_at = self._clock.time()
        if self._add not in self._engine.watchers:
            self._engine.watchers.append(self._add)
        fresh = [record for record in self._records if record["number"] > number]
        return {"records": fresh, "next": self._count, "metrics": dict(self._engine.metrics)}

    def _add(self, run: Run) -> None:
        if self._clock.time() - self._asked_at > WATCHED_S:
            self._engine.watchers.remove(self._add)
            self._records.clear()
            return
        self._count += 1
        self._records.append({"number": self._count, **dict(_record(run))})


def _record(run: Run) -> Iterator[tuple[str, Any]]:
    context = run.context
    yield "topic", run.message.topic
    yield "payload_base64", base64.b64encode(context.payload).decode()
    yield "now_ms", context.now_ms
    yield "rule", run.rule.name if run.rule else None
    if run.rule is None or run.outcome is None:
        return
    yield "sql", run.rule.query.sql
    yield "sql_version", context.version
    seen = {
        "client_id": context.client_id,
        "principal": context.principal,
        "trace_id": context.trace_id,
        "source_ip": context.source_ip,
        "mqtt_properties": dict(context.mqtt),
        "user_properties": [list(pair) for pair in context.user_properties],
        "shadows": {
            thing if name is None else f"{thing}:{name}": document
            for (thing, name), document in context.shadows.items()
        },
    }
    yield "context", {name: value for name, value in seen.items() if value}
    yield "answer", {**_shown(run.outcome, context), "actions": list(run.actions)}


def _shown(outcome: Outcome, context: Context) -> dict[str, Any]:
    try:
        return result_of(outcome, context)
    except BEYOND as error:  # passed on as bytes, but not to be written out
        return {"error": f"Not shown: {error}"}
