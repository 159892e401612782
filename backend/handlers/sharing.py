"""Members, invitations and rooms."""

from datetime import timedelta
from typing import Any

from backend import bootstrap
from backend.domain.access import device_subject, room_subject
from backend.runtime.http import Answer, Request, Routes
from backend.schemas.devices import DevicesPage, dump_device
from backend.schemas.paging import PageQuery
from backend.schemas.people import (
    InvitationAnswer,
    InvitationsPage,
    InvitationsQuery,
    InvitedDocument,
    JoinedDocument,
    MemberDocument,
    MembersPage,
    OfferDocument,
    RoleChange,
    RoomDocument,
    RoomName,
    RoomsPage,
    dump_invitation,
    dump_subject,
)
from backend.services.access import GrantedRoom
from backend.services.sharing import Offer

routes = Routes(answers=bootstrap.answers, clock=bootstrap.clock)
CREATED = 201


@routes.add("GET /v1/devices/{thing}/members", query=PageQuery, answer=MembersPage)
def device_members(request: Request) -> Any:
    """List who is what to a device."""
    members = bootstrap.sharing().members(request.caller, device_subject(request.path["thing"]))
    return request.page(members, lambda member: member.user)


@routes.add("PATCH /v1/devices/{thing}/members/{user}", body=RoleChange, answer=MemberDocument)
def change_device_member(request: Request) -> Any:
    """Change what a member is to a device."""
    subject = device_subject(request.path["thing"])
    user, role = request.path["user"], request.body["role"]
    return bootstrap.sharing().change_role(request.caller, subject, user, role, version=request.version)


@routes.add("DELETE /v1/devices/{thing}/members/{user}", answer=None, versioned=True)
def remove_device_member(request: Request) -> None:
    """End a membership of a device: somebody's, or my own."""
    subject = device_subject(request.path["thing"])
    bootstrap.sharing().remove(request.caller, subject, request.path["user"], version=request.version)


@routes.add("GET /v1/rooms/{room}/members", query=PageQuery, answer=MembersPage)
def room_members(request: Request) -> Any:
    """List who is what to a room."""
    members = bootstrap.sharing().members(request.caller, room_subject(request.path["room"]))
    return request.page(members, lambda member: member.user)


@routes.add("PATCH /v1/rooms/{room}/members/{user}", body=RoleChange, answer=MemberDocument)
def change_room_member(request: Request) -> Any:
    """Change what a member is to a room."""
    subject = room_subject(request.path["room"])
    user, role = request.path["user"], request.body["role"]
    return bootstrap.sharing().change_role(request.caller, subject, user, role, version=request.version)


@routes.add("DELETE /v1/rooms/{room}/members/{user}", answer=None, versioned=True)
def remove_room_member(request: Request) -> None:
    """End a membership of a room: somebody's, or my own."""
    subject = room_subject(request.path["room"])
    bootstrap.sharing().remove(request.caller, subject, request.path["user"], version=request.version)


@routes.add("POST /v1/invitations", body=OfferDocument, answer=InvitedDocument, status=CREATED)
def invite(request: Request) -> Any:
    """Offer somebody a role on a device or room of mine; the role of owner offers the device itself."""
    asked = request.body
    offer = Offer(
        subject=_subject(asked),
        role=asked["role"],
        email=asked["email"],
        hand_over=asked["hand_over"],
        lifetime=timedelta(seconds=asked["lifetime_s"]),
    )
    invited = bootstrap.sharing().invite(request.caller, offer)
    return {**dump_invitation(invited.invitation), "code": invited.code}


@routes.add("GET /v1/invitations", query=InvitationsQuery, answer=InvitationsPage)
def invitations(request: Request) -> Any:
    """List the open invitations of a device or room of mine."""
    found = bootstrap.sharing().invitations(request.caller, _subject(request.query))
    page = request.page(found, lambda invitation: invitation.id)
    return {**page, "items": [dump_invitation(each) for each in page["items"]]}


