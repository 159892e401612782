"""What AWS IoT refuses, as callers are told it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from backend.adapters.iot import IotControl
from backend.errors import ConflictError, FieldlineError, InvalidInputError, UnavailableError


@pytest.fixture
def refusing() -> Iterator[tuple[IotControl, Stubber]]:
    given: Any = {
        "region_name": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }  # pragma: allowlist secret
    data = boto3.client("iot-data", **given)
    with Stubber(data) as stubber:
        yield IotControl(control=boto3.client("iot", **given), data=data), stubber


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("InvalidRequestException", 400, InvalidInputError),
        ("RequestEntityTooLargeException", 413, InvalidInputError),
        ("ConflictException", 409, ConflictError),
        ("ThrottlingException", 429, UnavailableError),
        ("InternalFailureException", 500, UnavailableError),
    ],
)
def test_what_a_shadow_cannot_be_is_for_the_caller_to_mend(
    refusing: tuple[IotControl, Stubber], code: str, status: int, told: type[FieldlineError]
) -> None:
    control, stubber = refusing
    stubber.add_client_error("update_thing_shadow", code, "too deep", http_status_code=status)
    with pytest.raises(told) as refused:
        control.desire("t", None, {"a": 1}, None)
    if told is InvalidInputError:
        assert str(refused.value) == "desired: is no state of a shadow: too deep"


def test_a_revoked_device_keeps_no_certificate_though_one_goes_meanwhile_and_there_are_pages_of_them(
    refusing: tuple[IotControl, Stubber],
) -> None:
    data = refusing[0]._data
    iot = boto3.client(
        "iot",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    arn = "arn:aws:iot:us-east-1:123456789012:cert/"
    gone, kept, later = ("a" * 64, "b" * 64, "c" * 64)
    with Stubber(iot) as stubber:
        first = {"principals": [arn + gone, "us-east-1:an-identity", arn + kept], "nextToken": "n"}
        stubber.add_response("list_thing_principals", first, {"thingName": "t"})
        stubber.add_client_error("update_certificate", "ResourceNotFoundException", http_status_code=404)
        stubber.add_response("update_certificate", {}, {"certificateId": kept, "newStatus": "INACTIVE"})
        rest = {"principals": [arn + later]}
        stubber.add_response("list_thing_principals", rest, {"thingName": "t", "nextToken": "n"})
        stubber.add_response("update_certificate", {}, {"certificateId": later, "newStatus": "INACTIVE"})
        IotControl(control=iot, data=data).deactivate("t")
        stubber.assert_no_pending_responses()
