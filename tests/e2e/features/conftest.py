"""Where the feature files run: in the cloud that ``FIELDLINE_FEATURES`` names, or in a local one of this session."""

import json
import sys
from pathlib import Path

import pytest

from infra.local.client_config import write_client_config
from infra.local.cloud import LocalCloud
from tests.e2e.features.steps.configuration import Configuration, given


def describe(cloud: LocalCloud, folder: Path) -> Path:
    """Write down where a local cloud is; return the file."""
    settings = cloud.settings
    app, _ = write_client_config(settings, cloud.outputs, folder)
    command = [sys.executable, "-m", "tests.e2e.features.local_cloud"]
    document = {
        "app": json.loads(app.read_text()),
        "outputs": cloud.outputs,
        "endpoint": settings.endpoint_url,
        "mqtt_port": settings.ports.mqtt,
        "ca": str(settings.state_dir / "ca" / "ca.pem"),
        "operator": {
            "aws_access_key_id": settings.access_key_id,
            "aws_secret_access_key": settings.secret_access_key,
        },
        "local": {name: [*command, name, str(settings.state_dir)] for name in ("inbox", "clock")},
    }
    path = folder / "features.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="session")
def configuration(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """Where the cloud is; started if none is named."""
    named = given()
    if named is None:
        named = describe(request.getfixturevalue("world").cloud, tmp_path_factory.mktemp("configuration"))
    return Configuration.load(named)


@pytest.fixture(autouse=True)
def _skip_what_needs_a_local_cloud(request: pytest.FixtureRequest, configuration: Configuration) -> None:
    if request.node.get_closest_marker("local_only") and not configuration.local:
        pytest.skip("needs the inbox or the clock of a local cloud")
