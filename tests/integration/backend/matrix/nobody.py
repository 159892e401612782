"""The cells of nobody: every route, by who has no token or one that opens nothing, through the gateway."""

import re
from collections.abc import Iterable, Iterator
from itertools import product

from tests.integration.backend.gateway import Gateway
from tests.integration.backend.matrix.cells import FIXED, operations
from tests.integration.backend.matrix.rows import ROWS, STATES, rows_of
from tests.integration.backend.matrix.scene import Scene

FROM_THE_GATEWAY = (401, '{"message":"Unauthorized"}')


def judge(gateway: Gateway, scene: Scene, of: Iterable[str] | None = None) -> tuple[int, list[str]]:
    """Return how many cells there are, and which routes let nobody in."""
    count, wrong = 0, []
    known = operations()
    for name in of or ROWS:
        operation = known[name]
        for row in rows_of(name):
            names = operation.names(row)
            for states in product(STATES, repeat=len(names)):
                values = {each: scene.value(each, state, "owner") for each, state in zip(names, states, strict=True)}
                path = re.sub(r"\{(\w+)\}", lambda found: {**FIXED, **values}[found[1]], operation.path)  # noqa: B023
                query = row.query.format(**values)
                given = {**values, "secret": "none"}
                body = row.body(given) if callable(row.body) else row.body
                for flavour, token in _tokens(gateway, scene, full=set(states) <= {"own"}):
                    count += 1
                    headers = {"authorization": f"Bearer {token}"} if token else {}
                    reply = gateway.call(operation.method, f"{path}?{query}" if query else path, body, **headers)
                    told = (reply.status, reply.text.replace(" ", ""))
                    if told != FROM_THE_GATEWAY and not (flavour == "ID token" and reply.status == 401):
                        wrong.append(f"{name} by nobody with {flavour} of {states}: {told}")
    return count, wrong


def _tokens(gateway: Gateway, scene: Scene, *, full: bool) -> Iterator[tuple[str, str | None]]:
    user = scene.people["owner"].user
    yield "no token", None
    if full:
        yield "rubbish", "not.a.token"
        yield "an expired token", gateway.token(user, iat=1_000_000, exp=1_000_600)
        yield "a token of another app", gateway.token(user, client_id="another")
        yield "a token of another pool", gateway.token(user, iss="https://cognito-idp.us-east-1.amazonaws.com/another")
        yield "ID token", gateway.token(user, token_use="id", aud=gateway.audience, client_id=None)
