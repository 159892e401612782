"""The gateway process's private HTTP port: what the front on 4566 hands on for ``iot`` and ``iotdata``."""

from infra.local.iot.control.app import build_app
from infra.local.iot.control.data_plane import DataPlane
from infra.local.iot.control.iot_api import IotApi

__all__ = ["DataPlane", "IotApi", "build_app"]
