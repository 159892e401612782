"""What a statement may look at: one message and what surrounds it. Values only; the engine or the tool fills it."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from infra.local.iot.rules.values import UNDEFINED, Value, load, to_text

BASIC_INGEST = "$aws/rules/"
V1, V2, BETA = "2015-10-08", "2016-03-23", "beta"
VERSIONS = (V1, V2, BETA)
"""``beta`` is served as 2016-03-23: what it adds is not documented."""


MAX_ROWS = 100_000
"""Rows that nested SELECTs may look at for one message: evaluation holds up the gateway's one loop."""
MAX_HELD = 2_000_000
"""Characters and values that nested SELECTs may give for one message: a row may repeat what the message has once."""


class TooMuchError(Exception):
    """Evaluation was given up: it would take too long."""


BEYOND = (RecursionError, TooMuchError)
"""What ends evaluation: a payload nested too deeply, or nested SELECTs over too many rows."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One message, as a rule sees it."""

    topic: str
    """For Basic Ingest without the prefix ``$aws/rules/{rule}/``."""
    payload: bytes
    now_ms: int
    version: str = V2
    client_id: str | None = None
    """None where the message did not come over MQTT."""
    principal: str | None = None
    trace_id: str | None = None
    source_ip: str | None = None
    account_id: str = "123456789012"
    mqtt: Mapping[str, str] = field(default_factory=dict)
    """What ``get_mqtt_property`` returns, by its argument."""
    user_properties: tuple[tuple[str, str], ...] = ()
    shadows: Mapping[tuple[str, str | None], Value] = field(default_factory=dict)
    """Shadow documents by (thing, shadow name); Undefined for one that is not there."""
    wanted: dict[tuple[str, str | None], str] = field(default_factory=dict)
    """Shadows that evaluation asked for in vain, and the role to fetch them under."""
    new_uuid: Callable[[], str] = str
    random: Callable[[], float] = float
    variables: dict[str, Value] = field(default_factory=dict)
    named_rows: Mapping[str, Value] = field(default_factory=dict)
    """The rows that the nested SELECTs under way are at, by the names given to them."""
    rows: int = 0
    """Rows that nested SELECTs have looked at."""
    held: int = 0
    """Characters and values that they have given."""
    _root: Value = None
    _parsed: bool = False

    @property
    def root(self) -> Value:
        """Return the payload as JSON; Undefined where it is none. An empty payload is an empty object."""
        if not self._parsed:
            self._parsed = True
            try:
                self._root = load(self.payload.decode()) if self.payload else {}
            except ValueError:
                self._root = UNDEFINED
        return self._root

    @property
    def whole(self) -> Value:
        """Return what ``*`` stands for: the JSON, or the bytes in base64 where it is none ("Binary payloads")."""
        return base64.b64encode(self.payload).decode() if self.root is UNDEFINED else self.root

    @property
    def members(self) -> Value:
        """Return what ``*`` adds beside other items: an object's members; anything else as ``payload``."""
        return self.root if type(self.root) is dict else {"payload": self.whole}

    def look_at(self, rows: int) -> None:
        """Count rows of a nested SELECT.

        Raises:
            TooMuchError: there were too many.
        """
        self.rows += rows
        if self.rows > MAX_ROWS:
            raise TooMuchError(f"Nested SELECTs look at more than {MAX_ROWS} rows")

    def hold(self, rows: list[Value]) -> list[Value]:
        """Return what a nested SELECT gives, counted.

        Raises:
            TooMuchError: it is too much.
        """
        left: list[Value] = [rows]
        while left:
            value = left.pop()
            kind = type(value)
            if kind is dict:
                left.extend(value.values())
                self.held += sum(map(len, value))
            elif kind is list:
                left.extend(value)
            self.held += 1 + len(value) if kind is str else 1
            if self.held > MAX_HELD:
                raise TooMuchError("Nested SELECTs give more than a message can carry")
        return rows

    def text(self, value: Value) -> Value:
        """Convert to String as this statement's SQL version does."""
        return to_text(value, whole_as_int=self.version != V1)
