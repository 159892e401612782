"""Fleet provisioning: templates, the pre-provisioning hook, and the MQTT requests of devices that hold a claim."""

from infra.local.iot.provisioning.hook import LambdaHook
from infra.local.iot.provisioning.service import Provisioning

__all__ = ["LambdaHook", "Provisioning"]
