"""Which route of an HTTP API serves a request: pure.

Follows "Working with routes for HTTP APIs": a full match of method and path first, then one with a greedy variable
(``{proxy+}``), then ``$default``; the more specific path wins, and a method of its own before ``ANY``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from infra.local.http_api.openapi import Route

LITERAL, VARIABLE, GREEDY = range(3)


@dataclass(frozen=True, slots=True)
class Match:
    """A route and what its variables stand for, decoded."""

    route: Route
    parameters: Mapping[str, str]


def find_route(routes: Iterable[Route], method: str, path: str) -> Match | None:
    """Return the route that serves ``method`` and ``path`` (undecoded, without the stage); None answers 404."""
    best: tuple[tuple[int, ...], Match] | None = None
    for route in routes:
        if route.method not in {"ANY", method}:
            continue
        found = _match(route, path)
        if found is None:
            continue
        rank = (*found[0], route.method == "ANY")
        if best is None or rank < best[0]:
            best = (rank, Match(route, found[1]))
    return best[1] if best else None


def _match(route: Route, path: str) -> tuple[tuple[int, ...], dict[str, str]] | None:
    if route.key == "$default":
        return (GREEDY + 1,), {}
    wanted, given = route.path.split("/")[1:], path.split("/")[1:]
    if wanted[-1].endswith("+}"):
        given[len(wanted) - 1 :] = ["/".join(given[len(wanted) - 1 :])]
    if len(wanted) != len(given):
        return None
    ranks: list[int] = []
    parameters: dict[str, str] = {}
    for segment, text in zip(wanted, given, strict=True):
        variable = segment.startswith("{")
        if not text if variable else unquote(text) != segment:
            return None
        ranks.append((GREEDY if segment.endswith("+}") else VARIABLE) if variable else LITERAL)
        if variable:
            parameters[segment.strip("{+}")] = unquote(text)
    return tuple(ranks), parameters
