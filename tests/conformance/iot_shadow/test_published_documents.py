"""The Device Shadow service's documented examples, through the service as a device uses it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.local.clock import ManualClock
from infra.local.iot.message import Message
from infra.local.iot.shadow import Shadows
from infra.local.iot.shadow.documents import Shadow, load_update, update
from tests.unit.iot_devices.fakes import FakeBroker

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]
START = datetime(2020, 6, 2, tzinfo=UTC)


def of(*kinds):
    return [pytest.param(case, id=case["id"]) for case in CASES if case["kind"] in kinds]


def seen(document):
    """Return a shadow as it must stand at the start of a case."""
    document = document or {}
    state = document.get("state", {})

    def stamps(value):
        if isinstance(value, dict):
            return {key: stamps(one) for key, one in value.items()}
        return [stamps(one) for one in value] if isinstance(value, list) else {"timestamp": 0}

    metadata = document.get("metadata") or stamps(state)
    return Shadow(state=state, metadata=metadata, version=document.get("version", 0))


class Device:
    """One device, at a shadow service that begins with a given shadow."""

    def __init__(self, case, at=START):
        self.clock = ManualClock(at)
        self.broker = FakeBroker()
        self.shadows = Shadows(self.broker, self.clock)
        self.thing, self.name = case.get("thing", "thing"), case.get("shadow")
        initial = case.get("initial", case.get("current"))
        if initial:
            self.shadows.put(self.thing, self.name, seen(initial))

    @property
    def prefix(self):
        return f"$aws/things/{self.thing}/shadow" + (f"/name/{self.name}" if self.name else "")

    def ask(self, operation, payload=b""):
        """Return the messages that follow a request, by the end of their topic."""
        payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        topic = f"{self.prefix}/{operation}"
        assert self.shadows.accepts(topic)
        self.shadows.receive(Message(topic=topic, payload=payload, client_id=self.thing))
        return {topic.removeprefix(f"{self.prefix}/"): document for topic, document in self.broker.take()}

    def at(self, epoch_s):
        self.clock.move(datetime.fromtimestamp(epoch_s, UTC) - self.clock.now())


@pytest.mark.parametrize("case", of("accept"))
def test_a_valid_update_is_accepted(case):
    answers = Device(case).ask("update", case["request"])
    assert answers["update/accepted"]["version"] == case.get("expected_version", 1)


@pytest.mark.parametrize("case", of("reject"))
def test_an_invalid_update_is_rejected_with_its_text_and_changes_nothing(case):
    device = Device(case)
    before = device.ask("get")
    answers = device.ask("update", case["request"])
    rejected = answers.pop("update/rejected")
    assert not answers
    assert rejected["code"] == case["expected"]["code"]
    assert case["expected"]["message"] in {None, rejected["message"]}
    valid_token = "clientToken" in case["request"] and rejected["message"] != "Invalid clientToken"
    assert rejected.get("clientToken") == (case["request"]["clientToken"] if valid_token else None)
    assert device.ask("get") == before


@pytest.mark.parametrize("names", [{"thing": "a b"}, {"thing": "x" * 129}, {"shadow": "a b"}, {"shadow": "x" * 65}])
def test_a_name_that_no_shadow_can_have_is_rejected(names):
    device = Device(names)
    for operation in ("update", "get", "delete"):
        answers = device.ask(operation, {"state": {"desired": {"a": 1}}})
        assert list(answers) == [f"{operation}/rejected"]
        assert answers[f"{operation}/rejected"]["code"] == 400
    assert not device.shadows.names(device.thing)


def test_a_delta_sent_back_is_not_looked_at():
    device = Device({})
    sent = {"desired": {"a": 1}, "reported": {"a": 2}}
    answers = device.ask("update", {"state": {**sent, "delta": {"a": 1}}})
    assert answers["update/accepted"]["state"] == sent
    assert device.ask("update", {"state": {"delta": 1}})["update/rejected"]["code"] == 400


def test_a_get_may_carry_anything():
    device = Device({"current": {"state": {"desired": {"a": 1}}, "version": 1}})
    for payload in (b"", b"rubbish", b"[1]", b'{"clientToken":"\\ud800"}', b"[" * 100_000):
        assert "clientToken" not in device.ask("get", payload)["get/accepted"]


@pytest.mark.parametrize("case", of("reject_raw"))
def test_what_is_no_json_is_rejected(case):
    rejected = Device(case).ask("update", case["raw"].encode())["update/rejected"]
    assert (rejected["code"], rejected["message"]) == (case["expected"]["code"], case["expected"]["message"])


@pytest.mark.parametrize("case", of("delta"))
def test_the_delta_is_what_desired_has_and_reported_has_not(case):
    state = {section: case[section] for section in ("desired", "reported") if case[section]}
    found = seen({"state": state}).delta()
    assert (found[0] if found else None) == case["expected_delta"]


@pytest.mark.parametrize("case", of("merge"))
def test_an_update_merges_as_documented(case):
    if "state" in case["patch"] or not set(case["state"]) <= {"desired", "reported", "state"}:
        # The engine's own cases merge below a section; one of them clears what stands below ``state``.
        current, patch = {"desired": case["state"]}, {"state": {"desired": case["patch"]}}
    else:
        current, patch = case["state"], {"state": case["patch"]}
    outcome = update(seen({"state": current, "version": 1}), load_update(json.dumps(patch).encode()), 1)
    merged = dict(outcome.shadow.state)
    if case["note"] == '{"state":null} clears desired and reported':
        outcome = update(seen({"state": {"desired": case["state"]}, "version": 1}), load_update(b'{"state":null}'), 1)
        assert {"state": dict(outcome.shadow.state)} == case["expected"]
    elif current is case["state"]:
        assert merged == case["expected"]
    else:
        assert merged["desired"] == case["expected"]


@pytest.mark.parametrize("case", of("size"))
def test_the_size_of_the_resulting_state_is_bounded(case):
    patch = {**case["update_reported"], "SomeKey": "x" * case["make"]["SomeKey_length"]}
    answers = Device(case).ask("update", {"state": {"reported": patch}})
    assert ("update/accepted" in answers) == (case["expected"] == "accepted")


@pytest.mark.parametrize("over", [0, 1])
def test_8192_bytes_are_taken_and_8193_are_not(over):
    device = Device({})
    padding = 8192 - len('{"a":""}{"b":"x"}') + over
    answers = device.ask("update", {"state": {"desired": {"a": "é" * 2 + "y" * (padding - 4)}, "reported": {"b": "x"}}})
    assert ("update/rejected" in answers) == bool(over)
    if over:
        assert answers["update/rejected"]["code"] == 413
        assert answers["update/rejected"]["message"] == "The payload exceeds the maximum size allowed"


@pytest.mark.parametrize("case", of("get_missing"))
def test_a_shadow_that_is_not_there_is_answered_by_its_name(case):
    device = Device(case)
    rejected = device.ask("get")["get/rejected"]
    assert f"{device.prefix}/get/rejected" == case["expected_topic"]
    assert (rejected["code"], rejected["message"]) == (case["expected"]["code"], case["expected"]["message"])


@pytest.mark.parametrize("case", of("sequence"))
def test_a_published_sequence_of_requests_is_answered_as_documented(case):
    device = Device(case)
    for step in case["steps"]:
        if "now" in step:
            device.at(step["now"])
        if "get" in step:
            answers = device.ask("get")
            assert answers.get("get/rejected", {}).get("code") == step.get("rejected")
        elif "delete" in step:
            assert device.ask("delete")["delete/accepted"] == step["delete_accepted"]
        else:
            answers = device.ask("update", step["update"])
            assert answers["update/accepted"]["version"] == step["accepted_version"]
            if "delta_state" in step:
                assert answers.get("update/delta", {}).get("state") == step["delta_state"]
    if "final" in case:
        final = device.ask("get")["get/accepted"]
        final["state"].pop("delta", None)
        assert {"state": final["state"], "version": final["version"]} == case["final"]


@pytest.mark.parametrize("case", of("walkthrough"))
def test_the_published_walkthrough_is_followed_to_the_letter(case):
    device = Device(case)
    for step in case["steps"]:
        device.at(step["now"])
        if "get" in step:
            assert json.loads(device.shadows.get(device.thing, device.name)) == step["response"]
            continue
        if step["via"] == "rest":
            answer = device.shadows.update(device.thing, device.name, json.dumps(step["update"]).encode())
            told = {topic.removeprefix(f"{device.prefix}/"): one for topic, one in device.broker.take()}
            assert "update/accepted" not in told
            told["update/accepted"] = json.loads(answer)
        else:
            told = device.ask("update", step["update"])
        assert told["update/accepted"] == step["accepted"]
        assert told.get("update/delta") == step["delta"]
        if "documents" in step:
            assert told["update/documents"] == step["documents"]


def test_the_version_of_a_deleted_shadow_is_remembered_for_48_hours():
    for hours, version in ((48, 3), (49, 1)):
        device = Device({})
        for _ in range(2):
            device.ask("update", {"state": {"reported": {"a": 1}}})
        device.ask("delete", b"anything")
        device.clock.move(timedelta(hours=hours))
        assert device.ask("update", {"state": {"reported": {"a": 1}}})["update/accepted"]["version"] == version


def test_the_eleventh_request_in_flight_on_one_connection_is_refused():
    waiting: list = []
    broker = FakeBroker()
    shadows = Shadows(broker, ManualClock(START), waiting.append)
    topic = "$aws/things/lamp/shadow/get"
    for client in ["one"] * 11 + ["two"]:
        shadows.receive(Message(topic=topic, payload=b'{"clientToken":"t"}', client_id=client))
    (refused,) = broker.take()
    assert refused[0] == f"{topic}/rejected"
    assert (refused[1]["code"], refused[1]["clientToken"]) == (429, "t")
    assert len(waiting) == 11
    for serve in waiting:
        serve()
    assert {document["code"] for _, document in broker.take()} == {404}
    shadows.receive(Message(topic=topic, payload=b"", client_id="one"))
    assert not broker.take()


@pytest.mark.parametrize(
    ("payload", "code", "message"),
    [
        (b"\xff\xfe", 415, "Unsupported documented encoding; supported encoding is UTF-8"),
        (b"[]", 400, "Invalid JSON"),
        (b"", 400, "Invalid JSON"),
        (b"nonsense", 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":NaN}}}', 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":1e999}}}', 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":"\\ud800"}}}', 400, "Invalid JSON"),
        (b'{"state":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, 400,
         "JSON contains too many levels of nesting; maximum is 6"),
        (b'{"state":{"desired":{"a":' + b"9" * 5000 + b"}}}", 400, "Invalid JSON"),
        (b'{"state":{"desired":5}}', 400, "Desired node must be an object"),
        (b'{"state":{"desired":{}},"version":"1"}', 400, "Invalid version"),
        (b'{"state":{"desired":{}},"version":true}', 400, "Invalid version"),
        (b'{"state":{"desired":{}},"version":-1}', 400, "Invalid version"),
        (b'{"state":{"desired":{}},"version":5}', 409, "Version conflict"),
        (b'{"state":{"desired":{}},"clientToken":5}', 400, "Invalid clientToken"),
        (b'{"state":{"desired":{"a":{"b":{"c":{"d":{"e":{"f":{}}}}}}}}}', 400,
         "JSON contains too many levels of nesting; maximum is 6"),
        (b'{"state":{"desired":{"a":[[[[[[1]]]]]]}}}', 400, "JSON contains too many levels of nesting; maximum is 6"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_and_changes_nothing(payload, code, message):
    device = Device({})
    answers = device.ask("update", payload)
    assert list(answers) == ["update/rejected"]
    assert (answers["update/rejected"]["code"], answers["update/rejected"]["message"]) == (code, message)
    assert "get/rejected" in device.ask("get")


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([{"desired": {"a": {"b": None}}}], {}),
        ([{"desired": {"a": {"b": None, "c": 1}}}], {"desired": {"a": {"c": 1}}}),
        ([{"desired": {"a": {}}}], {"desired": {"a": {}}}),
        ([{"desired": {"a": 1}}, {"desired": {"a": None}}], {}),
        ([{"desired": {"a": {"b": 1}}}, {"desired": {"a": {"b": None}}}], {"desired": {"a": {}}}),
        ([{"desired": {"a": 1}}, {"desired": {"a": {"b": 1}}}], {"desired": {"a": {"b": 1}}}),
        ([{"desired": {"a": {"b": 1}}}, {"desired": {"a": 2}}], {"desired": {"a": 2}}),
        ([{"desired": {"a": 1}}, {"desired": {"a": {"b": None}}}], {"desired": {"a": {}}}),
        ([{"desired": {"a": 1, "b": 2}}, {"desired": {"a": None}}], {"desired": {"b": 2}}),
        ([{"desired": {"a": 1}, "reported": {"a": 1}}, {"desired": None}], {"reported": {"a": 1}}),
        ([{"desired": {"a": 1}, "reported": {"a": 1}}, None], {}),
    ],
)
def test_nulls_and_changes_of_kind_leave_what_is_documented(steps, state):
    device = Device({})
    for step in steps:
        answers = device.ask("update", {"state": step})
        assert answers["update/accepted"]["state"] == step
    document = device.ask("get")["get/accepted"]
    document["state"].pop("delta", None)
    assert document["state"] == state
    assert {name: set(section) for name, section in document["metadata"].items()} == {
        name: set(section) for name, section in state.items()
    }
    assert document["version"] == len(steps)


def test_the_delta_compares_numbers_by_value_and_nothing_across_kinds():
    for desired, reported, differs in (
        (1, 1.0, False),
        (True, 1, True),
        (0, False, True),
        ([1, {"a": 2}], [1.0, {"a": 2.0}], False),
        ([1], [1, 2], True),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        ({"b": {}}, {"b": 5}, True),
        ({}, {"b": 5}, False),
    ):
        found = seen({"state": {"desired": {"k": desired}, "reported": {"k": reported}}}).delta()
        assert bool(found) == differs, (desired, reported)


def test_only_requests_can_be_published():
    shadows = Shadows(FakeBroker(), ManualClock(START))
    assert shadows.accepts("$aws/things/a/shadow/name/b/delete")
    for topic in (
        "$aws/things/a/shadow/update/accepted",
        "$aws/things/a/shadow/update/delta",
        "$aws/things/a/shadow/name/update",
        "$aws/things/a/b/shadow/update",
        "$aws/things/a/shadow/list",
    ):
        assert not shadows.accepts(topic)
