"""The registry of devices on DynamoDB."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pynamodb.transactions import TransactWrite

from backend.adapters.dynamo import transact, translated
from backend.domain.devices import Device
from backend.domain.search import attribute_terms
from backend.models.devices import DevicesModel
from backend.models.search import SearchModel

TAKEN = "A device of that name is registered."


class DynamoDevices:
    """The registry of devices."""

    def __init__(self, table: str, search_table: str) -> None:
        DevicesModel.bind(table)
        SearchModel.bind(search_table)

    def find(self, thing: str) -> Device | None:
        """Return a device; None if it was never registered."""
        with translated():
            try:
                return load_device(DevicesModel.get(thing, consistent_read=True))
            except DevicesModel.DoesNotExist:
                return None

    def find_many(self, things: Iterable[str]) -> Mapping[str, Device]:
        """Return those of the devices that exist, by thing."""
        with translated():
            return {item.thing: load_device(item) for item in DevicesModel.batch_get(list(things))}

    def add(self, device: Device) -> None:
        """Register a device."""
        row, terms = dump_device(device), attribute_terms(device.attributes)
        if not terms:  # half the price of a transaction
            with translated(TAKEN):
                row.save(DevicesModel.thing.does_not_exist())
            return

        def build(transaction: TransactWrite) -> None:
            transaction.save(row, condition=DevicesModel.thing.does_not_exist())
            for term in terms:
                transaction.save(SearchModel(term, device.thing))

        transact(build, conflict=TAKEN)


def dump_device(device: Device) -> DevicesModel:
    """Return a device as an item."""
    return DevicesModel(
        device.thing,
        type=device.type,
        registered_at=device.registered_at,
        secret_hash=device.secret_hash,
        secret_expires_at=device.secret_expires_at,
        name=device.name,
        attributes=json.dumps(dict(device.attributes)),
        owner=device.owner,
        claimed_at=device.claimed_at,
        room=device.room,
        revoked=device.revoked,
        data_from_ms=device.data_from_ms,
        version=device.version,
        factory=json.dumps(dict(device.factory)),
        firmware=device.firmware,
        firmware_as_of=device.firmware_as_of,
        origin=device.origin,
    )


def load_device(item: DevicesModel) -> Device:
    """Return an item as a device."""
    return Device(
        thing=item.thing,
        type=item.type,
        registered_at=item.registered_at,
        secret_hash=item.secret_hash,
        secret_expires_at=item.secret_expires_at,
        name=item.name,
        attributes=json.loads(item.attributes),
        owner=item.owner,
        claimed_at=item.claimed_at,
        room=item.room,
        revoked=bool(item.revoked),
        data_from_ms=int(item.data_from_ms),
        version=int(item.version),
        factory=json.loads(item.factory),
        firmware=item.firmware,
        firmware_as_of=item.firmware_as_of,
        origin=item.origin,
    )


def device_actions(device: Device) -> list[Any]:
    """Return what makes an item what a device is now; what it runs is no part."""
    values: list[tuple[Any, Any]] = [
        (DevicesModel.type, device.type),
        (DevicesModel.registered_at, device.registered_at),
        (DevicesModel.secret_hash, device.secret_hash),
        (DevicesModel.secret_expires_at, device.secret_expires_at),
        (DevicesModel.name, device.name),
        (DevicesModel.attributes, json.dumps(dict(device.attributes))),
        (DevicesModel.owner, device.owner),
        (DevicesModel.claimed_at, device.claimed_at),
        (DevicesModel.room, device.room),
        (DevicesModel.revoked, device.revoked),
        (DevicesModel.data_from_ms, device.data_from_ms),
        (DevicesModel.version, device.version),
        (DevicesModel.factory, json.dumps(dict(device.factory))),
        (DevicesModel.origin, device.origin),
    ]
    return [path.remove() if value is None else path.set(value) for path, value in values]
