"""Devices of the signed-in person and their readings."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from backend import bootstrap
from backend.domain.telemetry import Position, Range, epoch_ms
from backend.errors import invalid
from backend.runtime.http import Request, Routes
from backend.schemas.devices import (
    ClaimDocument,
    DeviceChanges,
    DeviceDocument,
    DevicesPage,
    DevicesQuery,
    FleetQuery,
    dump_device,
    load_wanted,
)
from backend.schemas.paging import PageQuery
from backend.schemas.people import EntriesPage
from backend.schemas.telemetry import LatestDocument, QuarantinePage, ReadingsPage, ReadingsQuery, dump_quarantined
from backend.services.access import Granted

routes = Routes(answers=bootstrap.answers, clock=bootstrap.clock)
DEFAULT_RANGE = timedelta(days=1)


@routes.add("GET /v1/devices", query=DevicesQuery, answer=DevicesPage)
def list_devices(request: Request) -> Any:
    """List my devices and those shared with me one by one; those shared by room are listed in the room."""
    after = request.position(request.query["cursor"])
    wanted = load_wanted(request.query)
    page = bootstrap.search().mine(request.caller, wanted, limit=request.query["limit"], after=after)
    return {"items": _shown(page.items), "next_cursor": request.cursor(page.after)}


@routes.add("GET /v1/fleet/devices", query=FleetQuery, answer=DevicesPage)
def search_fleet(request: Request) -> Any:
    """Search all devices, for admins, by attribute, firmware or status; what is named first of these leads."""
    after = request.position(request.query["cursor"])
    wanted = load_wanted(request.query)
    page = bootstrap.search().fleet(request.caller, wanted, limit=request.query["limit"], after=after)
    return {"items": _shown(page.items), "next_cursor": request.cursor(page.after)}


@routes.add("POST /v1/devices/claim", body=ClaimDocument, answer=DeviceDocument)
def claim(request: Request) -> Any:
    """Claim a device by the secret on its label."""
    return _one(bootstrap.device_book().claim(request.caller, request.body["thing"], request.body["secret"]))


@routes.add("GET /v1/devices/{thing}", answer=DeviceDocument)
def get_device(request: Request) -> Any:
    """Look at one device."""
    return _one(bootstrap.device_book().get(request.caller, request.path["thing"]))


@routes.add("PATCH /v1/devices/{thing}", body=DeviceChanges, answer=DeviceDocument)
def change_device(request: Request) -> Any:
    """Change how a device is called and described."""
    granted = bootstrap.device_book().rename(
        request.caller, request.path["thing"], version=request.version, **request.body
    )
    return _one(granted)


@routes.add("POST /v1/devices/{thing}/release", answer=None)
def release(request: Request) -> None:
    """Let a device go: nobody is anything to it any more, and its next owner sees nothing from before."""
    bootstrap.device_book().release(request.caller, request.path["thing"])


@routes.add("POST /v1/devices/{thing}/factory-reset", answer=None)
def factory_reset(request: Request) -> None:
    """Let a device go as it left the factory: released, its shadows gone, its connection cut."""
    bootstrap.device_book().factory_reset(request.caller, request.path["thing"])


@routes.add("POST /v1/devices/{thing}/revoke", answer=None)
def revoke(request: Request) -> None:
    """End a device's trust: its certificates open no connection any more, and the live one is cut."""
    bootstrap.device_book().revoke(request.caller, request.path["thing"])


@routes.add("GET /v1/devices/{thing}/audit", query=PageQuery, answer=EntriesPage)
def audit(request: Request) -> Any:
    """Read what was changed about my device, by whom and from where, newest first."""
    after = request.position(request.query["cursor"])
    page = bootstrap.device_book().history(
        request.caller, request.path["thing"], limit=request.query["limit"], after=after
    )
    return {"items": page.items, "next_cursor": request.cursor(page.after)}


@routes.add("GET /v1/devices/{thing}/readings/latest", answer=LatestDocument)
def latest(request: Request) -> Any:
    """Read the newest reading."""
    thing = request.path["thing"]
    return {"thing": thing, "reading": bootstrap.telemetry_queries().latest(request.caller, thing)}


@routes.add("GET /v1/devices/{thing}/readings", query=ReadingsQuery, answer=ReadingsPage)
def readings(request: Request) -> Any:
    """Read a range of readings, in order of time."""
    now_ms = epoch_ms(bootstrap.clock().now())
    to_ms = request.query.get("to", now_ms + 1)
    from_ms = request.query.get("from_", max(0, to_ms - DEFAULT_RANGE // timedelta(milliseconds=1)))
    if from_ms > to_ms:
        raise invalid("from", "is after to")
    position = request.position(request.query["cursor"])
    page = bootstrap.telemetry_queries().between(
        request.caller,
        request.path["thing"],
        Range(from_ms=from_ms, to_ms=to_ms, metric=request.query.get("metric")),
        limit=request.query["limit"],
        after=Position.load(position) if position else None,
    )
    return {"items": page.items, "next_cursor": request.cursor(page.after.dump() if page.after else None)}


@routes.add("GET /v1/devices/{thing}/quarantine", query=PageQuery, answer=QuarantinePage)
def quarantine(request: Request) -> Any:
    """Read what my device sent and what did not fit, newest first, with every reason."""
    after = request.position(request.query["cursor"])
    page = bootstrap.telemetry_queries().quarantined(
        request.caller, request.path["thing"], limit=request.query["limit"], after=after
    )
    return {"items": [dump_quarantined(each) for each in page.items], "next_cursor": request.cursor(page.after)}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    return routes.serve(event)


def _one(granted: Granted) -> dict[str, Any]:
    return _shown([granted])[0]


def _shown(granted: Sequence[Granted]) -> list[dict[str, Any]]:
    statuses = bootstrap.presence_book().status_of([each.device.thing for each in granted])
    return [dump_device(each.device, each.role, *statuses[each.device.thing]) for each in granted]
