"""The shadow service against an independent model: any requests, repeated and out of order, lead to the same."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from infra.local.clock import ManualClock
from infra.local.iot.errors import IotError
from infra.local.iot.message import Message
from infra.local.iot.shadow import Shadows
from tests.property.iot_shadow.model import Model
from tests.unit.iot_devices.fakes import FakeBroker

TOPIC = "$aws/things/lamp/shadow"
KEYS = st.sampled_from(["a", "b", "timestamp", "ü"])
SCALARS = st.one_of(
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([0.0, 1.0, 1.5, "", "x", "1", "ü", "y" * 3000]),
)
VALUES = st.recursive(
    st.one_of(SCALARS, st.none()),
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, max_size=3),
        st.lists(st.one_of(SCALARS, st.dictionaries(KEYS, SCALARS, max_size=2)), max_size=2),
    ),
    max_leaves=6,
)
SECTIONS = st.one_of(st.none(), st.dictionaries(KEYS, VALUES, max_size=3))
STATES = st.one_of(st.none(), st.dictionaries(st.sampled_from(["desired", "reported"]), SECTIONS, max_size=2))
INVALID = [
    (b"", 400),
    (b"{", 400),
    (b"[1]", 400),
    (b"{}", 400),
    (b"\xff", 415),
    (b'{"state":1}', 400),
    (b'{"state":{"other":{}}}', 400),
    (b'{"state":{"desired":[]}}', 400),
    (b'{"state":{"desired":{"a":[null]}}}', 400),
    (b'{"state":{"desired":{"a":{"b":{"c":{"d":{"e":{"f":{}}}}}}}}}', 400),
    (b'{"state":{"desired":{"a":1}},"version":1.5}', 400),
    (b'{"state":{"desired":{"a":1}},"clientToken":""}', None),
]


def deep(value):
    return (
        1 + max(map(deep, value.values() if isinstance(value, dict) else value), default=0)
        if (isinstance(value, dict | list))
        else 0
    )


class ShadowMachine(RuleBasedStateMachine):
    steps = 0

    def __init__(self):
        super().__init__()
        self.clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
        self.broker = FakeBroker()
        self.shadows = Shadows(self.broker, self.clock)
        self.model = Model()
        self.sent: list[bytes] = []

    def ask(self, operation, payload):
        type(self).steps += 1
        self.shadows.receive(Message(topic=f"{TOPIC}/{operation}", payload=payload, client_id="c"))
        return {topic.removeprefix(f"{TOPIC}/{operation}/"): one for topic, one in self.broker.take()}

    @property
    def now(self):
        return int(self.clock.time())

    @rule(state=STATES, version=st.sampled_from([None, "current", "old", "next"]), token=st.booleans())
    def update(self, state, version, token):
        current = self.model.version
        request = {"state": state}
        if version:
            request["version"] = {"current": current, "old": max(0, current - 1), "next": current + 1}[version]
        if token:
            request["clientToken"] = f"t{current}"
        payload = json.dumps(request).encode()
        self.sent.append(payload)
        self.send(payload)

    @precondition(lambda self: any(section.paths for section in self.model.sections.values()))
    @rule(data=st.data(), value=VALUES | st.none() | st.just({"b": None}))
    def change_what_is_there(self, data, value):
        paths = [(name, *path) for name, section in self.model.sections.items() for path in section.paths]
        patch = value
        for key in reversed(data.draw(st.sampled_from(sorted(paths)))):
            patch = {key: patch}
        self.send(json.dumps({"state": patch}).encode())

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_an_earlier_request_again(self, data):
        self.send(data.draw(st.sampled_from(self.sent)))

    def send(self, payload):
        request = json.loads(payload)
        before, answers = self.model.document(), self.ask("update", payload)
        too_deep = any(deep(section) > 6 for section in (request["state"] or {}).values())
        code = 400 if too_deep else self.model.update(request, self.now)
        token = {"clientToken": request["clientToken"]} if "clientToken" in request else {}
        if code:
            assert list(answers) == ["rejected"]
            assert answers["rejected"]["code"] == code
            assert answers["rejected"].get("clientToken") == token.get("clientToken")
            return
        accepted, delta = answers["accepted"], self.model.delta()
        assert accepted["state"] == request["state"]
        assert (accepted["version"], accepted["timestamp"]) == (self.model.version, self.now)
        if before["version"] and self.model.version == 1:
            before["version"] = 0  # two days after its deletion a shadow begins anew
        current = self.model.document()
        assert answers["documents"] == {"previous": before, "current": current, "timestamp": self.now, **token}
        wanted = delta and {
            "version": self.model.version, "timestamp": self.now, "state": delta[0], "metadata": delta[1], **token,
        }  # fmt: skip
        assert answers.get("delta") == wanted

    @rule(case=st.sampled_from(INVALID))
    def send_what_is_no_update(self, case):
        payload, code = case
        answers = self.ask("update", payload)
        if code is None:
            self.model.update(json.loads(payload), self.now)
        else:
            assert list(answers) == ["rejected"]
            assert answers["rejected"]["code"] == code

    @rule(rest=st.booleans())
    def get(self, rest):
        if rest:
            try:
                answers = {"accepted": json.loads(self.shadows.get("lamp", None))}
            except IotError as error:
                answers = {"rejected": {"code": error.status}}
        else:
            answers = self.ask("get", b"")
        if not self.model.exists:
            assert answers["rejected"]["code"] == 404
            return
        document, delta = {**self.model.document(), "timestamp": self.now}, self.model.delta()
        if delta:
            document["state"]["delta"] = delta[0]
        assert answers["accepted"] == document

    @rule()
    def delete(self):
        answers = self.ask("delete", b"ignored")
        if self.model.exists:
            assert answers == {"accepted": {"version": self.model.version, "timestamp": self.now}}
            self.model.delete(self.now)
        else:
            assert answers["rejected"]["code"] == 404

    @rule(by=st.sampled_from([timedelta(seconds=1), timedelta(hours=47), timedelta(hours=49)]))
    def wait(self, by):
        self.clock.move(by)


def run(examples, steps):
    ShadowMachine.steps = 0
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        database=None,
    )
    run_state_machine_as_test(ShadowMachine, settings=chosen)
    return ShadowMachine.steps


def test_any_requests_lead_where_the_model_says():
    run(120, 30)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_requests_lead_where_the_model_says():
    done = run(3000, 60)
    print(f"{done} requests, no difference")
    assert done >= 100_000
