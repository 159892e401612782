"""Who is connected: learning it from lifecycle events, and telling those who may know."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from backend.domain.access import device_subject, name_of, user_subject
from backend.domain.devices import CLAIM_PREFIX, PHONE_PREFIX
from backend.domain.presence import FLAPPING_WINDOW, Event, Presence, Status, learn, status
from backend.errors import ConflictError, UnavailableError
from backend.ports import Clock, Closed, Presences
from backend.services.configuration import Settings
from backend.services.live import Live

SUB_LENGTH = 36
ATTEMPTS = 10


class PresenceBook:
    """Keeps who is connected."""

    def __init__(self, *, presences: Presences, closed: Closed, live: Live, settings: Settings, clock: Clock) -> None:
        self._presences = presences
        self._closed = closed
        self._live = live
        self._settings = settings
        self._clock = clock

    def learn(self, event: Event) -> bool:
        """Take in one event, in whatever order it comes; True if it changed what is known."""
        subject = subject_of(event.client)
        if subject is None:
            return False
        for _ in range(ATTEMPTS):
            known = self._presences.find(subject, event.client)
            if known is None and subject != device_subject(event.client) and self._closed.has(name_of(subject)):
                return False  # a connection that outlives its person's account
            after = learn(known, event, subject)
            if after == known:
                return False
            try:
                was = known.revision if known else None
                self._presences.put(replace(after, revision=(was or 0) + 1), was=was)
            except ConflictError:
                continue  # another event of the same client was faster: learn on top of it
            self._tell(known, after)
            return True
        raise UnavailableError("Too many events of one client at once.")

    def status_of(self, things: Iterable[str]) -> Mapping[str, tuple[Status, datetime | None]]:
        """Return what to tell people about devices, and when each was last seen; None if it never was."""
        things = list(things)
        known = self._presences.find_many(things)
        now = self._clock.now()
        grace = timedelta(seconds=self._settings.current().presence_grace_s)
        return {
            thing: (status(found, now, grace=grace), found.last_seen_at(now) if found else None)
            for thing, found in ((thing, known.get(thing)) for thing in things)
        }

    def is_connected(self, thing: str) -> bool:
        """Say whether a device is connected at this moment."""
        known = self._presences.find(device_subject(thing), thing)
        return known is not None and known.connected

    def _tell(self, known: Presence | None, after: Presence) -> None:
        """Tell of a change; of a device that comes and goes once, with ``settles_at``, when to ask how it is now."""
        if after.subject != device_subject(after.client):
            return
        now, grace = self._clock.now(), timedelta(seconds=self._settings.current().presence_grace_s)
        now_status = status(after, now, grace=grace)
        if now_status is Status.UNSTABLE:
            if status(known, now, grace=grace) is Status.UNSTABLE:
                return  # that it comes and goes was told, and when to look again
        elif known and known.connected == after.connected:
            return
        document = {
            "thing": after.client,
            "connected": after.connected,
            "status": now_status,
            "at": after.changed_at.isoformat(),
        }
        if now_status is Status.UNSTABLE:
            document["settles_at"] = (after.connects[0] + FLAPPING_WINDOW).isoformat()
        elif not after.connected and now_status is not Status.OFFLINE:
            # Nothing is sent when the grace ends: whoever shows it calls it offline then, unless told otherwise.
            document["offline_at"] = (after.changed_at + grace).isoformat()
        self._live.tell(after.client, "presence", document)


def subject_of(client: str) -> str | None:
    """Return whose MQTT client this is: a device's by its thing name, a person's by ``app-{sub}-…``; None: nobody's."""
    if client.startswith(CLAIM_PREFIX):
        return None
    if not client.startswith(PHONE_PREFIX):
        return device_subject(client)
    user, rest = client[len(PHONE_PREFIX) :][:SUB_LENGTH], client[len(PHONE_PREFIX) + SUB_LENGTH :]
    return user_subject(user) if len(user) == SUB_LENGTH and rest[:1] in {"", "-"} else None
