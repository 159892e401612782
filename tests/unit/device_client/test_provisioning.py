"""Provisioning by claim over the in-memory connection: what is asked, what is stored, what is left after a no."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from backend.domain.devices import hash_secret
from backend.domain.provisioning import build_proof as backends_proof
from device_client import topics
from device_client.config import ClaimSettings, DeviceSettings
from device_client.connection.memory import MemoryConnection
from device_client.errors import BusyError, ConfigurationError, DeviceError, NotConnectedError, RefusedError
from device_client.features.provisioning import build_proof, provision, try_out
from device_client.store.files import save

CERTIFICATE = "c" * 64
PROVISION = topics.provisioning("dev-fleet")
MADE = {"certificateId": CERTIFICATE, "certificatePem": "new certificate", "certificateOwnershipToken": "token"}
REFUSED = {"statusCode": 403, "errorCode": "ACCESS_DENIED", "errorMessage": "Access Denied"}


def write_claim(folder: Path, **changes: Any) -> Path:
    for name in ("claim.pem", "claim.key", "ca.pem"):
        (folder / name).write_text(name)
    document = {
        "thing": "t-1",
        "type": "thermostat",
        "stage": "dev",
        "endpoint": "localhost",
        "certificate": "claim.pem",
        "private_key": "claim.key",
        "ca": "ca.pem",
        "outbox": "t-1.outbox",
        "telemetry": {"flush_readings": 3},
        **changes,
    }
    path = folder / "claim.json"
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
    return path


class Cloud:
    """Answers requests as AWS IoT does, to whoever subscribed; ``answers`` by topic: outcome and document."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, Any] | None] = {
            topics.CREATE_FROM_CSR: ("accepted", MADE),
            topics.CREATE_KEYS: ("accepted", {**MADE, "privateKey": "their key"}),
            PROVISION: ("accepted", {"deviceConfiguration": {}, "thingName": "t-1"}),
        }
        self.asked: dict[str, Any] = {}
        self.connected: list[tuple[DeviceSettings, str]] = []
        self.open: set[str] = set()

    def connect(self, settings: DeviceSettings, client_id: str) -> "Line":
        self.connected.append((settings, client_id))
        return Line(self, client_id)


class Line(MemoryConnection):
    def __init__(self, cloud: Cloud, client_id: str) -> None:
        super().__init__(self._serve)
        self.cloud, self.client_id = cloud, client_id

    async def start(self) -> None:
        await super().start()
        self.cloud.open.add(self.client_id)

    async def stop(self) -> None:
        await super().stop()
        self.cloud.open.discard(self.client_id)

    def _serve(self, topic: str, payload: bytes) -> None:
        self.cloud.asked[topic] = json.loads(payload)
        answer = self.cloud.answers[topic]
        if answer is not None:
            outcome, document = answer
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.deliver(f"{topic}/{outcome}", body)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


async def provisioned(cloud: Cloud, folder: Path, **changes: Any) -> DeviceSettings:
    claim = ClaimSettings.load(write_claim(folder, **changes))
    return await provision(claim, folder / "device.json", connect=cloud.connect, answer_timeout_s=0.05)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_claim_becomes_an_identity_whose_key_was_made_here(cloud: Cloud, tmp_path: Path):
    own = await provisioned(cloud, tmp_path)
    request = x509.load_pem_x509_csr(cloud.asked[topics.CREATE_FROM_CSR]["certificateSigningRequest"].encode())
    key = load_pem_private_key(own.private_key.read_bytes(), None)
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    assert own.certificate.read_text() == "new certificate"
    assert stat.S_IMODE(own.private_key.stat().st_mode) == 0o600
    assert cloud.asked[PROVISION] == {
        "certificateOwnershipToken": "token",
        "parameters": {"ThingName": "t-1", "DeviceType": "thermostat"},
    }
    assert not cloud.open


async def test_it_asks_with_the_claim_and_comes_back_with_its_own(cloud: Cloud, tmp_path: Path):
    own = await provisioned(cloud, tmp_path)
    await try_out(own, connect=cloud.connect)
    (claimed, claims_id), (owned, owns_id) = cloud.connected
    assert (claims_id, claimed.certificate.name) == ("claim-dev-t-1", "claim.pem")
    assert (owns_id, owned.certificate) == ("t-1", own.certificate)
    assert not cloud.open


