"""In which order the resources of a template can be made: pure."""

from collections.abc import Mapping
from typing import Any

from infra.local.template.errors import TemplateError
from infra.local.template.intrinsics import PSEUDO, references


def dependencies(resources: Mapping[str, Any], parameters: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return for each logical id those that must stand before it: what it refers to, and its ``DependsOn``.

    Raises:
        TemplateError: a reference leads nowhere, or resources wait for one another.
    """
    needs = {
        logical_id: _needs_of(logical_id, resource, resources, parameters) for logical_id, resource in resources.items()
    }
    _refuse_circles(needs)
    return needs


def _needs_of(
    logical_id: str, resource: Mapping[str, Any], resources: Mapping[str, Any], parameters: frozenset[str]
) -> frozenset[str]:
    declared = resource.get("DependsOn", [])
    wanted = set(references(resource.get("Properties", {}))) - parameters - PSEUDO - {"AWS::NoValue"}
    wanted.update([declared] if isinstance(declared, str) else declared)
    for name in sorted(wanted):
        if name not in resources:
            raise TemplateError(logical_id, f"refers to {name}, which is no parameter or resource of this template")
    return frozenset(wanted)


def _refuse_circles(needs: Mapping[str, frozenset[str]]) -> None:
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        _walk(start, needs, trail, done)


def _walk(logical_id: str, needs: Mapping[str, frozenset[str]], trail: list[str], done: set[str]) -> None:
    if logical_id in trail:
        circle = [*trail[trail.index(logical_id) :], logical_id]
        raise TemplateError(logical_id, f"circular reference: {' → '.join(circle)}")
    if logical_id in done:
        return
    trail.append(logical_id)
    for name in sorted(needs[logical_id]):
        _walk(name, needs, trail, done)
    trail.pop()
    done.add(logical_id)


def in_order(needs: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the logical ids so that each stands after what it needs; ties in alphabetical order."""
    ordered: list[str] = []
    placed: set[str] = set()

    def place(logical_id: str) -> None:
        if logical_id not in placed:
            placed.add(logical_id)
            for name in sorted(needs[logical_id] & needs.keys()):
                place(name)
            ordered.append(logical_id)

    for logical_id in sorted(needs):
        place(logical_id)
    return ordered
