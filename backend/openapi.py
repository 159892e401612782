"""The OpenAPI 3.1 document of the HTTP API, generated from routes and schemas; never written by hand.

``python -m backend.openapi`` writes ``backend/openapi.json``; a test fails while that file is stale. What phones out
there were written against stands in ``backend/openapi.released.json``: a test fails when the document breaks it, unless
the first number of ``VERSION`` is raised. At a release, ``python -m backend.openapi --release`` puts today's there.
"""

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields, missing, validate

from backend import handlers
from backend.openapi_changes import unannounced
from backend.runtime.http import PROBLEM, Route, Routes
from backend.schemas.base import Instant

DOCUMENT = Path(__file__).parent / "openapi.json"
RELEASED = Path(__file__).parent / "openapi.released.json"
VERSION = "1.0.0"
PROBLEMS = {
    "400": "The request is not as documented; `errors` names every field.",
    "401": "Nobody has proved who is calling: sign in, and send the access token.",
    "403": "You may see this, but not do this to it.",
    "404": "It does not exist, or is not yours; nobody can tell which.",
    "409": "The state moved, or forbids this: read again, then decide.",
    "412": "The version in `If-Match` is not the current one: read again, then retry.",
    "413": "The request is too large.",
    "422": "The `Idempotency-Key` was used for another call: take a new one.",
    "429": "A limit is reached: wait, then retry.",
    "431": "The address and the headers are too long together; API Gateway takes 10,240 bytes.",
    "500": "Something is wrong on our side.",
    "503": "Something we depend on did not answer: send the same call again.",
}
PLAIN: Mapping[type[fields.Field[Any]], dict[str, Any]] = {
    Instant: {"type": ["string", "integer"], "examples": ["2026-01-31T08:00:00Z", 1769846400000]},
    fields.Email: {"type": "string", "format": "email"},
    fields.AwareDateTime: {"type": "string", "format": "date-time"},
    fields.Boolean: {"type": "boolean"},
    fields.Integer: {"type": "integer"},
    fields.Float: {"type": "number"},
    fields.String: {"type": "string"},
    fields.Raw: {},
}


def all_routes() -> dict[str, Routes]:
    """Return the routes of every handler that has some, by module."""
    names = sorted(module.name for module in pkgutil.iter_modules(handlers.__path__))
    modules = {name: importlib.import_module(f"backend.handlers.{name}") for name in names}
    return {name: module.routes for name, module in modules.items() if hasattr(module, "routes")}


