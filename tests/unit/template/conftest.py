"""A cloud that answers every call with what its output needs and keeps what it was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, StructureShape

from infra.local.config import Settings
from infra.local.template import Stack, deploy
from infra.local.template.provision import Clients

_SESSION = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
_REAL: dict[str, Any] = {}


@dataclass
class Call:
    operation: str
    arguments: dict[str, Any]


@dataclass
class FakeCloud(Clients):
    """Checks arguments as boto3 does, echoes them, fills in the rest; ``fails`` maps operations to error codes."""

    calls: list[Call] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in _REAL:
            _REAL[service] = _SESSION.client(service)  # type: ignore[call-overload]  # any service
        return _FakeClient(self, _REAL[service])

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    def arguments(self, operation: str) -> dict[str, Any]:
        return next(call.arguments for call in self.calls if call.operation == operation)


class _FakeClient:
    def __init__(self, cloud: FakeCloud, real: Any) -> None:
        self._cloud, self._real, self.meta = cloud, real, real.meta

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        model = self.meta.service_model.operation_model(self.meta.method_to_api_mapping[operation])

        def call(**arguments: Any) -> dict[str, Any]:
            # botocore's own validation and serialisation: a missing or mistyped argument is an error here too
            self._real._convert_to_request_dict(arguments, model, endpoint_url="http://none", context={})
            self._cloud.calls.append(Call(operation, json.loads(json.dumps(arguments, default=str))))
            if operation in self._cloud.fails:
                raise ClientError({"Error": {"Code": self._cloud.fails[operation], "Message": "planted"}}, operation)
            if operation in self._cloud.answers:
                return self._cloud.answers[operation]
            return (
                {}
                if model.output_shape is None
                else _filled(model.output_shape, str(len(self._cloud.calls)), _leaves(arguments))
            )

        return call


def _leaves(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    found = {name.lower(): entry for name, entry in value.items() if isinstance(entry, str)}
    for entry in value.values():
        found = {**_leaves(entry), **found}
    return found


def _filled(shape: Any, mark: str, given: dict[str, str], name: str = "") -> Any:
    """Return an answer of ``shape``: what was given where the names agree, else a text with the mark of this call."""
    if isinstance(shape, StructureShape):
        return {member: _filled(inner, mark, given, member) for member, inner in shape.members.items()}
    if isinstance(shape, ListShape | MapShape):
        return [] if isinstance(shape, ListShape) else {}
    return given.get(name.lower(), f"the-{name}-{mark}".ljust(36, "-")) if shape.type_name == "string" else 0


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


@dataclass
class Deployer:
    cloud: FakeCloud
    settings: Settings
    lines: list[str] = field(default_factory=list)

    def __call__(self, template: dict[str, Any] | str, **parameters: str) -> Stack:
        """Deploy resources, or a whole template, or one written in YAML; ``lines`` holds the report of this deploy."""
        path = self.settings.state_dir / "template.yaml"
        if isinstance(template, str):
            path.write_text(template)
        else:
            path.write_text(json.dumps(template if "Resources" in template else {"Resources": template}))
        self.lines.clear()
        self.cloud.calls.clear()
        return deploy(path, parameters=parameters, settings=self.settings, report=self.lines.append, clients=self.cloud)


@pytest.fixture
def deployed(cloud: FakeCloud, tmp_path: Path) -> Deployer:
    return Deployer(cloud, Settings(state_dir=tmp_path))