@routes.add("DELETE /v1/invitations/{invitation}", answer=None)
def revoke_invitation(request: Request) -> None:
    """Take an invitation back."""
    bootstrap.sharing().revoke(request.caller, request.path["invitation"])


@routes.add("POST /v1/invitations/accept", body=InvitationAnswer, answer=JoinedDocument)
def accept(request: Request) -> Any:
    """Accept an invitation."""
    joined = bootstrap.sharing().accept(
        request.caller, code=request.body.get("code"), invitation=request.body.get("id")
    )
    return {**dump_subject(joined.subject), "role": joined.role, "since": joined.since}


@routes.add("POST /v1/invitations/decline", body=InvitationAnswer, answer=None)
def decline(request: Request) -> None:
    """Decline an invitation."""
    bootstrap.sharing().decline(request.caller, code=request.body.get("code"), invitation=request.body.get("id"))


@routes.add("POST /v1/rooms", body=RoomName, answer=RoomDocument, status=CREATED)
def add_room(request: Request) -> Any:
    """Make a room."""
    granted = bootstrap.room_book().add(request.caller, request.body["name"])
    return Answer(document=_room(granted), status=CREATED, headers={"location": f"/v1/rooms/{granted.room.id}"})


@routes.add("GET /v1/rooms", query=PageQuery, answer=RoomsPage)
def list_rooms(request: Request) -> Any:
    """List my rooms and those shared with me."""
    after = request.position(request.query["cursor"])
    page = bootstrap.room_book().mine(request.caller, limit=request.query["limit"], after=after)
    return {"items": [_room(granted) for granted in page.items], "next_cursor": request.cursor(page.after)}


@routes.add("GET /v1/rooms/{room}", answer=RoomDocument)
def get_room(request: Request) -> Any:
    """Look at one room."""
    return _room(bootstrap.room_book().get(request.caller, request.path["room"]))


@routes.add("PATCH /v1/rooms/{room}", body=RoomName, answer=RoomDocument)
def rename_room(request: Request) -> Any:
    """Rename a room."""
    granted = bootstrap.room_book().rename(
        request.caller, request.path["room"], request.body["name"], version=request.version
    )
    return _room(granted)


@routes.add("DELETE /v1/rooms/{room}", answer=None, versioned=True)
def remove_room(request: Request) -> None:
    """End a room; its devices stay mine, and those it was shared with no longer see them."""
    bootstrap.room_book().remove(request.caller, request.path["room"], version=request.version)


@routes.add("GET /v1/rooms/{room}/devices", query=PageQuery, answer=DevicesPage)
def room_devices(request: Request) -> Any:
    """List the devices in a room."""
    after = request.position(request.query["cursor"])
    page = bootstrap.room_book().devices(
        request.caller, request.path["room"], limit=request.query["limit"], after=after
    )
    statuses = bootstrap.presence_book().status_of([each.device.thing for each in page.items])
    items = [dump_device(each.device, each.role, *statuses[each.device.thing]) for each in page.items]
    return {"items": items, "next_cursor": request.cursor(page.after)}


@routes.add("PUT /v1/rooms/{room}/devices/{thing}", answer=None)
def place_device(request: Request) -> None:
    """Put a device of mine into a room of mine; a room holds at most 50."""
    bootstrap.room_book().place(request.caller, request.path["room"], request.path["thing"])


@routes.add("DELETE /v1/rooms/{room}/devices/{thing}", answer=None)
def displace_device(request: Request) -> None:
    """Take a device out of a room."""
    bootstrap.room_book().displace(request.caller, request.path["room"], request.path["thing"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    return routes.serve(event)


def _subject(document: Any) -> str:
    return device_subject(document["thing"]) if "thing" in document else room_subject(document["room"])


def _room(granted: GrantedRoom) -> dict[str, Any]:
    room = granted.room
    return {"id": room.id, "name": room.name, "role": granted.role, "version": room.version}
