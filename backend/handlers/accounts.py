"""The signed-in person's own account."""

from dataclasses import replace
from typing import Any

from backend import bootstrap
from backend.domain.access import device_subject
from backend.runtime.http import Request, Routes
from backend.schemas.devices import dump_device
from backend.schemas.paging import OnwardQuery, PageQuery
from backend.schemas.people import (
    ConfigurationDocument,
    ExportDocument,
    IdentityProof,
    InvitationsPage,
    ProfileChanges,
    ProfileDocument,
    dump_invitation,
)

routes = Routes(answers=bootstrap.answers, clock=bootstrap.clock)


@routes.add("GET /v1/me", answer=ProfileDocument)
def me(request: Request) -> Any:
    """Look at what is known about me."""
    return bootstrap.accounts().get(request.caller)


@routes.add("PATCH /v1/me", body=ProfileChanges, answer=ProfileDocument)
def change_me(request: Request) -> Any:
    """Change what is known about me, and how I want to be told things."""
    return bootstrap.accounts().change(request.caller, request.body, version=request.version)


@routes.add("DELETE /v1/me", answer=None)
def delete_me(request: Request) -> None:
    """Delete my account: my devices are released, my rooms end, and nothing of me stays."""
    bootstrap.accounts().close(request.caller)


@routes.add("POST /v1/me/identity", body=IdentityProof, answer=ProfileDocument)
def tie_identity(request: Request) -> Any:
    """Tie my AWS identity to me, so that I can invoke functions and hear my live topics with credentials of my own."""
    return bootstrap.accounts().tie_identity(request.caller, request.body["id_token"])


@routes.add("GET /v1/me/export", query=OnwardQuery, answer=ExportDocument)
def export(request: Request) -> Any:
    """Get all that is stored about me, in one document; what is too much for one answer goes on in the next."""
    after = request.position(request.query["cursor"])
    exported, end = bootstrap.accounts().export(request.caller, after=after)
    statuses = bootstrap.presence_book().status_of([device.thing for device in exported["devices"]])
    roles = {each.subject: each.role for each in exported["memberships"]}
    exported["devices"] = [
        dump_device(device, roles[device_subject(device.thing)], *statuses[device.thing])
        for device in exported["devices"]
    ]
    exported["changes_made"] = [
        entry if entry.actor == request.caller.user else replace(entry, address="")
        for entry in exported["changes_made"]
    ]
    return {**exported, "next_cursor": request.cursor(end)}


@routes.add("GET /v1/config", answer=ConfigurationDocument)
def configuration(request: Request) -> Any:  # noqa: ARG001 - the same for everybody
    """Read what apps go by."""
    return bootstrap.configuration().current()


@routes.add("GET /v1/me/invitations", query=PageQuery, answer=InvitationsPage)
def my_invitations(request: Request) -> Any:
    """List the invitations made to my address."""
    after = request.position(request.query["cursor"])
    page = bootstrap.sharing().to_me(request.caller, limit=request.query["limit"], after=after)
    return {"items": [dump_invitation(each) for each in page.items], "next_cursor": request.cursor(page.after)}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    return routes.serve(event)
