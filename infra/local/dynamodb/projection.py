"""Items of which only some attributes are shown. (Developer guide: Using projection expressions)."""

from typing import Any

from infra.local.aws import Item


def subset(item: Any, names: set[str]) -> Any:
    """Return an item of some of the attributes, which it shares with the whole one."""
    part = object.__new__(Item)
    part.hash_key, part.range_key = item.hash_key, item.range_key
    part.attrs = {name: value for name, value in item.attrs.items() if name in names}  # type: ignore[assignment]  # read only
    return part


def project(item: Any, paths: list[list[str]]) -> Any:
    """Return what a projection expression names; moto's own way, through copies, only for paths into documents."""
    if all(len(path) == 1 and "[" not in path[0] for path in paths):
        return subset(item, {path[0] for path in paths})
    return item.project(paths)
