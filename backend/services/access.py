"""The one authority on access: every read, write, command and live message asks here first."""

from dataclasses import dataclass

from backend.domain.access import ALLOWED, Action, Caller, Role, Room, device_subject, room_subject, strongest
from backend.domain.devices import Device
from backend.errors import ForbiddenError, NotFoundError
from backend.ports import Devices, Memberships, Rooms

NO_DEVICE = "There is no such device among yours."
NO_ROOM = "There is no such room among yours."


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A device, and what the caller is to it."""

    device: Device
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedRoom:
    """A room, and what the caller is to it."""

    room: Room
    role: Role


class Access:
    """Answers what a caller may do with a device or a room.

    A role comes by a membership in the device or in the room it stands in; the stronger counts. Nothing is copied when
    a room is shared, so ending a share ends it at once, for every device in the room.
    """

    def __init__(self, *, memberships: Memberships, devices: Devices, rooms: Rooms) -> None:
        self._memberships = memberships
        self._devices = devices
        self._rooms = rooms

    def device(self, caller: Caller, thing: str, action: Action) -> Granted:
        """Return the device, and the role by which the caller may do this to it.

        Raises:
            NotFoundError: the device does not exist, or the caller may not see it; the same in every respect.
            ForbiddenError: the caller may see the device, but not do this.
        """
        device = self._devices.find(thing)
        if device is None:
            raise NotFoundError(NO_DEVICE)
        role = self.role(caller, device)
        if role is None:
            raise NotFoundError(NO_DEVICE)
        _allow(role, action, "device")
        return Granted(device=device, role=role)

    def role(self, caller: Caller, device: Device) -> Role | None:
        """Return what a caller is to a device that exists; None for nothing."""
        subjects = [device_subject(device.thing)] + ([room_subject(device.room)] if device.room else [])
        return self._role(caller, subjects)

    def room(self, caller: Caller, room: str, action: Action) -> GrantedRoom:
        """Return the room, and the role by which the caller may do this to it.

        Raises:
            NotFoundError: the room does not exist, or the caller may not see it; the same in every respect.
            ForbiddenError: the caller may see the room, but not do this.
        """
        found = self._rooms.find(room)
        role = self._role(caller, [room_subject(room)]) if found else None
        if found is None or role is None:
            raise NotFoundError(NO_ROOM)
        _allow(role, action, "room")
        return GrantedRoom(room=found, role=role)

    def people(self, device: Device, action: Action) -> frozenset[str]:
        """Return all whose membership lets them do this to a device."""
        members = list(self._memberships.of_subject(device_subject(device.thing)))
        if device.room:
            members += self._memberships.of_subject(room_subject(device.room))
        return frozenset(member.user for member in members if action in ALLOWED[member.role])

    def _role(self, caller: Caller, subjects: list[str]) -> Role | None:
        found = (self._memberships.find(subject, caller.user) for subject in subjects)
        roles = [membership.role for membership in found if membership]
        return strongest([*roles, Role.ADMIN] if caller.is_admin else roles)


def _allow(role: Role, action: Action, kind: str) -> None:
    if action not in ALLOWED[role]:
        raise ForbiddenError(f"As {role} you may not {action} this {kind}.")