def build() -> dict[str, Any]:
    """Return the document."""
    schemas: dict[str, Any] = {"Problem": _problem()}
    paths: dict[str, dict[str, Any]] = {}
    for tag, routes in all_routes().items():
        for route in routes.by_key.values():
            method, _, path = route.key.partition(" ")
            paths.setdefault(path, {})[method.lower()] = _operation(route, tag, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fieldline", "version": VERSION, "description": "Devices of people, from a phone."},
        "security": [{"accessToken": []}],
        "paths": {path: dict(sorted(paths[path].items())) for path in sorted(paths)},
        "components": {
            "securitySchemes": {"accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {status: _refusal(text) for status, text in PROBLEMS.items()},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def dump() -> str:
    """Return the document as it stands in the repository."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def _operation(route: Route, tag: str, schemas: dict[str, Any]) -> dict[str, Any]:
    method, _, path = route.key.partition(" ")
    first, _, rest = (route.run.__doc__ or "").strip().partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.run.__name__,
        "tags": [tag],
        "summary": first.rstrip("."),
        "parameters": [*_path_parameters(path), *_query_parameters(route, schemas), *_header_parameters(method, route)],
        "responses": {str(route.status): _success(route, schemas)},
    }
    if rest.strip():
        operation["description"] = " ".join(rest.split())
    if route.body is not None:
        content = {"application/json": {"schema": _reference(route.body, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"].update({status: {"$ref": f"#/components/responses/{status}"} for status in PROBLEMS})
    return operation


def _success(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "It is done."}
    schema = _reference(route.answer, schemas)
    return {"description": (route.answer.__doc__ or "").strip(), "content": {"application/json": {"schema": schema}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    parameters = []
    for name, field in route.query().fields.items():
        schema = _field(field, schemas)
        description = schema.pop("description", "")
        parameter = {"name": field.data_key or name, "in": "query", "schema": schema}
        parameters.append({**parameter, "description": description} if description else parameter)
    return parameters


def _header_parameters(method: str, route: Route) -> list[dict[str, Any]]:
    if method == "POST":
        text = "The same call with the same key has one effect and one answer, for a day."
        return [{"name": "Idempotency-Key", "in": "header", "description": text, "schema": {"type": "string"}}]
    if route.versioned:
        text = "The `ETag` of the version this is based on."
        return [{"name": "If-Match", "in": "header", "description": text, "schema": {"type": "string"}}]
    return []


def _reference(schema: type[Schema], schemas: dict[str, Any]) -> dict[str, Any]:
    name = schema.__name__.removesuffix("Document")
    if name not in schemas:
        schemas[name] = {}  # holds the place, should the schema name itself
        schemas[name] = _schema(schema, schemas)
    return {"$ref": f"#/components/schemas/{name}"}


def _schema(schema: type[Schema], schemas: dict[str, Any]) -> dict[str, Any]:
    made = schema().fields
    required = [field.data_key or name for name, field in made.items() if field.required]
    document: dict[str, Any] = {
        "type": "object",
        "description": (schema.__doc__ or "").strip(),
        "additionalProperties": False,
        "properties": {field.data_key or name: _field(field, schemas) for name, field in made.items()},
    }
    return {**document, "required": required} if required else document


def _field(field: fields.Field[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    described = _kind(field, schemas)
    for validator in field.validators:
        described.update(_bounds(validator, described))
    if field.allow_none and "$ref" in described:
        described = {"anyOf": [described, {"type": "null"}]}
    elif field.allow_none and isinstance(described.get("type"), str):
        described["type"] = [described["type"], "null"]
    if field.load_default not in {missing, None} and isinstance(field.load_default, int | str | bool):
        described["default"] = field.load_default
    if "description" in field.metadata:
        described["description"] = field.metadata["description"]
    return described


def _kind(field: fields.Field[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if isinstance(field, fields.Enum):
        return {"type": "string", "enum": [member.value for member in field.enum]}
    if isinstance(field, fields.Nested):
        return _reference(type(field.schema), schemas)
    if isinstance(field, fields.List):
        return {"type": "array", "items": _field(field.inner, schemas)}
    if isinstance(field, fields.Dict):
        values = _field(field.value_field, schemas) if field.value_field else True
        return {"type": "object", "additionalProperties": values}
    for kind, described in PLAIN.items():
        if isinstance(field, kind):
            return dict(described)
    message = f"no way is known to describe a {type(field).__name__}"
    raise TypeError(message)


def _bounds(validator: Any, described: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(validator, validate.Range):
        bounds = {"minimum": validator.min, "maximum": validator.max}
    elif isinstance(validator, validate.Length):
        kind = {"array": "Items", "object": "Properties"}.get(str(described.get("type")), "Length")
        bounds = {f"min{kind}": validator.min, f"max{kind}": validator.max}
    elif isinstance(validator, validate.Regexp):
        bounds = {"pattern": "^" + str(validator.regex.pattern).replace(r"\Z", "$")}
    elif isinstance(validator, validate.OneOf):
        bounds = {"enum": list(validator.choices)}
    else:
        bounds = {}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _refusal(text: str) -> dict[str, Any]:
    gateway = {"type": "object", "properties": {"message": {"type": ["string", "null"]}}}
    return {
        "description": text,
        "content": {
            PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
            "application/json": {"schema": {**gateway, "description": "As API Gateway itself answers."}},
        },
    }


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    violation = {"type": "object", "properties": {"field": text, "problem": text}}
    return {
        "type": "object",
        "description": "What went wrong, as RFC 9457 has it. A conflict of items adds both sides.",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "instance": {"type": "string", "format": "uri"},
            "errors": {"type": "array", "items": violation},
            "yours": {},
            "stored": {},
        },
        "required": ["type", "title", "status", "detail", "instance"],
    }


def release() -> None:
    """Make the document the one that later ones are held against.

    Raises:
        SystemExit: it breaks what was released, and ``VERSION`` does not say so.
    """
    broken = unannounced(json.loads(RELEASED.read_text("utf-8")), build())
    if broken:
        sys.exit(
            "\n".join([*broken, "error: this breaks clients; cure: undo it, or raise the first number of VERSION"])
        )
    RELEASED.write_text(dump(), "utf-8")


if __name__ == "__main__":
    DOCUMENT.write_text(dump(), "utf-8")
    if "--release" in sys.argv:
        release()
