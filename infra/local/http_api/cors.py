"""Cross-origin answers as API Gateway gives them: pure ("Configure CORS for HTTP APIs").

The gateway answers preflights itself, even where no route takes OPTIONS, and puts its own headers in place of the
function's.
"""

from infra.local.http_api.events import Answer, Call
from infra.local.http_api.openapi import Cors

PREFIX = "access-control-"


def preflight(cors: Cors, call: Call) -> Answer | None:
    """Return the answer to a preflight; None when ``call`` is none."""
    origin = call.header("origin")
    if call.method != "OPTIONS" or origin is None or call.header("access-control-request-method") is None:
        return None
    headers = list(_allowed(cors, origin))
    if headers:
        if cors.methods:
            headers.append(("access-control-allow-methods", ",".join(cors.methods)))
        if cors.headers:
            headers.append(("access-control-allow-headers", ",".join(cors.headers)))
        if cors.max_age_s is not None:
            headers.append(("access-control-max-age", str(cors.max_age_s)))
    return Answer(status=204, headers=tuple(headers))


def dress(cors: Cors, call: Call, answer: Answer) -> Answer:
    """Return ``answer`` with the gateway's headers instead of the function's."""
    kept = tuple(pair for pair in answer.headers if not pair[0].startswith(PREFIX))
    origin = call.header("origin")
    own = list(_allowed(cors, origin)) if origin else []
    if own and cors.exposed:
        own.append(("access-control-expose-headers", ",".join(cors.exposed)))
    return Answer(status=answer.status, body=answer.body, headers=(*kept, *own), error=answer.error)


def _allowed(cors: Cors, origin: str) -> list[tuple[str, str]]:
    scheme = origin.lower().partition("://")[0]
    if "*" in cors.origins:
        return [("access-control-allow-origin", "*")]
    if origin.lower() not in cors.origins and f"{scheme}://*" not in cors.origins:
        return []
    pairs = [("access-control-allow-origin", origin), ("vary", "origin")]
    return [*pairs, ("access-control-allow-credentials", "true")] if cors.credentials else pairs
