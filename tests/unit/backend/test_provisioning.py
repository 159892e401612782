"""The pre-provisioning hook: it lets in what an operator registered, and nothing else."""

from typing import Any

import pytest

from backend.domain.devices import hash_secret, is_thing_name
from backend.domain.provisioning import ProvisioningRequest, build_proof
from backend.errors import ForbiddenError, InvalidInputError, UnavailableError
from backend.handlers import provisioning_hook
from backend.schemas.provisioning import load_hook
from backend.services.presence import subject_of
from backend.services.provisioning import AllowList
from tests.unit.backend.examples import SECRET, device
from tests.unit.backend.fakes import FakeDevices, RecordingLog

CERTIFICATE = "c" * 64
PROOF = build_proof(hash_secret("t1", SECRET), CERTIFICATE)


def request(**changes: Any) -> ProvisioningRequest:
    values: dict[str, Any] = {"thing": "t1", "type": "thermostat", "certificate": CERTIFICATE}
    return ProvisioningRequest(**{**values, **changes})


def event(**parameters: Any) -> dict[str, Any]:
    """What AWS IoT sends, as the page "Pre-provisioning hooks" shows it."""
    return {
        "claimCertificateId": "a" * 64,
        "certificateId": CERTIFICATE,
        "certificatePem": "-----BEGIN CERTIFICATE-----",
        "templateArn": "arn:aws:iot:us-east-1:123456789012:provisioningtemplate/dev-fleet",
        "clientId": "claim-dev-t1",
        "parameters": {"ThingName": "t1", "DeviceType": "thermostat", **parameters},
    }


class Door:
    def __init__(self, *, proof_required: bool = False) -> None:
        self.devices = FakeDevices()
        self.devices.add(device())
        self.log = RecordingLog()
        self.list = AllowList(stage="dev", devices=self.devices, proof_required=proof_required, log=self.log)


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_registered_device_is_let_in_with_the_thing_type_of_its_stage(door: Door) -> None:
    assert door.list.admit(request()) == {"ThingTypeName": "dev-thermostat"}
    assert door.log.lines == [("provisioned", {"thing": "t1", "certificate": CERTIFICATE, "proved": False})]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"thing": "t2"}, "not registered"),
        ({"type": "lamp"}, "registered as a thermostat"),
        ({"proof": PROOF[:-1] + ("0" if PROOF[-1] != "0" else "1")}, "wrong proof"),
        ({"proof": "ä"}, "wrong proof"),
        ({"proof": PROOF, "certificate": "d" * 64}, "wrong proof"),
    ],
)
def test_everything_else_is_refused(door: Door, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ForbiddenError, match=reason):
        door.list.admit(request(**changes))


def test_a_revoked_device_stays_out_even_with_a_proof(door: Door) -> None:
    door.devices.rows["t1"] = device(revoked=True)
    with pytest.raises(ForbiddenError, match="revoked"):
        door.list.admit(request(proof=PROOF))


def test_a_proof_is_needed_where_the_stage_says_so() -> None:
    door = Door(proof_required=True)
    with pytest.raises(ForbiddenError, match="no proof"):
        door.list.admit(request())
    assert door.list.admit(request(proof=PROOF))


def test_an_owned_device_may_come_back_with_a_new_identity(door: Door) -> None:
    door.devices.rows["t1"] = device(owner="ann")
    assert door.list.admit(request(proof=PROOF))


def test_an_event_becomes_a_request_and_what_aws_may_add_is_no_fault() -> None:
    assert load_hook({**event(Proof=PROOF, ThingTypeName="mine"), "new": 1}) == request(proof=PROOF)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "certificateId"),
        ({**event(), "parameters": None}, "parameters"),
        ({**event(), "parameters": {"ThingName": "t1"}}, "parameters.DeviceType"),
        (event(ThingName="a/b"), "parameters.ThingName"),
        (event(ThingName=1), "parameters.ThingName"),
        (event(DeviceType=""), "parameters.DeviceType"),
        (event(Proof="x" * 65), "parameters.Proof"),
        ("rubbish", "body"),
    ],
)
def test_an_event_that_is_none_names_its_field(document: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_hook(document)
    assert field in [violation.field for violation in caught.value.violations]


class Composed:
    """A composition root with fakes in it."""

    def __init__(self, door: Door) -> None:
        self.allow_list = lambda: door.list
        self.log = lambda: door.log


@pytest.fixture
def hook(door: Door, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(provisioning_hook, "bootstrap", Composed(door))
    return door


def test_the_hook_answers_in_awss_form(hook: Door) -> None:
    assert provisioning_hook.handler(event(), None) == {
        "allowProvisioning": True,
        "parameterOverrides": {"ThingTypeName": "dev-thermostat"},
    }


@pytest.mark.parametrize("asked", [event(ThingName="t2"), event(DeviceType="lamp"), event(ThingName="../t1"), {}])
def test_the_hook_says_no_alike_and_the_log_says_why(hook: Door, asked: dict[str, Any]) -> None:
    assert provisioning_hook.handler(asked, None) == {"allowProvisioning": False}
    ((line, fields),) = hook.log.lines
    assert line == "not provisioned"
    assert fields["reason"]


def test_a_table_out_of_reach_is_an_error_and_not_a_yes(hook: Door) -> None:
    def find(thing: str) -> None:
        raise UnavailableError("no table")

    hook.devices.find = find
    with pytest.raises(UnavailableError):
        provisioning_hook.handler(event(), None)


def test_devices_with_a_claim_are_no_things_and_have_no_presence() -> None:
    assert not is_thing_name("claim-dev-t1")
    assert subject_of("claim-dev-t1") is None
