"""Where the cloud is that the feature files run against: all that they know of it, in one JSON file.

``FIELDLINE_FEATURES`` names the file; without it the session starts a local cloud and writes one. For a real account::

    {"app": {…the document of amplify_outputs.json…},
     "outputs": {…the outputs of the deployed template…},
     "email": "success+{name}@simulator.amazonses.com"}

``app`` is what ``scripts/cloud client-config`` writes. What is left out is AWS's own: endpoints, the system's CAs, the
operator's credentials as boto3 finds them. Without ``local``, what needs the inbox or the clock is skipped.
"""

import json
import os
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "FIELDLINE_FEATURES"
MQTT_PORT = 8883


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One cloud, local or AWS."""

    app: dict[str, Any]
    """What a phone app is configured with: ``amplify_outputs.json``."""
    outputs: dict[str, str]
    """Of the template, for who acts as operator."""
    endpoint: str | None = None
    """Of every AWS API; AWS's own if not given."""
    mqtt_port: int = MQTT_PORT
    ca: str | None = None
    """File of the CA that signed the broker's certificate; the system's CAs if not given."""
    operator: dict[str, str] = field(default_factory=dict)
    """``aws_access_key_id`` and so on; as boto3 finds them if not given."""
    email: str = "{name}@example.com"
    """An address that takes mail: the simulator's, on AWS."""
    local: dict[str, list[str]] | None = None
    """The commands ``inbox`` and ``clock`` of a local cloud."""

    @classmethod
    def load(cls, path: Path) -> "Configuration":
        return cls(**json.loads(path.read_text()))

    @property
    def region(self) -> str:
        return str(self.app["auth"]["aws_region"])

    @property
    def stage(self) -> str:
        return str(self.app["custom"]["stage"])

    @property
    def api_url(self) -> str:
        return str(self.app["custom"]["api_url"])

    @property
    def broker(self) -> str:
        """The host of AWS IoT, where mutual TLS is on ``mqtt_port``."""
        return str(self.app["custom"]["iot_endpoint"]).partition(":")[0]

    @property
    def live_port(self) -> int:
        return int(str(self.app["custom"]["iot_endpoint"]).partition(":")[2] or 443)

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)

    def run(self, command: str, *arguments: str) -> str:
        """Run a command of the local cloud, return what it prints."""
        assert self.local, f"{command} is there on a local cloud only: tag the scenario @local_only"
        return subprocess.run(
            [*self.local[command], *arguments], capture_output=True, text=True, check=True, timeout=120
        ).stdout


def given() -> Path | None:
    """Return the configuration that the environment names."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None
