"""CloudFormation's functions, pure: what a value of a template means, once parameters and resources are known.

Follows "Intrinsic function reference" and "Pseudo parameters reference" of the CloudFormation user guide.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.template.errors import TemplateError

NO_VALUE = object()
"""What ``AWS::NoValue`` becomes: the property or list entry that holds it disappears."""
UNKNOWN = "\ue000"
"""Stands in a rehearsal for what only the finished resource will tell; no template holds this private character."""

PSEUDO = frozenset(f"AWS::{name}" for name in ("AccountId", "Partition", "Region", "StackId", "StackName", "URLSuffix"))
VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")
DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")


@dataclass(frozen=True, slots=True)
class Physical:
    """What a provisioned resource answers to ``Ref`` and ``Fn::GetAtt``."""

    ref: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Resolver:
    """The values a template may refer to; ``resources`` grows while the stack is built."""

    pseudo: Mapping[str, str]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: dict[str, Physical] = field(default_factory=dict)
    rehearsal: bool = False
    """Resolve both branches of every ``Fn::If``, and let what hangs on ``UNKNOWN`` values pass."""

    def resolve(self, logical_id: str, value: Any, path: str = "") -> Any:
        """Return ``value`` with every function replaced by what it yields; ``NO_VALUE`` where nothing is left.

        Raises:
            TemplateError: a function is unknown, wrongly formed, or refers to what does not exist.
        """
        if isinstance(value, list):
            found = [self.resolve(logical_id, entry, f"{path}[{index}]") for index, entry in enumerate(value)]
            return [entry for entry in found if entry is not NO_VALUE]
        if isinstance(value, str) and DYNAMIC.search(value):
            raise TemplateError(logical_id, "dynamic references ({{resolve:…}}) are not carried", path)
        if not isinstance(value, dict):
            return value
        function = next((name for name in value if name == "Ref" or str(name).startswith("Fn::")), None)
        if function is not None:
            return self._call(_Place(logical_id, path), function, value)
        pairs = {key: self.resolve(logical_id, entry, f"{path}.{key}".lstrip(".")) for key, entry in value.items()}
        return {key: entry for key, entry in pairs.items() if entry is not NO_VALUE}

    def _call(self, place: "_Place", function: str, value: Mapping[str, Any]) -> Any:
        if function not in FUNCTIONS:
            raise place.error(f"the function {function} is not carried")
        if len(value) > 1:
            raise place.error(f"{function} stands alone, and not beside {', '.join(sorted(value.keys() - {function}))}")
        try:
            return FUNCTIONS[function](self, place, value[function])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise place.error(f"{function} does not take {value[function]!r}") from None

    def is_true(self, condition: str) -> bool:
        """Return whether a condition that is known to be defined holds."""
        return self.holds(condition, condition)

    def holds(self, name: str, logical_id: str, path: str = "") -> bool:
        """Return whether the condition ``name``, which stands at the place named, is true.

        Raises:
            TemplateError: there is no such condition, or it refers to itself.
        """
        if name not in self.conditions:
            raise TemplateError(logical_id, f"the condition {name} is not defined", path)
        try:
            return _truth(self, _Place(name, ""), self.conditions[name])
        except RecursionError:
            raise TemplateError(name, "the condition refers to itself") from None


@dataclass(frozen=True, slots=True)
class _Place:
    logical_id: str
    path: str

    def error(self, message: str) -> TemplateError:
        return TemplateError(self.logical_id, message, self.path)


def _ref(resolver: Resolver, place: _Place, name: Any) -> Any:
    if name == "AWS::NoValue":
        return NO_VALUE
    for known in (resolver.pseudo, resolver.parameters):
        if name in known:
            return known[name]
    if name in resolver.resources:
        return resolver.resources[name].ref
    raise place.error(f"Ref to {name}, which is no parameter or resource of this template")


def _get_att(resolver: Resolver, place: _Place, argument: Any) -> Any:
    target, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
    attribute = resolver.resolve(place.logical_id, attribute, place.path)
    if target not in resolver.resources:
        raise place.error(f"GetAtt of {target}, which is no resource of this template")
    attributes = resolver.resources[target].attributes
    if attribute not in attributes:
        raise place.error(f"{target} has no attribute {attribute}; it has {', '.join(sorted(attributes)) or 'none'}")
    return attributes[attribute]


def _sub(resolver: Resolver, place: _Place, argument: Any) -> str:
    text, given = (argument, {}) if isinstance(argument, str) else argument
    values = {name: resolver.resolve(place.logical_id, value, place.path) for name, value in given.items()}

    def replaced(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        if name in values:
            return str(values[name])
        return _text(_get_att(resolver, place, name) if "." in name else _ref(resolver, place, name))

    return VARIABLE.sub(replaced, text)


def _join(resolver: Resolver, place: _Place, argument: Any) -> str:
    separator, values = argument
    return str(separator).join(_text(entry) for entry in resolver.resolve(place.logical_id, values, place.path))


def _split(resolver: Resolver, place: _Place, argument: Any) -> list[str]:
    separator, text = argument
    return _text(resolver.resolve(place.logical_id, text, place.path)).split(separator)


def _select(resolver: Resolver, place: _Place, argument: Any) -> Any:
    index, values = resolver.resolve(place.logical_id, argument, place.path)
    try:
        return values[int(index)]
    except (IndexError, ValueError):
        if resolver.rehearsal and any(UNKNOWN in str(value) for value in values):
            return UNKNOWN
        raise place.error(f"Fn::Select has no entry {index} in {values}") from None


def _if(resolver: Resolver, place: _Place, argument: Any) -> Any:
    condition, when_true, when_false = argument
    chosen, other = (when_true, when_false)[:: 1 if resolver.holds(condition, place.logical_id, place.path) else -1]
    if resolver.rehearsal:
        resolver.resolve(place.logical_id, other, place.path)
    return resolver.resolve(place.logical_id, chosen, place.path)


def _find_in_map(resolver: Resolver, place: _Place, argument: Any) -> Any:
    name, top, second = resolver.resolve(place.logical_id, argument[:3], place.path)
    try:
        return resolver.mappings[name][top][second]
    except KeyError:
        raise place.error(f"Mappings have no {name}.{top}.{second}") from None


def _base64(resolver: Resolver, place: _Place, argument: Any) -> str:
    return base64.b64encode(_text(resolver.resolve(place.logical_id, argument, place.path)).encode()).decode()


def _equals(resolver: Resolver, place: _Place, argument: Any) -> bool:
    left, right = resolver.resolve(place.logical_id, argument, place.path)
    return _text(left) == _text(right)


def _truth(resolver: Resolver, place: _Place, argument: Any) -> bool:
    """Return what an entry of a condition says; only there may ``Condition`` name another one."""
    if isinstance(argument, dict) and argument.keys() == {"Condition"}:
        return resolver.holds(argument["Condition"], place.logical_id, place.path)
    value = resolver.resolve(place.logical_id, argument, place.path)
    if isinstance(value, bool):
        return value
    raise place.error(f"a condition is true or false, not {value!r}")


def _all(resolver: Resolver, place: _Place, argument: Any) -> bool:
    return False not in [_truth(resolver, place, entry) for entry in argument]  # each entry is looked at


def _any(resolver: Resolver, place: _Place, argument: Any) -> bool:
    return True in [_truth(resolver, place, entry) for entry in argument]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


FUNCTIONS: Mapping[str, Callable[[Resolver, _Place, Any], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": _base64,
    "Fn::Equals": _equals,
    "Fn::And": _all,
    "Fn::Or": _any,
    "Fn::Not": lambda resolver, place, argument: not _truth(resolver, place, argument[0]),
}


def references(value: Any, holds: Callable[[str], bool] | None = None) -> Iterator[str]:
    """Yield every name that ``value`` refers to: of parameters, pseudo parameters and resources alike.

    With ``holds``, which says whether a condition does, only the branch of an ``Fn::If`` that is taken counts.
    """
    if isinstance(value, list):
        for entry in value:
            yield from references(entry, holds)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _entry_references(name, entry, holds)


def _entry_references(name: str, entry: Any, holds: Callable[[str], bool] | None) -> Iterator[str]:
    if name == "Ref" and isinstance(entry, str):
        yield entry
    elif name == "Fn::GetAtt":
        yield entry.split(".")[0] if isinstance(entry, str) else entry[0]
    elif name == "Fn::Sub":
        yield from _sub_references(entry, holds)
    elif name == "Fn::If" and holds is not None:
        yield from references(entry[1] if holds(entry[0]) else entry[2], holds)
    else:
        yield from references(entry, holds)


def _sub_references(argument: Any, holds: Callable[[str], bool] | None) -> Iterator[str]:
    text, given = (argument, {}) if isinstance(argument, str) else argument
    yield from references(given, holds)
    for literal, name in VARIABLE.findall(text):
        if not literal and name not in given:
            yield name.split(".")[0]
