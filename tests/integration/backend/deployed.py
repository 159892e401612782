"""The template as it is deployed: what the provisioners ask AWS to make, without an AWS."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.local.config import Settings
from infra.local.template import deploy
from tests.integration.backend.tables import TEMPLATE
from tests.unit.template.conftest import FakeCloud

ARN = "arn:aws:iot:us-east-1:123456789012:"


@dataclass(frozen=True)
class Deployed:
    """What AWS was asked for."""

    cloud: FakeCloud

    def api(self) -> dict[str, Any]:
        """Return the HTTP API's definition: routes, authorizers, CORS."""
        found: dict[str, Any] = json.loads(self.cloud.arguments("import_api")["Body"])
        return found

    def iot_policies(self) -> dict[str, Any]:
        """Return the IoT policies of certificates, by name."""
        made = (call.arguments for call in self.cloud.calls if call.operation == "create_policy")
        return {each["policyName"]: json.loads(each["policyDocument"]) for each in made}

    def phone_role(self) -> Mapping[str, Any]:
        """Return what the role of signed-in phones may do with AWS IoT."""
        made = (call.arguments for call in self.cloud.calls if call.operation == "put_role_policy")
        (live,) = (json.loads(each["PolicyDocument"]) for each in made if each["PolicyName"] == "live")
        return dict(live)


@cache
def deployed(template: Path = TEMPLATE) -> Deployed:
    """Return what deploying the template asks for."""
    cloud = FakeCloud()
    with TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder))
        deploy(template, parameters={}, settings=settings, report=lambda _line: None, clients=cloud)
    return Deployed(cloud)


def statements(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a policy allows, as (action, resource without the account)."""
    for statement in document["Statement"]:
        assert set(statement) == {"Effect", "Action", "Resource"}, statement
        assert statement["Effect"] == "Allow", statement
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            for resource in [resources] if isinstance(resources, str) else resources:
                assert resource.startswith(ARN), resource
                yield action, resource.removeprefix(ARN)
