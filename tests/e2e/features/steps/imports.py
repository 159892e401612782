"""C4 the manufacturer's list."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pytest_bdd import step, then, when

from tests.e2e.features.steps.scene import Scene, says
from tests.e2e.features.steps.things import wait_for

ORDER = {"first": 0, "second": 1, "third": 2}
IMPORT_S = 60.0


@dataclass
class Shipment:
    """Devices that a manufacturer made, and the files that name them."""

    operator: Any
    bucket: str
    devices: list[tuple[str, str]] = field(default_factory=list)
    key: str = ""

    def drop(self, text: str) -> None:
        self.key = f"devices/{secrets.token_hex(6)}.csv"
        self.operator.client("s3").put_object(Bucket=self.bucket, Key=self.key, Body=text.encode())

    def drop_list(self, types: list[str]) -> None:
        rows = [f"{thing},{kind},{secret}" for (thing, secret), kind in zip(self.devices, types, strict=True)]
        self.drop("\n".join(["thing,type,secret", *rows, ""]))

    def report(self) -> Any:
        """Return the report beside the file, once it is written."""
        found = wait_for("the report on the list", self._find_report, within_s=IMPORT_S)
        return json.loads(found["Body"].read())

    def _find_report(self) -> Any:
        try:
            return self.operator.client("s3").get_object(Bucket=self.bucket, Key=f"{self.key}.report.json")
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None


@pytest.fixture
def shipment(scene: Scene) -> Shipment:
    return Shipment(scene.operator, scene.configuration.outputs["ImportsBucketName"])


@step(says("the manufacturer drops a list of {count:d} devices, the second of an unknown type"))
def drops_a_list(shipment: Shipment, count: int) -> None:
    shipment.devices = [(f"listed-{secrets.token_hex(6)}", secrets.token_urlsafe(16)) for _ in range(count)]
    shipment.drop_list(["thermostat", "toaster", *["thermostat"] * (count - 2)])


@when("the manufacturer drops the list again, mended")
def drops_the_mended_list(shipment: Shipment) -> None:
    shipment.drop_list(["thermostat"] * len(shipment.devices))


@when(says('the manufacturer drops a file with the columns "{columns}"'))
def drops_no_list(shipment: Shipment, columns: str) -> None:
    shipment.drop(f"{columns}\na,b\n")


@step(says("the report counts {imported:d} imported, {unchanged:d} unchanged and {bad:d} bad"))
def report_counts(shipment: Shipment, imported: int, unchanged: int, bad: int) -> None:
    report = shipment.report()
    assert (report["imported"], report["unchanged"], report["bad"]) == (imported, unchanged, bad), report


@then(says('the report names line {line:d} and the field "{name}"'))
def report_names(shipment: Shipment, line: int, name: str) -> None:
    assert [(problem["line"], problem["field"]) for problem in shipment.report()["problems"]] == [(line, name)]


@then("the file is refused")
def file_is_refused(shipment: Shipment) -> None:
    report = shipment.report()
    assert (report["status"], report["rows"]) == ("refused", 0)
    assert report["problems"]


@step(says("{who:w} claims the {which:w} device of the list by the secret on its label"))
def claims_listed(scene: Scene, shipment: Shipment, who: str, which: str) -> None:
    thing, secret = shipment.devices[ORDER[which]]
    scene.take(scene.person(who).call("POST", "/v1/devices/claim", {"thing": thing, "secret": secret}))


@then(says("{who:w} still owns the {which:w} device of the list"))
def still_owns(scene: Scene, shipment: Shipment, who: str, which: str) -> None:
    assert scene.person(who).ask("GET", f"/v1/devices/{shipment.devices[ORDER[which]][0]}")["role"] == "owner"
