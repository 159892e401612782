"""Commands, shadows and configuration of devices."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from backend import bootstrap
from backend.runtime.http import Request, Routes
from backend.schemas.control import (
    CommandDocument,
    CommandsPage,
    DesiredDocument,
    OrderDocument,
    OutcomesDocument,
    SettingsDocument,
    ShadowDocument,
    dump_shadow,
)
from backend.schemas.paging import PageQuery
from backend.services.commands import Order, Outcome
from backend.services.shadows import CONFIG

routes = Routes(answers=bootstrap.answers, clock=bootstrap.clock)
ACCEPTED = 202


@routes.add("POST /v1/devices/{thing}/commands", body=OrderDocument, answer=CommandDocument, status=ACCEPTED)
def order(request: Request) -> Any:
    """Ask something of a device: sent at once if it is connected, held until it is or the time is out."""
    return bootstrap.command_desk().order(request.caller, request.path["thing"], _order(request.body))


@routes.add("GET /v1/devices/{thing}/commands", query=PageQuery, answer=CommandsPage)
def list_commands(request: Request) -> Any:
    """List the commands of a device, newest first."""
    after = request.position(request.query["cursor"])
    page = bootstrap.command_desk().mine(
        request.caller, request.path["thing"], limit=request.query["limit"], after=after
    )
    return {"items": page.items, "next_cursor": request.cursor(page.after)}


@routes.add("GET /v1/devices/{thing}/commands/{command}", answer=CommandDocument)
def get_command(request: Request) -> Any:
    """Look at one command and how far it has come."""
    return bootstrap.command_desk().get(request.caller, request.path["thing"], request.path["command"])


@routes.add("POST /v1/rooms/{room}/commands", body=OrderDocument, answer=OutcomesDocument, status=ACCEPTED)
def order_in_room(request: Request) -> Any:
    """Ask the same of every device in a room; each is asked or refused on its own."""
    outcomes = bootstrap.command_desk().order_in_room(request.caller, request.path["room"], _order(request.body))
    return {"items": [_outcome(outcome) for outcome in outcomes]}


@routes.add("GET /v1/devices/{thing}/shadow", answer=ShadowDocument)
def shadow(request: Request) -> Any:
    """Read what is wanted of a device, and what it reports."""
    thing = request.path["thing"]
    return dump_shadow(thing, bootstrap.shadow_desk().get(request.caller, thing))


@routes.add("PATCH /v1/devices/{thing}/shadow", body=DesiredDocument, answer=ShadowDocument)
def desire(request: Request) -> Any:
    """Change what is wanted of a device."""
    thing = request.path["thing"]
    desired = request.body["desired"]
    return dump_shadow(thing, bootstrap.shadow_desk().desire(request.caller, thing, desired, version=request.version))


@routes.add("GET /v1/devices/{thing}/config", answer=ShadowDocument)
def config(request: Request) -> Any:
    """Read the configuration of a device, wanted and reported."""
    thing = request.path["thing"]
    return dump_shadow(thing, bootstrap.shadow_desk().get(request.caller, thing, CONFIG))


@routes.add("PATCH /v1/devices/{thing}/config", body=SettingsDocument, answer=ShadowDocument)
def configure(request: Request) -> Any:
    """Change the configuration of a device."""
    thing = request.path["thing"]
    settings = request.body["settings"]
    return dump_shadow(
        thing, bootstrap.shadow_desk().configure(request.caller, thing, settings, version=request.version)
    )


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    return routes.serve(event)


def _order(body: Any) -> Order:
    return Order(name=body["command"], parameters=body["parameters"], lifetime=timedelta(seconds=body["expires_in_s"]))


def _outcome(outcome: Outcome) -> dict[str, Any]:
    error = {"code": outcome.error.code, "detail": outcome.error.message} if outcome.error else None
    return {"thing": outcome.thing, "command": asdict(outcome.command) if outcome.command else None, "error": error}
