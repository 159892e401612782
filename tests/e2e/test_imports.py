"""A manufacturer's list dropped in S3, on the whole local cloud."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.clock import SharedClock
from scripts.main_job.phone import Phone
from tests.e2e.conftest import World
from tests.e2e.test_permissions import without

pytestmark = pytest.mark.e2e
WAIT_S = 60.0
SPARED_S = 30
"""What the function leaves of an invocation when it hands over to the next."""
SECRET = "a-secret-on-a-label"


def drop(world: World, key: str, body: bytes) -> None:
    s3: Any = world.operator.client("s3")
    s3.put_object(Bucket=world.outputs["ImportsBucketName"], Key=key, Body=body)


def report(world: World, key: str) -> Any:
    """Return the report on a file, once it is written."""
    s3: Any = world.operator.client("s3")
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            found = s3.get_object(Bucket=world.outputs["ImportsBucketName"], Key=f"{key}.report.json")
            return json.loads(found["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey" or time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def await_refusal(world: World) -> None:
    """Return once the function has failed for want of a permission."""
    log = world.cloud.settings.state_dir / "logs" / f"fieldline-{world.cloud.settings.stage}-imports.log"
    deadline = time.monotonic() + WAIT_S
    while "is not authorized to perform: dynamodb:PutItem" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_good_rows_go_in_bad_ones_are_reported_and_a_phone_claims_what_came_in(world: World, phone: Phone) -> None:
    key = "devices/batch 7, Ä.csv"
    rows = f"\ufeffthing,type,secret,attribute.site\r\ne2e-1,thermostat,{SECRET},Oslo\r\ne2e-2,toaster,{SECRET},\r\n"
    drop(world, key, rows.encode())
    found = report(world, key)
    assert (found["status"], found["imported"], found["bad"]) == ("imported", 1, 1)
    assert found["problems"] == [{"line": 3, "field": "type", "reason": "toaster is not a device type"}]
    status, device = world.http("POST", "/v1/devices/claim", phone.token, {"thing": "e2e-1", "secret": SECRET})
    assert (status, device["attributes"]) == (200, {"site": "Oslo"})
    assert world.http("POST", "/v1/devices/claim", phone.token, {"thing": "e2e-2", "secret": SECRET})[0] == 403


def test_windows_spreadsheets_name_their_files_in_capitals(world: World) -> None:
    drop(world, "devices/LIST.CSV", f"THING;TYPE;SECRET\r\ne2e-3;thermostat;{SECRET}\r\n".encode())
    assert report(world, "devices/LIST.CSV")["imported"] == 1


def test_a_failure_is_tried_again_and_goes_on_where_it_stopped(world: World) -> None:
    rows = "".join(f"e2e-4-{number},thermostat,{SECRET}\n" for number in range(20))
    with without(world, "ImportsFunction", "dynamodb:PutItem", "-devices"):
        drop(world, "devices/later.csv", b"thing,type,secret\n" + rows.encode())
        await_refusal(world)
        s3: Any = world.operator.client("s3")
        listed = s3.list_objects_v2(Bucket=world.outputs["ImportsBucketName"], Prefix="devices/later")
        assert [each["Key"] for each in listed["Contents"]] == ["devices/later.csv"]
    clock = SharedClock(world.cloud.settings.state_dir)
    clock.move(timedelta(seconds=90))  # Lambda tries again after a minute
    try:
        assert report(world, "devices/later.csv")["imported"] == 20
    finally:
        clock.move(timedelta(seconds=-90))


def test_it_goes_on_in_invocation_after_invocation_when_time_runs_out(world: World) -> None:
    """Give it a second an invocation, which is what its time-out is longer than what it spares."""
    lambda_: Any = world.operator.client("lambda")
    name = f"fieldline-{world.cloud.settings.stage}-imports"
    rows = "".join(f"e2e-5-{number},thermostat,{SECRET}\n" for number in range(1_500))
    lambda_.update_function_configuration(FunctionName=name, Timeout=SPARED_S + 1)
    try:
        drop(world, "devices/long.csv", b"thing,type,secret\n" + rows.encode())
        found = report(world, "devices/long.csv")
    finally:
        lambda_.update_function_configuration(FunctionName=name, Timeout=900)
    assert (found["imported"], found["unchanged"], found["bad"]) == (1_500, 0, 0)
    state: Any = world.operator.client("dynamodb").get_item(
        TableName=world.outputs["ImportsTableName"],
        Key={"file": {"S": f"{world.outputs['ImportsBucketName']}/devices/long.csv"}},
    )["Item"]
    checkpoints = int(state["revision"]["N"])
    assert checkpoints > 1_500 // 500 + 3, "it took one invocation: give it more rows"
