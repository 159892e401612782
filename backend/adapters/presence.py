"""Who is connected, on DynamoDB."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from backend.adapters.dynamo import translated
from backend.domain.access import device_subject, name_of
from backend.domain.presence import Presence
from backend.models.items import PresenceModel


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
            connects=json.dumps([at.isoformat() for at in presence.connects]),
            revision=presence.revision,
        )
        condition = PresenceModel.subject.does_not_exist() if was is None else PresenceModel.revision == was
        with translated():
            row.save(condition)

    def remove_all(self, subject: str) -> None:
        """Forget all clients of a subject."""
        with translated(), PresenceModel.batch_write() as batch:
            for row in PresenceModel.query(subject):
                batch.delete(row)


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
