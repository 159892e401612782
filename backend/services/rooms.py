"""Rooms: devices of one person, shared as a whole."""

from collections.abc import Sequence
from dataclasses import replace

from backend.domain.access import Action, Caller, Membership, Role, Room, name_of, room_subject
from backend.domain.changes import PutDevice, PutMembership, PutRoom, RemoveInvitation, RemoveMembership, RemoveRoom
from backend.domain.paging import Page
from backend.errors import ConflictError, ForbiddenError, PreconditionFailedError
from backend.ports import Clock, Devices, Dice, Invitations, Memberships, Rooms, Store
from backend.services.access import Access, Granted, GrantedRoom
from backend.services.trail import Trail

ID_BYTES = 9
MAX_DEVICES = 50
"""In a room: as many as one call can ask, one after the other, before API Gateway stops waiting."""


class RoomBook:
    """What the signed-in person can do with rooms."""

    def __init__(
        self,
        *,
        access: Access,
        rooms: Rooms,
        devices: Devices,
        memberships: Memberships,
        invitations: Invitations,
        store: Store,
        clock: Clock,
        dice: Dice,
        trail: Trail,
    ) -> None:
        self._access = access
        self._rooms = rooms
        self._devices = devices
        self._memberships = memberships
        self._invitations = invitations
        self._store = store
        self._clock = clock
        self._dice = dice
        self._trail = trail

    def add(self, caller: Caller, name: str) -> GrantedRoom:
        """Make a room."""
        room = Room(id=self._dice.token(ID_BYTES), name=name, owner=caller.user)
        subject = room_subject(room.id)
        owner = Membership(subject=subject, user=caller.user, role=Role.OWNER, since=self._clock.now())
        self._store.commit(
            PutRoom(room=room, was=None),
            PutMembership(membership=owner),
            self._trail.note(caller, subject, "made", after={"name": name}),
        )
        return GrantedRoom(room=room, role=Role.OWNER)

    def mine(self, caller: Caller, *, limit: int, after: str | None) -> Page[GrantedRoom]:
        """Return the rooms that are the caller's or shared with them."""
        page = self._memberships.of_user(caller.user, "room", limit=limit, after=after)
        roles = {name_of(membership.subject): membership.role for membership in page.items}
        found = self._rooms.find_many(roles)
        granted = [GrantedRoom(room=found[room], role=role) for room, role in roles.items() if room in found]
        return Page(items=granted, after=page.after)

    def get(self, caller: Caller, room: str) -> GrantedRoom:
        """Return one room."""
        return self._access.room(caller, room, Action.SEE)

    def rename(self, caller: Caller, room: str, name: str, *, version: int | None) -> GrantedRoom:
        """Change how a room is called.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        granted = self._access.room(caller, room, Action.MANAGE)
        if version is not None and version != granted.room.version:
            raise PreconditionFailedError(f"The room is at version {granted.room.version}.")
        changed = replace(granted.room, name=name, version=granted.room.version + 1)
        before, after = {"name": granted.room.name}, {"name": name}
        self._store.commit(
            PutRoom(room=changed, was=granted.room.version),
            self._trail.note(caller, room_subject(room), "renamed", before=before, after=after),
        )
        return replace(granted, room=changed)

    def remove(self, caller: Caller, room: str, *, version: int | None = None) -> None:
        """End a room; its devices stay with their owner, and those it was shared with no longer see them.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        found = self._access.room(caller, room, Action.MANAGE).room
        if version is not None and version != found.version:
            raise PreconditionFailedError(f"The room is at version {found.version}.")
        subject = room_subject(room)
        while things := self._rooms.things_in(room, limit=MAX_DEVICES, after=None).items:
            moved = [device for device in self._devices.find_many(things).values() if device.room == room]
            if not moved:
                break  # the index lags behind: they have left
            self._store.commit(
                *(PutDevice(device=replace(d, room=None, version=d.version + 1), before=d) for d in moved)
            )
        self._store.commit(
            RemoveRoom(room=found),
            *(RemoveMembership(subject=subject, user=member.user) for member in self._memberships.of_subject(subject)),
            *(RemoveInvitation(invitation=each) for each in self._invitations.of_subject(subject)),
            self._trail.note(caller, subject, "ended"),
        )

    def devices(self, caller: Caller, room: str, *, limit: int, after: str | None) -> Page[Granted]:
        """Return the devices in a room."""
        granted = self._access.room(caller, room, Action.SEE)
        page = self._rooms.things_in(room, limit=limit, after=after)
        found = self._devices.find_many(page.items)
        inside = [found[thing] for thing in page.items if thing in found and found[thing].room == room]
        return Page(items=[Granted(device=device, role=granted.role) for device in inside], after=page.after)

    def place(self, caller: Caller, room: str, thing: str) -> None:
        """Put a device into a room, out of the one it stood in; both must be the caller's own."""
        target = self._access.room(caller, room, Action.MANAGE).room
        device = self._access.device(caller, thing, Action.MANAGE).device
        if device.owner != target.owner:
            raise ForbiddenError("The device and the room belong to different people.")
        if device.room == room:
            return
        if len(self._rooms.things_in(room, limit=MAX_DEVICES, after=None).items) >= MAX_DEVICES:
            raise ConflictError(f"A room holds at most {MAX_DEVICES} devices.")
        self._move(caller, thing, device.version, target)

    def displace(self, caller: Caller, room: str, thing: str) -> None:
        """Take a device out of a room; one that is not in it is out of it already."""
        self._access.room(caller, room, Action.MANAGE)
        device = self._access.device(caller, thing, Action.MANAGE).device
        if device.room == room:
            self._move(caller, thing, device.version, None)

    def things(self, caller: Caller, room: str) -> Sequence[str]:
        """Return the things in a room that the caller may control, for a command to all of them."""
        self._access.room(caller, room, Action.CONTROL)
        page = self._rooms.things_in(room, limit=MAX_DEVICES, after=None)
        return [thing for thing, device in self._devices.find_many(page.items).items() if device.room == room]

    def _move(self, caller: Caller, thing: str, version: int, room: Room | None) -> None:
        device = self._devices.find(thing)
        if device is None or device.version != version:
            raise ConflictError("The device changed meanwhile: look again.")
        moved = replace(device, room=room.id if room else None, version=version + 1)
        # The room's version moves too: of placing a device and ending the room at the same time, one comes too late.
        touched = [PutRoom(room=replace(room, version=room.version + 1), was=room.version)] if room else []
        note = self._trail.note(
            caller, f"device#{thing}", "moved", before={"room": device.room}, after={"room": moved.room}
        )
        self._store.commit(PutDevice(device=moved, before=device), *touched, note)
