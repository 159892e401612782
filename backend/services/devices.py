"""Devices of people: claiming, looking at one, naming it, letting it go."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from backend.domain.access import Action, Caller, Membership, Role, device_subject
from backend.domain.audit import Entry
from backend.domain.changes import Change, PutDevice, PutMembership, RemoveInvitation, RemoveMembership
from backend.domain.devices import (
    CLAIM_ATTEMPT_WINDOW,
    MAX_CLAIM_ATTEMPTS,
    MAX_CLAIM_ATTEMPTS_OF_ALL,
    Device,
    secret_opens,
)
from backend.domain.paging import Page
from backend.domain.telemetry import epoch_ms
from backend.errors import ConflictError, ForbiddenError, PreconditionFailedError
from backend.ports import Attempts, Audit, Clock, DeviceControl, Devices, Invitations, Memberships, Store
from backend.services.access import Access, Granted
from backend.services.trail import Trail


class DeviceBook:
    """What the signed-in person can do with devices."""

    def __init__(
        self,
        *,
        access: Access,
        devices: Devices,
        attempts: Attempts,
        memberships: Memberships,
        invitations: Invitations,
        audit: Audit,
        store: Store,
        control: DeviceControl,
        clock: Clock,
        trail: Trail,
    ) -> None:
        self._access = access
        self._devices = devices
        self._attempts = attempts
        self._memberships = memberships
        self._invitations = invitations
        self._audit = audit
        self._store = store
        self._control = control
        self._clock = clock
        self._trail = trail

    def claim(self, caller: Caller, thing: str, secret: str) -> Granted:
        """Make the caller the owner of a device whose secret they know; once more is the same.

        Raises:
            ForbiddenError: no such device, a wrong or expired secret, or too many attempts; nobody can tell which.
            ConflictError: the secret is right, and the device has an owner.
        """
        now = self._clock.now()
        device = self._devices.find(thing)
        if device is not None and device.owner == caller.user:
            return Granted(device=device, role=Role.OWNER)
        if device is None or not self._may_try(caller, thing, now) or not secret_opens(device, secret, now=now):
            raise ForbiddenError("The device or its secret is not right, or too many were tried: wait an hour.")
        if device.owner is not None or device.revoked:
            raise ConflictError("The device has an owner, or was revoked; it must be released first.")
        subject = device_subject(thing)
        claimed = replace(device, owner=caller.user, claimed_at=now, version=device.version + 1)
        try:
            self._store.commit(
                PutDevice(device=claimed, before=device),
                PutMembership(membership=Membership(subject=subject, user=caller.user, role=Role.OWNER, since=now)),
                self._trail.note(caller, subject, "claimed"),
            )
        except ConflictError:
            fresh = self._devices.find(thing)
            if fresh is None or fresh.owner != caller.user:
                raise ConflictError("The device has an owner; it must be released first.") from None
            return Granted(device=fresh, role=Role.OWNER)  # the same person, twice at once
        return Granted(device=claimed, role=Role.OWNER)

    def _may_try(self, caller: Caller, thing: str, now: datetime) -> bool:
        """Count an attempt at claiming; whose own are used up takes none of those that all have together."""
        subject, window = device_subject(thing), CLAIM_ATTEMPT_WINDOW
        mine = self._attempts.take(caller.user, f"claim {thing}", MAX_CLAIM_ATTEMPTS, window, now)
        return mine and self._attempts.take(subject, "claim", MAX_CLAIM_ATTEMPTS_OF_ALL, window, now)

    def get(self, caller: Caller, thing: str) -> Granted:
        """Return one device."""
        return self._access.device(caller, thing, Action.SEE)

    def rename(
        self,
        caller: Caller,
        thing: str,
        *,
        name: str | None,
        attributes: Mapping[str, str] | None,
        version: int | None,
    ) -> Granted:
        """Change how a device is called and described; what is None stays.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        granted = self._access.device(caller, thing, Action.MANAGE)
        device = granted.device
        if version is not None and version != device.version:
            raise PreconditionFailedError(f"The device is at version {device.version}.")
        changed = replace(
            device,
            name=device.name if name is None else name,
            attributes=device.attributes if attributes is None else attributes,
            version=device.version + 1,
        )
        self._store.commit(
            PutDevice(device=changed, before=device),
            self._trail.note(caller, device_subject(thing), "changed", before=_face(device), after=_face(changed)),
        )
        return replace(granted, device=changed)

    def release(self, caller: Caller, thing: str) -> None:
        """Let a device go: nobody is anything to it any more, and its next owner sees nothing from before.

        What was wished of it goes first: were it to fail afterwards, nobody could ask for it again.
        """
        device = self._access.device(caller, thing, Action.MANAGE).device
        self._control.forget(thing)
        self._store.commit(*self.releasing(caller, device, "released"))

    def factory_reset(self, caller: Caller, thing: str) -> None:
        """Let a device go as it left the factory: released, its shadows gone, its connection cut."""
        device = self._access.device(caller, thing, Action.MANAGE).device
        self._control.forget(thing)
        self._store.commit(*self.releasing(caller, device, "factory reset"))
        self._control.disconnect(thing)

    def revoke(self, caller: Caller, thing: str) -> None:
        """End a device's trust: no certificate of its opens a connection any more, and the live one is cut.

        AWS does not promise that deactivating a certificate ends a live connection, so it is cut by DeleteConnection.
        """
        device = self._access.device(caller, thing, Action.MANAGE).device
        if not device.revoked:
            revoked = replace(device, revoked=True, version=device.version + 1)
            note = self._trail.note(caller, device_subject(thing), "revoked")
            self._store.commit(PutDevice(device=revoked, before=device), note)
        self._control.deactivate(thing)
        self._control.disconnect(thing)

    def history(self, caller: Caller, thing: str, *, limit: int, after: str | None) -> Page[Entry]:
        """Return what was changed about a device, newest first; for those who manage it."""
        device = self._access.device(caller, thing, Action.MANAGE).device
        page = self._audit.of_subject(device_subject(thing), limit=limit, after=after)
        visible = [entry for entry in page.items if epoch_ms(entry.at) >= device.data_from_ms]
        return Page(items=visible, after=page.after if len(visible) == len(page.items) else None)

    def releasing(self, caller: Caller, device: Device, what: str) -> list[Change]:
        """Return the changes that end all that people are to a device."""
        subject = device_subject(device.thing)
        note = self._trail.note(caller, subject, what, about=device.owner if device.owner != caller.user else None)
        free = replace(
            device,
            owner=None,
            claimed_at=None,
            room=None,
            name="",
            attributes=device.factory,
            # One past the note, so that what tells of the release stays with the one who released.
            data_from_ms=epoch_ms(note.entry.at) + 1,
            version=device.version + 1,
        )
        return [
            PutDevice(device=free, before=device),
            *(RemoveMembership(subject=subject, user=member.user) for member in self._memberships.of_subject(subject)),
            *(RemoveInvitation(invitation=each) for each in self._invitations.of_subject(subject)),
            note,
        ]


def _face(device: Device) -> dict[str, object]:
    return {"name": device.name, "attributes": dict(device.attributes)}
