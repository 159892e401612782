"""AWS's REST-JSON protocol, served: requests routed and checked by the service model that botocore carries.

The model gives each operation's path, where its members travel, and their patterns and bounds; so a bad name is refused
here in AWS's words, and an operation nobody serves is known by its name.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

from infra.local.iot.errors import InvalidError, IotError, NotEmulatedError
from infra.local.wire import Request, Response, json_response, without_nulls

_LABEL = re.compile(r"\{(\w+)\+?\}")


class RestJson:
    """One AWS service, as its model describes it."""

    def __init__(self, model_name: str) -> None:
        self._model = _service_model(model_name)
        self._routes: dict[tuple[str, str], list[tuple[re.Pattern[str], str]]] = {}
        uris = {name: self._http(name)["requestUri"] for name in self._model.operation_names}
        # The most literal path first: /thing-groups/addThingToThingGroup before /thing-groups/{name}.
        for name in sorted(uris, key=lambda name: len(_LABEL.findall(uris[name]))):
            pattern = re.compile(_LABEL.sub(r"(?P<\1>[^/]+)", uris[name].rstrip("/")) + "/?")
            key = (self._http(name)["method"], uris[name].split("/")[1])
            self._routes.setdefault(key, []).append((pattern, name))

    @property
    def operations(self) -> list[str]:
        """Return the names of all operations AWS has, served here or not."""
        return list(self._model.operation_names)

    def load(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Return the operation's name and its input, checked against the model.

        Raises:
            InvalidError: a member is missing, or not what the model allows.
            NotEmulatedError: no operation of the service has this path.
        """
        name, labels = self._match(request)
        shape = self._model.operation_model(name).input_shape
        if not isinstance(shape, StructureShape):
            return name, {}
        given = _members(shape, request, labels)
        _check(shape, given, "")
        return name, given

    def check(self, name: str, ask: Mapping[str, Any]) -> None:
        """Check the input of an operation that did not come over HTTP.

        Raises:
            InvalidError: a member is missing, or not what the model allows.
        """
        if shape := self._model.operation_model(name).input_shape:
            _check(shape, ask, "")

    def dump(self, name: str, result: Mapping[str, Any]) -> Response:
        """Return an operation's result as AWS sends it: epoch seconds, a payload member as the body itself."""
        shape = self._model.operation_model(name).output_shape
        payload = shape.serialization.get("payload") if shape else None
        if payload:
            return Response(headers={"content-type": "application/json"}, body=result[payload])
        body = json.dumps({key: value for key, value in result.items() if value is not None}, default=_plain)
        return Response(headers={"content-type": "application/json"}, body=body.encode())

    def _match(self, request: Request) -> tuple[str, dict[str, str]]:
        for pattern, name in self._routes.get((request.method, request.path.split("/")[1]), ()):
            if found := pattern.fullmatch(request.path):
                return name, {label: unquote(value) for label, value in found.groupdict().items()}
        raise NotEmulatedError(f"{request.method} {request.path}")

    def _http(self, name: str) -> Mapping[str, str]:
        http: Mapping[str, str] = self._model.operation_model(name).http
        return http


@lru_cache
def _service_model(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def dump_error(error: IotError) -> Response:
    """Return a refusal in the shape botocore reads."""
    return json_response({"message": str(error)}, error.status, x_amzn_errortype=error.code)


def _members(shape: StructureShape, request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
    query = parse_qs(request.query, keep_blank_values=True)
    payload = shape.serialization.get("payload")
    in_body = not payload and any("location" not in member.serialization for member in shape.members.values())
    body = _load_body(request) if in_body else {}
    given: dict[str, Any] = {}
    for name, member in shape.members.items():
        wire_name = member.serialization.get("name", name)
        raw: Any
        match member.serialization.get("location"):
            case "uri":
                raw = _typed(member, labels.get(wire_name))
            case "querystring":
                values = query.get(wire_name)
                raw = values if values is None or isinstance(member, ListShape) else _typed(member, values[-1])
            case "header":
                raw = _typed(member, request.headers.get(wire_name.lower()))
            case _:
                raw = request.body if name == payload else body.get(wire_name)
        if raw is not None:
            given[name] = raw
    return given


def _load_body(request: Request) -> dict[str, Any]:
    try:
        body = without_nulls(request.json())
    except (ValueError, RecursionError) as error:
        raise InvalidError("The request body is not JSON.") from error
    if not isinstance(body, dict):
        raise InvalidError("The request body is not an object.")
    return body


def _typed(shape: Shape, text: str | None) -> Any:
    """Return what a path, query or header text stands for; None for none, as for ``?pageSize=``."""
    if text is None or (not text and shape.type_name != "string"):
        return None
    try:
        if shape.type_name in {"integer", "long"}:
            return int(text)
        if shape.serialization.get("jsonvalue"):
            value = json.loads(base64.b64decode(text))
            return value if isinstance(value, str) else json.dumps(value)  # SDKs send the JSON text as a JSON string
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"Value '{text[:100]}' is not valid for {shape.name}.") from error
    return text.lower() == "true" if shape.type_name == "boolean" else text


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "structure": dict,
    "map": dict,
    "list": list,
}


def _check(shape: Shape, value: Any, path: str) -> None:
    """Refuse what the model does not allow, in the words AWS uses.

    Raises:
        InvalidError: with the member's path and the broken constraint.
    """
    wanted = _TYPES.get(shape.type_name)
    if wanted and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        _refuse(path, value, f"Member must be of type {shape.type_name}")
    if isinstance(shape, StructureShape | ListShape | MapShape):
        for member, one, where in _inside(shape, value, path):
            _check(member, one, where)
    else:
        _check_bounds(shape, value, path)


def _inside(shape: Shape, value: Any, path: str) -> Iterator[tuple[Shape, Any, str]]:
    """Yield what a container holds, each with the shape it must have."""
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                _refuse(f"{path}.{name}", None, "Member must not be null")
        given = ((name, value.get(name)) for name in shape.members)
        yield from ((shape.members[name], one, f"{path}.{name}") for name, one in given if one is not None)
    elif isinstance(shape, ListShape):
        yield from ((shape.member, one, f"{path}.{index}.member") for index, one in enumerate(value, 1))
    elif isinstance(shape, MapShape):
        for key, one in value.items():
            yield shape.key, key, f"{path}.key"
            yield shape.value, one, f"{path}.{key}"


def _check_bounds(shape: Shape, value: Any, path: str) -> None:
    size = value if isinstance(value, int) else len(value) if isinstance(value, str | bytes) else 0
    what = "Member must have" + (" value" if isinstance(value, int) else " length")
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        _refuse(path, value, f"{what} greater than or equal to {low}")
    if high is not None and size > high:
        _refuse(path, value, f"{what} less than or equal to {high}")
    if isinstance(shape, StringShape):
        if shape.enum and value not in shape.enum:
            _refuse(path, value, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
        pattern = _pattern(shape.metadata.get("pattern"))
        if pattern and not pattern.fullmatch(value):
            _refuse(path, value, f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}")


def _refuse(path: str, value: Any, constraint: str) -> None:
    shown = "null" if value is None else f"'{value}'"
    raise InvalidError(
        f"1 validation error detected: Value {shown} at '{path.lstrip('.')}' failed to satisfy constraint: {constraint}"
    )


@lru_cache(maxsize=512)
def _pattern(text: str | None) -> re.Pattern[str] | None:
    """Return a pattern of the model, which is Java's; None where Python does not know its classes."""
    try:
        return re.compile(text) if text else None
    except re.error:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
