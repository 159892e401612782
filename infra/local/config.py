"""Settings of one running local cloud: ports, names, where its files are. The only reader of the environment here."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

ACCOUNT_ID = "123456789012"
ROOT = Path(__file__).resolve().parents[2]
STATE_DIR_VARIABLE = "FIELDLINE_STATE_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports, all on 127.0.0.1. Below 32768, so that no outgoing connection of the machine can hold one."""

    aws: int = 4566
    """Every AWS API."""
    mqtt: int = 8883
    """MQTT over mutual TLS."""
    https: int = 8443
    """What AWS serves on 443: ALPN MQTT, WebSocket, HTTPS publish and data plane."""
    http_api: int = 8080
    """The HTTP API."""
    gateway: int = 4567
    """Between the local cloud's own processes: the gateway's control plane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One local cloud. Written to ``settings.json`` in the state directory by the supervisor, read by every process."""

    state_dir: Path
    ports: Ports = field(default_factory=Ports)
    region: str = "us-east-1"
    stage: str = "dev"
    access_key_id: str = "AKIAFIELDLINELOCAL00"
    secret_access_key: str = "local"
    """Of the account's owner, whom no policy limits; random at each start."""
    service_secret: str = "local"
    """Of AWS's own services (``iot.amazonaws.com``) calling one another between our processes; random at each start."""
    iam: bool = True
    workers: int = 8
    """Lambda environments alive at once."""

    @property
    def endpoint_url(self) -> str:
        """Where every AWS API is served."""
        return f"http://127.0.0.1:{self.ports.aws}"

    def save(self) -> None:
        """Write the settings for the other processes; the file holds secrets and is readable by its owner only."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        path = self.state_dir / "settings.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def load(cls, state_dir: Path) -> "Settings":
        """Return the settings of the local cloud that lives in ``state_dir``.

        Raises:
            FileNotFoundError: no local cloud was started there.
        """
        raw = json.loads((state_dir / "settings.json").read_text())
        return cls(**{**raw, "state_dir": Path(raw["state_dir"]), "ports": Ports(**raw["ports"])})


def state_dir() -> Path:
    """Return where the local cloud keeps its files: ``.fieldline`` in the project, or ``FIELDLINE_STATE_DIR``."""
    return Path(os.environ.get(STATE_DIR_VARIABLE, ROOT / ".fieldline"))  # noqa: TID251 - the config module


def forget_client_environment() -> None:
    """Drop what points clients elsewhere: profile, keys, endpoints and proxies of whoever started this process."""
    for name in list(os.environ):  # noqa: TID251 - the config module
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]  # noqa: TID251 - the config module
