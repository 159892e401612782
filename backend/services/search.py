"""Finding devices: among one's own, and, for admins, in the whole fleet. Nothing is scanned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend.domain.access import Caller, Role, name_of
from backend.domain.paging import Page
from backend.domain.presence import Status
from backend.domain.search import MAX_EXAMINED, Wanted
from backend.errors import ForbiddenError, invalid
from backend.ports import Clock, Devices, Memberships, Presences
from backend.ports.search import SearchIndex
from backend.services.access import Granted
from backend.services.configuration import Settings
from backend.services.presence import PresenceBook

ONLINE = (Status.ONLINE, Status.UNSTABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that may be wanted."""

    thing: str
    role: Role
    position: Any
    """Where to go on after it."""


Look = Callable[[Any, int], Page[Candidate]]
"""Return the candidates after a position, at most so many."""


class Search:
    """Finds devices."""

    def __init__(
        self,
        *,
        memberships: Memberships,
        devices: Devices,
        index: SearchIndex,
        presences: Presences,
        presence: PresenceBook,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._memberships = memberships
        self._devices = devices
        self._index = index
        self._presences = presences
        self._presence = presence
        self._settings = settings
        self._clock = clock

    def mine(self, caller: Caller, wanted: Wanted, *, limit: int, after: str | None) -> Page[Granted]:
        """Return those of the devices that are the caller's, or shared with them one by one, ordered by thing."""

        def look(after: str | None, limit: int) -> Page[Candidate]:
            page = self._memberships.of_user(caller.user, "device", limit=limit, after=after)
            found = [Candidate(thing=name_of(m.subject), role=m.role, position=m.subject) for m in page.items]
            return Page(items=found, after=page.after)

        return self._gather(look, wanted, limit=limit, after=after)

    def fleet(self, caller: Caller, wanted: Wanted, *, limit: int, after: Any) -> Page[Granted]:
        """Return those of all devices, for admins; by an index, so that it costs what is found.

        Raises:
            ForbiddenError: the caller is no admin.
            InvalidInputError: nothing is asked that an index leads to.
        """
        if not caller.is_admin:
            raise ForbiddenError("Only admins search the whole fleet.")
        return self._gather(self._looking_for(wanted), wanted, limit=limit, after=after)

    def _looking_for(self, wanted: Wanted) -> Look:
        term = wanted.term
        if term is not None:

            def look_up(after: str | None, limit: int) -> Page[Candidate]:
                page = self._index.things(term, limit=limit, after=after)
                return Page(items=[_found(thing, thing) for thing in page.items], after=page.after)

            return look_up
        if wanted.status not in {*ONLINE, Status.OFFLINE}:
            raise invalid("status", "online, unstable or offline, an attribute or a firmware is to be given")
        return self._looking_at_connections(wanted)

    def _looking_at_connections(self, wanted: Wanted) -> Look:
        # Online are those connected and those away for no longer than the grace; offline are the others away.
        # All pages look at the same range, since DynamoDB refuses to go on after a key that is outside of it.
        first = self._clock.now() - timedelta(seconds=self._settings.current().presence_grace_s)
        kinds = ("connected", "just away") if wanted.status in ONLINE else ("away",)

        def look(after: Any, limit: int) -> Page[Candidate]:
            kind, began, position = after or [0, first.isoformat(), None]
            since = datetime.fromisoformat(began)
            page = self._presences.devices_by_connection(
                connected=kinds[kind] == "connected",
                after=since if kinds[kind] == "just away" else None,
                until=since if kinds[kind] == "away" else None,
                limit=limit,
                position=position,
            )
            found = [_found(thing, [kind, began, position]) for thing, position in page.items]
            if page.after is not None:
                return Page(items=found, after=[kind, began, page.after])
            return Page(items=found, after=[kind + 1, began, None] if kind + 1 < len(kinds) else None)

        return look

    def _gather(self, look: Look, wanted: Wanted, *, limit: int, after: Any) -> Page[Granted]:
        gathered: list[Granted] = []
        examined = 0
        while True:
            page = look(after, min(limit, MAX_EXAMINED - examined))
            kept = self._kept(page.items, wanted)
            for candidate in page.items:
                if candidate.thing in kept:
                    gathered.append(kept[candidate.thing])
                if len(gathered) == limit and candidate is not page.items[-1]:
                    return Page(items=gathered, after=candidate.position)
            after, examined = page.after, examined + len(page.items)
            if after is None or len(gathered) == limit or examined >= MAX_EXAMINED:
                return Page(items=gathered, after=after)

    def _kept(self, candidates: Sequence[Candidate], wanted: Wanted) -> dict[str, Granted]:
        found = self._devices.find_many(candidate.thing for candidate in candidates)
        fitting = {
            candidate.thing: Granted(device=found[candidate.thing], role=candidate.role)
            for candidate in candidates
            if candidate.thing in found and wanted.fits(found[candidate.thing])
        }
        if wanted.status is None or not fitting:
            return fitting
        statuses = self._presence.status_of(fitting)
        return {thing: granted for thing, granted in fitting.items() if statuses[thing][0] is wanted.status}


def _found(thing: str, position: Any) -> Candidate:
    return Candidate(thing=thing, role=Role.ADMIN, position=position)
