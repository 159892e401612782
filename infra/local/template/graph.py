"""In which order the resources of a template can be made: pure."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.template.errors import TemplateError
from infra.local.template.intrinsics import PSEUDO, references


def dependencies(
    resources: Mapping[str, Any],
    parameters: frozenset[str],
    absent: frozenset[str] = frozenset(),
    holds: Callable[[str], bool] | None = None,
) -> dict[str, frozenset[str]]:
    """Return for each logical id those that must stand before it: what it refers to, and its ``DependsOn``.

    ``absent`` are the resources that their conditions leave out: nobody waits for one, and nobody may refer to one
    except in a branch of ``Fn::If`` that is not taken, as ``holds`` tells.

    Raises:
        TemplateError: a reference leads nowhere, or resources wait for one another.
    """
    needs = {}
    for logical_id, resource in resources.items():
        declared = resource.get("DependsOn", [])
        named = set(references(resource.get("Properties", {}), holds)) - parameters - PSEUDO - {"AWS::NoValue"}
        if left_out := sorted(named & absent):
            raise TemplateError(logical_id, f"refers to {left_out[0]}, which its condition leaves out")
        wanted = named | ({declared} if isinstance(declared, str) else set(declared)) - absent
        if nowhere := sorted(wanted - resources.keys()):
            raise TemplateError(
                logical_id, f"refers to {nowhere[0]}, which is no parameter or resource of this template"
            )
        needs[logical_id] = frozenset(wanted)
    _refuse_circles(needs)
    return needs


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
