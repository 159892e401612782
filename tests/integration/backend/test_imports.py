"""A list of devices dropped in S3, the whole function: S3 and DynamoDB in moto."""

import json
import os
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest

from backend import bootstrap
from backend.domain.imports import Progress
from backend.errors import ConflictError
from backend.handlers import imports, provisioning_hook
from tests.integration.backend.world import World

BUCKET = "imports"
SECRET = "a-secret-on-a-label"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:fieldline-dev-imports"


@pytest.fixture
def s3(world: World) -> Any:
    assert world
    client: Any = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the function asked Lambda to invoke later."""
    asked: list[tuple[str, str]] = []
    invoker = SimpleNamespace(invoke_later=lambda arn, event: asked.append((arn, event)))
    monkeypatch.setattr(bootstrap, "invoker", lambda: invoker)
    return asked


def drop(s3: Any, text: str, key: str, sequencer: str = "0055AED6DCD90281E5") -> dict[str, Any]:
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())["ETag"].strip('"')
    found = {"key": quote_plus(key, safe="/"), "size": len(text.encode()), "eTag": etag, "sequencer": sequencer}
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": found}}]}


def context(*left_ms: int) -> Any:
    """Return a context whose time runs out as told; the last figure stays."""
    told = list(left_ms)
    remaining = lambda: told.pop(0) if len(told) > 1 else told[0]  # noqa: E731 - a line says it
    return SimpleNamespace(get_remaining_time_in_millis=remaining, invoked_function_arn=ARN)


def test_a_list_is_imported_and_what_it_names_is_let_in(world: World, s3: Any) -> None:
    key = "devices/batch 7 (ä).csv"
    text = f"thing,type,secret,attribute.site\nimp-1,thermostat,{SECRET},Oslo\nimp-2,toaster,{SECRET},\n"
    assert imports.handler(drop(s3, text, key), context(900_000)) == {"imported": 1}
    report = json.load(s3.get_object(Bucket=BUCKET, Key=f"{key}.report.json")["Body"])
    assert (report["imported"], report["bad"]) == (1, 1)
    assert report["problems"] == [{"line": 3, "field": "type", "reason": "toaster is not a device type"}]
    hook = {"certificateId": "c", "parameters": {"ThingName": "imp-1", "DeviceType": "thermostat"}}
    assert provisioning_hook.handler(hook, None)["allowProvisioning"]
    hook["parameters"] = {"ThingName": "imp-2", "DeviceType": "thermostat"}
    assert not provisioning_hook.handler(hook, None)["allowProvisioning"]
    ann = world.person("ann")
    claimed = ann("POST", "/v1/devices/claim", {"thing": "imp-1", "secret": SECRET})
    assert claimed.json["attributes"] == {"site": "Oslo"}


def test_it_goes_on_in_another_invocation_before_time_runs_out(s3: Any, later: list[tuple[str, str]]) -> None:
    things = [f"long-{number}" for number in range(7)]
    text = "thing,type,secret\n" + "".join(f"{thing},thermostat,{SECRET}\n" for thing in things)
    event = drop(s3, text, "devices/long.csv")
    runs = 0
    while event:
        runs += 1
        imports.handler(event, context(900_000, 20_000))
        event = {}
        if later:
            arn, following = later.pop()
            assert arn == ARN
            event = json.loads(following)
    assert runs == 4
    report = json.load(s3.get_object(Bucket=BUCKET, Key="devices/long.csv.report.json")["Body"])
    assert report["imported"] == len(things)
    state = boto3.client("dynamodb").get_item(
        TableName=os.environ["IMPORTS_TABLE"], Key={"file": {"S": f"{BUCKET}/devices/long.csv"}}
    )["Item"]
    assert state["done"] == {"BOOL": True}


def test_a_file_that_was_deleted_or_replaced_is_not_waited_for(s3: Any) -> None:
    event = drop(s3, f"thing,type,secret\ngone-1,thermostat,{SECRET}\n", "devices/gone.csv")
    s3.put_object(Bucket=BUCKET, Key="devices/gone.csv", Body=b"something else")
    assert imports.handler(event, context(900_000)) == {"imported": 1}
    s3.delete_object(Bucket=BUCKET, Key="devices/gone.csv")
    assert imports.handler(event, context(900_000)) == {"imported": 1}
    assert bootstrap.parts.devices().find("gone-1") is None


def test_an_empty_file_is_reported(s3: Any) -> None:
    imports.handler(drop(s3, "", "devices/empty.csv"), context(900_000))
    report = json.load(s3.get_object(Bucket=BUCKET, Key="devices/empty.csv.report.json")["Body"])
    assert (report["status"], report["problems"][0]["reason"]) == ("refused", "has no header in its first line")


def test_a_checkpoint_whose_answer_was_lost_is_still_ones_own(s3: Any) -> None:
    book = bootstrap.imports()._progress
    place = f"{BUCKET}/devices/lost-answer.csv"
    first = book.put(Progress(file=place, sequencer="01", revision=0), was=None)
    assert book.put(Progress(file=place, sequencer="01", revision=0), was=None) == first
    with pytest.raises(ConflictError):
        book.put(Progress(file=place, sequencer="02", revision=0), was=None)
