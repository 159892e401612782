"""Where the feature files run: in the cloud that ``FIELDLINE_FEATURES`` names, or in a local one of this session."""

import json
from pathlib import Path

import pytest

from infra.local.client_config import write_client_config
from infra.local.cloud import LocalCloud
from infra.local.config import ROOT
from tests.e2e.features.steps.configuration import Configuration, given


def describe(cloud: LocalCloud, folder: Path) -> Path:
    """Write down where a local cloud is; return the file."""
    settings = cloud.settings
    app, _ = write_client_config(settings, cloud.outputs, folder)
    command = str(ROOT / "scripts" / "cloud")
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
        "local": {name: [command, name, "--state-dir", str(settings.state_dir)] for name in ("inbox", "clock")},
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
