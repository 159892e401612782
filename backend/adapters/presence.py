"""Who is connected, on DynamoDB."""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from backend.adapters.dynamo import translated
from backend.domain.access import device_subject, name_of
from backend.domain.paging import Page
from backend.domain.presence import Presence
from backend.models.items import PresenceModel

SHARDS = 8
"""Of each of the two keys of the index, so that a fleet that comes back all at once does not meet in one partition."""


class DynamoPresences:
    """What is known of MQTT clients."""

    def __init__(self, table: str) -> None:
        PresenceModel.bind(table)

    def find(self, subject: str, client: str) -> Presence | None:
        """Return what is known of one client. Read consistently."""
        with translated():
            try:
                return _load(PresenceModel.get(subject, client, consistent_read=True))
            except PresenceModel.DoesNotExist:
                return None

    def of_subject(self, subject: str) -> Sequence[Presence]:
        """Return what is known of all clients of a person, or the one of a device."""
        with translated():
            return [_load(item) for item in PresenceModel.query(subject)]

    def find_many(self, things: Iterable[str]) -> Mapping[str, Presence]:
        """Return what is known of devices, by thing."""
        keys = [(device_subject(thing), thing) for thing in things]
        with translated():
            return {name_of(item.subject): _load(item) for item in PresenceModel.batch_get(keys)}

    def put(self, presence: Presence, *, was: int | None) -> None:
        """Write what is known now."""
        row = PresenceModel(
            presence.subject,
            presence.client,
            session=presence.session,
            version=presence.version,
            connected=presence.connected,
            changed_at=presence.changed_at,
            reason=presence.reason,
            connection=_connection(presence),
            connects=json.dumps([at.isoformat() for at in presence.connects]),
            revision=presence.revision,
        )
        condition = PresenceModel.subject.does_not_exist() if was is None else PresenceModel.revision == was
        with translated():
            row.save(condition)

    def devices_by_connection(
        self, *, connected: bool, after: datetime | None, until: datetime | None, limit: int, position: Any
    ) -> Page[tuple[str, Any]]:
        """Return devices that are connected, or away, since an instant or until one; shard by shard."""
        shard, key = position or [0, None]
        found: list[tuple[str, Any]] = []
        condition = None
        if after is not None:
            condition = PresenceModel.changed_at >= after
        elif until is not None:
            condition = PresenceModel.changed_at < until
        while shard < SHARDS and len(found) < limit:
            with translated():
                results = PresenceModel.by_connection.query(
                    _partition(connected=connected, shard=shard),
                    condition,
                    limit=limit - len(found),
                    last_evaluated_key=key,
                )
                found += [(name_of(item.subject), [shard, _key(item)]) for item in results]
            key = results.last_evaluated_key
            if key is None:
                shard += 1
        return Page(items=found, after=[shard, key] if shard < SHARDS else None)

    def remove_all(self, subject: str) -> None:
        """Forget all clients of a subject."""
        with translated(), PresenceModel.batch_write() as batch:
            for row in PresenceModel.query(subject):
                batch.delete(row)


def _connection(presence: Presence) -> str | None:
    if presence.subject != device_subject(presence.client):
        return None
    return _partition(connected=presence.connected, shard=zlib.crc32(presence.client.encode()) % SHARDS)


def _partition(*, connected: bool, shard: int) -> str:
    return f"{'connected' if connected else 'away'}#{shard}"


def _key(item: PresenceModel) -> dict[str, Any]:
    """Return the key of an item in the index and in the table, as queries go on after it."""
    names = ("subject", "client", "connection", "changed_at")
    stored = item.serialize(null_check=False)
    return {name: stored[name] for name in names}


def _load(item: PresenceModel) -> Presence:
    return Presence(
        subject=item.subject,
        client=item.client,
        session=item.session,
        version=int(item.version),
        connected=item.connected,
        changed_at=item.changed_at,
        reason=item.reason,
        connects=tuple(datetime.fromisoformat(at) for at in json.loads(item.connects)),
        revision=int(item.revision),
    )