async def test_what_is_written_is_the_configuration_it_runs_with(cloud: Cloud, tmp_path: Path):
    own = await provisioned(cloud, tmp_path, secret="s" * 16, template="dev-fleet")
    assert DeviceSettings.load(tmp_path / "device.json") == own
    assert own.telemetry.flush_readings == 3
    assert "s" * 16 not in (tmp_path / "device.json").read_text()


async def test_who_knows_its_secret_proves_it_as_the_backend_reckons(cloud: Cloud, tmp_path: Path):
    await provisioned(cloud, tmp_path, secret="a-secret-on-a-label")
    proof = cloud.asked[PROVISION]["parameters"]["Proof"]
    assert proof == build_proof("t-1", "a-secret-on-a-label", CERTIFICATE)
    assert proof == backends_proof(hash_secret("t-1", "a-secret-on-a-label"), CERTIFICATE)


async def test_the_key_can_be_left_to_aws(cloud: Cloud, tmp_path: Path):
    own = await provisioned(cloud, tmp_path, own_key=False)
    assert own.private_key.read_text() == "their key"
    assert topics.CREATE_FROM_CSR not in cloud.asked


@pytest.mark.parametrize(
    ("topic", "answer", "error", "retryable"),
    [
        (PROVISION, ("rejected", REFUSED), RefusedError, False),
        (PROVISION, ("rejected", {**REFUSED, "statusCode": 500}), BusyError, True),
        (PROVISION, ("rejected", {**REFUSED, "statusCode": 429}), BusyError, True),
        (PROVISION, ("rejected", b"rubbish"), BusyError, True),
        (PROVISION, ("accepted", b"rubbish"), BusyError, True),
        (PROVISION, ("accepted", []), BusyError, True),
        (PROVISION, None, NotConnectedError, True),
        (topics.CREATE_FROM_CSR, ("accepted", {"certificateId": "c"}), BusyError, True),
        (topics.CREATE_FROM_CSR, ("rejected", {**REFUSED, "statusCode": 400}), RefusedError, False),
    ],
)
async def test_after_anything_but_a_yes_nothing_of_the_attempt_stays(
    cloud: Cloud, tmp_path: Path, topic: str, answer: Any, error: type[DeviceError], retryable: bool
):
    cloud.answers[topic] = answer
    with pytest.raises(error) as caught:
        await provisioned(cloud, tmp_path)
    assert caught.value.retryable == retryable
    assert files(tmp_path) == {"claim.json", "claim.pem", "claim.key", "ca.pem"}
    assert not cloud.open


async def test_a_refusal_says_what_the_service_said(cloud: Cloud, tmp_path: Path):
    cloud.answers[PROVISION] = ("rejected", REFUSED)
    with pytest.raises(RefusedError, match="ACCESS_DENIED: Access Denied; is it registered") as caught:
        await provisioned(cloud, tmp_path)
    assert caught.value.reason == 403


async def test_an_identity_in_use_stays_whole_when_another_is_refused(cloud: Cloud, tmp_path: Path):
    own = await provisioned(cloud, tmp_path)
    before = (tmp_path / "device.json").read_text()
    cloud.answers[topics.CREATE_FROM_CSR] = ("accepted", {**MADE, "certificateId": "d" * 64})
    cloud.answers[PROVISION] = ("rejected", REFUSED)
    with pytest.raises(RefusedError):
        await provisioned(cloud, tmp_path)
    assert (tmp_path / "device.json").read_text() == before
    assert DeviceSettings.load(tmp_path / "device.json") == own


async def test_key_and_certificate_are_on_the_disk_before_the_certificate_is_active(cloud: Cloud, tmp_path: Path):
    seen: set[str] = set()

    class Watching(Line):
        def _serve(self, topic: str, payload: bytes) -> None:
            if topic == PROVISION:
                seen.update(files(tmp_path))
            super()._serve(topic, payload)

    claim = ClaimSettings.load(write_claim(tmp_path))
    await provision(claim, tmp_path / "device.json", connect=lambda _, name: Watching(cloud, name))
    name = f"t-1-{CERTIFICATE[:12]}"
    assert {f"{name}.key", f"{name}.pem"} <= seen
    assert "device.json" not in seen


@pytest.mark.parametrize("changes", [{"type": None}, {"stage": None}, {"certificate": "none.pem"}, {"unknown": 1}])
def test_a_claim_that_does_not_fit_is_said_by_name(tmp_path: Path, changes: dict[str, Any]):
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        ClaimSettings.load(write_claim(tmp_path, **changes))


def test_a_file_is_replaced_in_one_step_and_leaves_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "a"
    save(path, "one")
    save(path, "two", private=True)
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files(tmp_path) == {"a"}
