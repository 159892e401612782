"""Items of the signed-in person, by REST and by the original mobile-backend envelope."""

from typing import Any

from backend import bootstrap
from backend.runtime.http import Answer, Request, Routes
from backend.schemas.control import (
    EnvelopeAnswer,
    EnvelopeDocument,
    ItemBody,
    ItemDocument,
    ItemsPage,
    ItemsQuery,
)

routes = Routes(answers=bootstrap.answers, clock=bootstrap.clock)


@routes.add("POST /v1/mobile", body=EnvelopeDocument, answer=EnvelopeAnswer)
def mobile(request: Request) -> Any:
    """Carry out one operation of the original mobile-backend contract."""
    return {"result": bootstrap.mobile().call(lambda: request.caller, request.body)}


@routes.add("GET /v1/items/{table}", query=ItemsQuery, answer=ItemsPage)
def list_items(request: Request) -> Any:
    """List my items of a table; with `since`, what moved and what was deleted."""
    book, table, limit = bootstrap.item_book(), request.path["table"], request.query["limit"]
    since = request.query.get("since")
    if since is not None:
        changed = book.changes(request.caller, table, since=since, limit=limit)
        last = changed.items[-1].change if changed.items else since
        return {"items": changed.items, "next_cursor": None, "next_since": last}
    page = book.all(request.caller, table, limit=limit, after=request.position(request.query["cursor"]))
    return {"items": page.items, "next_cursor": request.cursor(page.after), "next_since": None}


@routes.add("GET /v1/items/{table}/{item}", answer=ItemDocument)
def get_item(request: Request) -> Any:
    """Read one item."""
    return bootstrap.item_book().get(request.caller, request.path["table"], request.path["item"])


@routes.add("PUT /v1/items/{table}/{item}", body=ItemBody, answer=ItemDocument, versioned=True)
def put_item(request: Request) -> Any:
    """Write an item; `If-Match` names the version it is based on, `"0"` one that must not exist."""
    item = bootstrap.item_book().put(
        request.caller, request.path["table"], request.path["item"], request.body["body"], version=request.version
    )
    return Answer(document=item)


@routes.add("DELETE /v1/items/{table}/{item}", answer=None, versioned=True)
def remove_item(request: Request) -> None:
    """Delete an item; my other apps learn of it by `since`."""
    bootstrap.item_book().remove(request.caller, request.path["table"], request.path["item"], version=request.version)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    return routes.serve(event)
