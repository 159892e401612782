"""The Device Shadow service: a pure engine of documents, served over MQTT and to the data plane."""

from infra.local.iot.shadow.service import Shadows

__all__ = ["Shadows"]
