"""Event source mappings as boto3 calls them."""

from typing import TYPE_CHECKING

from infra.local.functions.sources import mapping
from infra.local.wire import Response, json_response

if TYPE_CHECKING:
    from infra.local.functions.api import Call


async def create(call: "Call") -> Response:
    """("CreateEventSourceMapping")."""
    return json_response(mapping.document(await call.functions.sources.create(call.body)), 202)


async def update(call: "Call") -> Response:
    """("UpdateEventSourceMapping")."""
    return json_response(mapping.document(await call.functions.sources.update(call.names[0], call.body)), 202)


async def get(call: "Call") -> Response:
    """("GetEventSourceMapping")."""
    return json_response(mapping.document(call.functions.sources.get(call.names[0])))


async def delete(call: "Call") -> Response:
    """("DeleteEventSourceMapping")."""
    return json_response(mapping.document(call.functions.sources.delete(call.names[0]), "Deleting"), 202)


async def list_all(call: "Call") -> Response:
    """("ListEventSourceMappings")."""
    found = call.functions.sources.list(call.query.get("EventSourceArn"), call.query.get("FunctionName"))
    return call.page("EventSourceMappings", [mapping.document(each) for each in found])
