"""The documents in ``backend/device_types``, read once each."""

import json
from pathlib import Path

from backend.domain.device_types import DeviceType, Metric

DOCUMENTS = Path(__file__).resolve().parent.parent / "device_types"


class DeviceTypeDocuments:
    """Device types from files that ship with the code."""

    def __init__(self, documents: Path = DOCUMENTS) -> None:
        self._documents = documents
        self._read: dict[str, DeviceType] = {}

    def find(self, name: str) -> DeviceType | None:
        """Return a type by its name; None if there is none."""
        if name not in self._read:
            known = {path.stem: path for path in self._documents.glob("*.json")}
            if name not in known:
                return None
            self._read[name] = load_device_type(known[name].read_text("utf-8"))
        return self._read[name]


def load_device_type(text: str) -> DeviceType:
    """Return the device type a document describes."""
    document = json.loads(text)
    return DeviceType(
        name=document["name"],
        title=document["title"],
        metrics={
            name: Metric(
                name=name,
                unit=metric["unit"],
                minimum=metric["minimum"],
                maximum=metric["maximum"],
                integer=metric.get("integer", False),
            )
            for name, metric in document["metrics"].items()
        },
        commands=document.get("commands", {}),
        configuration=document.get("configuration", {}),
    )
