"""What a factory and an operator do: things, certificates, claim secrets."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from device_client.config import DeviceSettings, TelemetrySettings
from infra.local import config
from infra.local.cloud import CloudError

DEVICE_TYPE = "thermostat"
REGISTER_AT_ONCE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A provisioned device: what stands on its flash, and on the sticker on its back."""

    settings: DeviceSettings
    secret: str


class Operator:
    """Does what a factory and an operator do, with the account's own credentials."""

    def __init__(self, settings: config.Settings, outputs: dict[str, str]) -> None:
        self._settings = settings
        self._outputs = outputs
        self._session = boto3.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            region_name=settings.region,
        )

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local cloud."""
        return self._session.client(service, endpoint_url=self._settings.endpoint_url)  # type: ignore[call-overload]  # the name is a variable

    def provision(self, things: Iterable[str], telemetry: TelemetrySettings, folder: Path) -> list[Device]:
        """Make things with certificates of their own, attach the fleet's policy, register the claim secrets."""
        iot, functions = self.client("iot"), self.client("lambda")
        endpoint = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"].partition(":")[0]
        devices = []
        for thing, secret in self._register(functions, list(things)).items():
            certificate, private_key = self._make_identity(iot, thing, folder)
            settings = DeviceSettings(
                thing=thing,
                stage=self._settings.stage,
                endpoint=endpoint,
                port=self._settings.ports.mqtt,
                ca=self._settings.state_dir / "ca" / "ca.pem",
                outbox=folder / f"{thing}.outbox",
                telemetry=telemetry,
                certificate=certificate,
                private_key=private_key,
            )
            devices.append(Device(settings=settings, secret=secret))
        return devices

    def _make_identity(self, iot: Any, thing: str, folder: Path) -> tuple[Path, Path]:
        iot.create_thing(thingName=thing, thingTypeName=self._outputs["ThermostatTypeName"])
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_policy(policyName=self._outputs["DevicePolicyName"], target=made["certificateArn"])
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        certificate, key = folder / f"{thing}.pem", folder / f"{thing}.key"
        certificate.write_text(made["certificatePem"])
        key.touch(mode=0o600)
        key.write_text(made["keyPair"]["PrivateKey"])
        return certificate, key

    def _register(self, functions: Any, things: list[str]) -> dict[str, str]:
        """Return the claim secret of each thing: what stands on the sticker on its back."""
        secrets: dict[str, str] = {}
        for first in range(0, len(things), REGISTER_AT_ONCE):
            wanted = [{"thing": thing, "type": DEVICE_TYPE} for thing in things[first : first + REGISTER_AT_ONCE]]
            document = json.dumps({"operation": "register", "devices": wanted})
            answer = functions.invoke(FunctionName=self._outputs["RegistryFunctionName"], Payload=document)
            payload = answer["Payload"].read().decode()
            if "FunctionError" in answer:
                raise CloudError(f"registering devices failed: {payload}")
            for device in json.loads(payload)["devices"]:
                if "claim_secret" not in device:
                    raise CloudError(f"registering a device failed: {device}")
                secrets[device["thing"]] = device["claim_secret"]
        return secrets
