"""A device's configuration is right or refused with the cause."""

import json

import pytest

from device_client.config import ClaimSettings, DeviceSettings
from device_client.errors import ConfigurationError


def _write(folder, **changes):
    for name in ("t.pem", "t.key", "ca.pem"):
        (folder / name).write_text("x")
    document = {
        "thing": "t", "stage": "dev", "endpoint": "127.0.0.1",
        "certificate": "t.pem", "private_key": "t.key", "ca": "ca.pem", "outbox": "t.outbox", **changes,
    }  # fmt: skip
    path = folder / "device.json"
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
    return path


def test_paths_count_from_the_files_own_directory(tmp_path):
    settings = DeviceSettings.load(_write(tmp_path, telemetry={"flush_readings": 3}))
    assert settings.certificate == tmp_path / "t.pem"
    assert settings.outbox == tmp_path / "t.outbox"
    assert settings.telemetry.flush_readings == 3
    assert settings.port == 8883


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"thing": None}, '"thing" is missing'),
        ({"colour": "red"}, '"colour" is unknown'),
        ({"ca": None, "hue": 1}, '"ca" is missing, "hue" is unknown'),
        ({"telemetry": {"flush": 3}}, '"flush" is unknown'),
        ({"port": "8883"}, '"port" must be a whole number'),
        ({"port": True}, '"port" must be a whole number'),
        ({"thing": 5}, '"thing" must be a text'),
        ({"telemetry": {"flush_after_s": "soon"}}, '"flush_after_s" must be a number'),
        ({"certificate": "absent.pem"}, "absent.pem"),
        ({"telemetry": 5}, "device configuration"),
    ],
)
def test_what_is_missing_unknown_or_absent_is_named(tmp_path, changes, named):
    with pytest.raises(ConfigurationError, match=named):
        DeviceSettings.load(_write(tmp_path, **changes))


def test_what_is_not_json_is_refused(tmp_path):
    path = tmp_path / "device.json"
    path.write_text("thing: t")
    with pytest.raises(ConfigurationError, match="device configuration"):
        DeviceSettings.load(path)


def test_a_claim_says_what_it_lacks(tmp_path):
    with pytest.raises(ConfigurationError, match='"type" is missing'):
        ClaimSettings.load(_write(tmp_path))
    with pytest.raises(ConfigurationError, match='"private_key" is missing'):
        ClaimSettings.load(_write(tmp_path, type="thermostat", private_key=None))
    path = tmp_path / "claim.json"
    path.write_text("[]")
    with pytest.raises(ConfigurationError, match="it is not a JSON object"):
        ClaimSettings.load(path)
