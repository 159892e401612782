"""Commands to devices: asked by people, held while offline, answered by devices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.domain.access import Action, Caller, Role, device_subject
from backend.domain.commands import Command, CommandAnswer, State, issuer_of, state_at
from backend.domain.devices import Device
from backend.domain.fields import check_fields
from backend.domain.paging import Page
from backend.domain.telemetry import epoch_ms
from backend.errors import FieldlineError, NotFoundError, UnavailableError, invalid
from backend.ports import Clock, Commands, Devices, DeviceTypes, Dice, Log, Publisher, Store
from backend.services.access import Access
from backend.services.live import Live
from backend.services.presence import PresenceBook
from backend.services.rooms import RoomBook
from backend.services.trail import Trail

ID_BYTES = 9
ADMIN = "admin"
"""Issuer of what an admin ordered: their group is no membership, and their right is that of the token they showed."""
CHANGED_HANDS = "The device changed hands before it took it."
NO_RIGHT = "Who ordered it may not do so any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of one device or of all in a room."""

    name: str
    parameters: Mapping[str, Any]
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an order for one device of many."""

    thing: str
    command: Command | None = None
    error: FieldlineError | None = None


class CommandDesk:
    """Takes commands from people, gives them to devices, and keeps how far they have come."""

    def __init__(  # noqa: PLR0913 - composition
        self,
        *,
        stage: str,
        access: Access,
        commands: Commands,
        devices: Devices,
        device_types: DeviceTypes,
        presence: PresenceBook,
        rooms: RoomBook,
        publisher: Publisher,
        live: Live,
        store: Store,
        trail: Trail,
        clock: Clock,
        dice: Dice,
        log: Log,
    ) -> None:
        self._stage = stage
        self._access = access
        self._commands = commands
        self._devices = devices
        self._device_types = device_types
        self._presence = presence
        self._rooms = rooms
        self._publisher = publisher
        self._live = live
        self._store = store
        self._trail = trail
        self._clock = clock
        self._dice = dice
        self._log = log

    def order(self, caller: Caller, thing: str, order: Order) -> Command:
        """Ask something of a device: sent at once if it is connected, held until it is or the time is out.

        The trail's note of it is written first and apart: a failure in between leaves a note of a command that never
        was, which its absence tells, and never a command without a note.

        Raises:
            InvalidInputError: its type knows no such command, or not these parameters.
        """
        granted = self._access.device(caller, thing, Action.CONTROL)
        device = granted.device
        device_type = self._device_types.find(device.type)
        described = device_type.commands.get(order.name) if device_type else None
        if described is None:
            raise invalid("command", f"is not a command of a {device.type}")
        parameters = check_fields(described.get("fields", {}), order.parameters, path="parameters")
        now = self._clock.now()
        command_id = f"{epoch_ms(now):013d}-{self._dice.token(ID_BYTES)}"
        command = Command(
            thing=thing,
            id=command_id,
            name=order.name,
            parameters=parameters,
            created_at=now,
            expires_at=now + order.lifetime,
            updated_at=now,
            issuer=ADMIN if granted.role is Role.ADMIN else issuer_of(command_id, caller.user),
        )
        told = {"id": command.id, "command": order.name, "parameters": dict(parameters)}
        self._store.commit(self._trail.note(caller, device_subject(thing), "ordered", after=told))
        self._commands.add(command)
        if self._presence.is_connected(thing):
            try:
                return self._send(command)
            except UnavailableError:
                self._log.warning("command stays queued", thing=thing, command=command.id)
        return command

    def order_in_room(self, caller: Caller, room: str, order: Order) -> list[Outcome]:
        """Ask the same of every device in a room; each is asked or refused on its own."""
        outcomes = []
        for thing in self._rooms.things(caller, room):
            try:
                outcomes.append(Outcome(thing=thing, command=self.order(caller, thing, order)))
            except FieldlineError as error:
                outcomes.append(Outcome(thing=thing, error=error))
        return outcomes

    def get(self, caller: Caller, thing: str, command: str) -> Command:
        """Return one command and how far it has come."""
        device = self._access.device(caller, thing, Action.SEE).device
        found = self._commands.find(thing, command)
        if found is None or epoch_ms(found.created_at) < device.data_from_ms:
            raise NotFoundError("There is no such command.")
        return _as_of(found, device, self._clock.now())

    def mine(self, caller: Caller, thing: str, *, limit: int, after: str | None) -> Page[Command]:
        """Return the commands of a device, newest first."""
        device = self._access.device(caller, thing, Action.SEE).device
        page = self._commands.of_thing(thing, device.data_from_ms, limit=limit, after=after)
        now = self._clock.now()
        return Page(items=[_as_of(command, device, now) for command in page.items], after=page.after)

    def deliver_held(self, thing: str, subscribed_at: datetime) -> int:
        """Give a device that has just subscribed what is waiting for it; return how many commands.

        What was sent before it subscribed and never acknowledged may have been lost with its connection, and is sent
        again under the same id, by which the device knows it. Whoever asked is asked for their right again; what was
        asked before the device changed hands is not given to it any more.
        """
        now, sent = self._clock.now(), 0
        waiting = self._commands.waiting(thing)
        device = self._devices.find(thing) if waiting else None
        if device is None:
            return 0
        entitled = self._access.people(device, Action.CONTROL)
        for command in waiting:
            if command.sent_at is not None and command.sent_at >= subscribed_at and now < command.expires_at:
                continue  # it was sent into this very connection
            found = _as_of(replace(command, state=State.QUEUED), device, now)
            if found.state is State.QUEUED and not _is_issued_by(command, entitled):
                found = replace(found, state=State.REJECTED, reason=NO_RIGHT, updated_at=now)
            if found.state is State.QUEUED:
                self._send(command)
                sent += 1
            else:
                self._end(found, device)
        return sent

    def take_answer(self, answer: CommandAnswer) -> bool:
        """Take what a device says; False where it changes nothing: a repetition, too late, or no command of its own."""
        if not self._commands.advance(answer):
            self._log.info("answer changes nothing", thing=answer.thing, command=answer.id, state=answer.state)
            return False
        found = self._commands.find(answer.thing, answer.id)
        if found is not None and _is_of_its_owner(found, self._devices.find(answer.thing)):
            self._tell(found)
        return True

    def _send(self, command: Command) -> Command:
        now = self._clock.now()
        if not self._commands.take(command, now):
            return self._commands.find(command.thing, command.id) or command  # somebody else is sending it
        topic = f"cmd/{self._stage}/{command.thing}/{command.name}/req"
        document = {
            "id": command.id,
            "parameters": command.parameters,
            "expires_at_ms": epoch_ms(command.expires_at),
        }
        try:
            self._publisher.publish(topic, document)
        except UnavailableError:
            self._commands.give_back(command, now)
            raise
        sent = replace(command, state=State.SENT, sent_at=now, updated_at=now)
        self._tell(sent)
        return sent

    def _end(self, command: Command, device: Device) -> None:
        at = command.updated_at if command.state is State.REJECTED else None
        if not self._commands.advance(_answer(command, at or self._clock.now())):
            return
        if command.reason == NO_RIGHT:
            subject = device_subject(command.thing)
            told = {"id": command.id, "reason": command.reason}
            self._store.commit(self._trail.note(Caller(user=subject), subject, "rejected a command", after=told))
        if _is_of_its_owner(command, device):
            self._tell(command)

    def _tell(self, command: Command) -> None:
        document = {"thing": command.thing, "id": command.id, "command": command.name, "state": command.state}
        self._live.tell(command.thing, "commands", document)


def _as_of(command: Command, device: Device, now: datetime) -> Command:
    """Return a command as it stands, whoever noticed: what is held outlives neither its time nor its device's owner.

    What was sent before the device changed hands may be done yet, and stays as it is.
    """
    handed_at = _owned_since(device)
    if command.state is State.QUEUED and not _is_of_its_owner(command, device) and handed_at < command.expires_at:
        return replace(command, state=State.REJECTED, reason=CHANGED_HANDS, updated_at=handed_at)
    return replace(command, state=state_at(command, now))


def _is_of_its_owner(command: Command, device: Device | None) -> bool:
    """Say whether a device still belongs to whom it did when the command was given."""
    return device is not None and epoch_ms(command.created_at) >= epoch_ms(_owned_since(device))


def _owned_since(device: Device) -> datetime:
    """Return since when a device belongs to whom it does, or to nobody."""
    since_ms = max(device.data_from_ms, epoch_ms(device.claimed_at) if device.claimed_at else 0)
    return datetime.fromtimestamp(since_ms / 1000, UTC)


def _is_issued_by(command: Command, entitled: frozenset[str]) -> bool:
    return command.issuer == ADMIN or command.issuer in {issuer_of(command.id, user) for user in entitled}


def _answer(command: Command, at: datetime) -> CommandAnswer:
    return CommandAnswer(thing=command.thing, id=command.id, state=command.state, at=at, reason=command.reason)
