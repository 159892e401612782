"""An answer too long to be kept: its idempotency key protects all the same."""

from typing import Any

from marshmallow import fields

from backend import bootstrap
from backend.domain.idempotency import MAX_KEPT_BYTES
from backend.runtime.http import Request, Routes
from backend.schemas.base import Document
from tests.integration.backend.world import World


class Said(Document):
    """What was said."""

    text = fields.String()


def call(routes: Routes, key: str) -> dict[str, Any]:
    claims = {"sub": "ann", "token_use": "access"}
    return routes.serve({
        "routeKey": "POST /say", "rawPath": "/say", "headers": {"idempotency-key": key},
        "requestContext": {"authorizer": {"jwt": {"claims": claims}}},
    })  # fmt: skip


def test_the_second_call_is_not_carried_out_and_is_told_so(world: World) -> None:
    routes = Routes(answers=bootstrap.parts.answers, clock=lambda: world.clock)
    said: list[str] = []
    lengths = [MAX_KEPT_BYTES, 10]

    @routes.add("POST /say", answer=Said)
    def say(_request: Request) -> Any:
        """Say something long, then something short."""
        said.append("é" * (lengths[len(said)] // 2))
        return {"text": said[-1]}

    first, again = call(routes, "k"), call(routes, "k")
    assert (first["statusCode"], again["statusCode"], len(said)) == (200, 409, 1)
    assert again["headers"]["idempotency-replayed"] == "true"
    assert '"answered":200' in again["body"]
    assert "too long to be told again" in again["body"]
    assert call(routes, "k")["body"] == again["body"]
    assert (call(routes, "another")["statusCode"], len(said)) == (200, 2)
