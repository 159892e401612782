"""Live messages: to those who may see the device, and are connected."""

from collections.abc import Mapping
from typing import Any

from backend.domain.access import Action, user_subject
from backend.ports import Devices, Presences, Publisher
from backend.services.access import Access


class Live:
    """The one way out to phones. Membership is asked here, so that ending a share ends what is seen at once."""

    def __init__(
        self, *, stage: str, access: Access, devices: Devices, presences: Presences, publisher: Publisher
    ) -> None:
        self._stage = stage
        self._access = access
        self._devices = devices
        self._presences = presences
        self._publisher = publisher

    def tell(self, thing: str, kind: str, document: Mapping[str, Any]) -> int:
        """Publish a document about a device on ``live/{stage}/{user}/{kind}``; return to how many people."""
        device = self._devices.find(thing)
        if device is None:
            return 0
        told = 0
        for user in sorted(self._access.people(device, Action.SEE)):
            if any(client.connected for client in self._presences.of_subject(user_subject(user))):
                self._publisher.publish(f"live/{self._stage}/{user}/{kind}", document)
                told += 1
        return told
