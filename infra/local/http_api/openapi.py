"""An HTTP API as its OpenAPI document describes it, in the extensions of API Gateway: pure.

Follows "Working with OpenAPI definitions for HTTP APIs" and "OpenAPI extensions" of the API Gateway developer guide.
What is not carried is refused by name when the document is imported.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}
ANY = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
FUNCTION_URI = re.compile(r"arn:aws:apigateway:[^:]+:lambda:path/2015-03-31/functions/(?P<arn>[^/]+)/invocations")
TIMEOUT_MS = 30_000
"""The most, and the default ("Quotas for configuring and running an HTTP API")."""
DEFAULT_TTL_S = 300
"""Of an answer of a Lambda authorizer with an identity source. (SAM developer guide: LambdaAuthorizationIdentity)."""
DOCUMENT_KEYS = {"openapi", "info", "paths", "components", "tags", "servers", "x-amazon-apigateway-cors"}
INTEGRATION_KEYS = {"type", "httpMethod", "uri", "payloadFormatVersion", "timeoutInMillis", "connectionType"}
AUTHORIZER_KEYS = {
    "jwt": {"type", "identitySource", "jwtConfiguration"},
    "request": {
        "type", "identitySource", "authorizerUri", "authorizerPayloadFormatVersion", "authorizerResultTtlInSeconds",
        "enableSimpleResponses",
    },
}  # fmt: skip
NO_AUTHORIZER = "NONE"
"""What SAM writes as the security of a route that is open although the API has a default authorizer."""


class ImportRefusedError(Exception):
    """API Gateway (or this local cloud, which then says so) does not take the document; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtAuthorizer:
    """A JWT authorizer."""

    name: str
    identity_source: tuple[str, ...]
    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaAuthorizer:
    """A REQUEST authorizer."""

    name: str
    identity_source: tuple[str, ...]
    function_arn: str
    simple: bool
    ttl_s: int
    """How long an answer is good for the same identity; 0 asks each time."""
    payload_format: str = "2.0"
    """``2.0``, or ``1.0``: as REST APIs ask."""


Authorizer = JwtAuthorizer | LambdaAuthorizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route and the function behind it."""

    key: str
    """``GET /v1/devices/{thing}``, ``ANY /v1/{proxy+}`` or ``$default``."""
    function_arn: str
    timeout_s: float
    authorizer: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """Return the method, ``ANY`` for each; ``$default`` has ``ANY``."""
        return self.key.split(" ")[0] if " " in self.key else "ANY"

    @property
    def path(self) -> str:
        """Return the path with its variables; "" for ``$default``."""
        return self.key.partition(" ")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """``x-amazon-apigateway-cors``."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int | None = None
    credentials: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole API."""

    title: str
    routes: tuple[Route, ...]
    authorizers: Mapping[str, Authorizer] = field(default_factory=dict)
    cors: Cors | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def load_definition(document: Mapping[str, Any]) -> Definition:
    """Return the API that ``document`` describes.

    Raises:
        ImportRefusedError: something in it is wrong, or not carried.
    """
    _only("the document", document, DOCUMENT_KEYS)
    schemes = document.get("components", {}).get("securitySchemes", {})
    authorizers = {name: _authorizer(name, scheme) for name, scheme in schemes.items()}
    return Definition(
        title=document.get("info", {}).get("title", ""),
        routes=tuple(_routes(document.get("paths", {}), authorizers)),
        authorizers=authorizers,
        cors=_cors(document.get("x-amazon-apigateway-cors")),
        tags={tag["name"]: tag.get("x-amazon-apigateway-tag-value", "") for tag in document.get("tags", [])},
    )


def _only(place: str, given: Mapping[str, Any], known: set[str]) -> None:
    for name in sorted(given.keys() - known):
        raise ImportRefusedError(f"{place}: {name} is not carried by the local cloud")


def _routes(paths: Mapping[str, Any], authorizers: Mapping[str, Authorizer]) -> Iterator[Route]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            if method not in METHODS and method != ANY:
                raise ImportRefusedError(f"{path}: {method} is not carried by the local cloud")
            verb = "ANY" if method == ANY else method.upper()
            yield _route("$default" if path == "$default" else f"{verb} {path}", operation, authorizers)


def _route(key: str, operation: Mapping[str, Any], authorizers: Mapping[str, Authorizer]) -> Route:
    integration = operation.get(INTEGRATION, {})
    _only(f"{key}, {INTEGRATION}", integration, INTEGRATION_KEYS)
    function = FUNCTION_URI.fullmatch(integration.get("uri", ""))
    if str(integration.get("type")).lower() != "aws_proxy" or function is None:
        raise ImportRefusedError(f"{key}: only aws_proxy integrations of a function are carried")
    if str(integration.get("payloadFormatVersion")) != "2.0":
        raise ImportRefusedError(
            f"{key}: payloadFormatVersion {integration.get('payloadFormatVersion')} is not carried"
        )
    timeout_ms = int(integration.get("timeoutInMillis", TIMEOUT_MS))
    if not 50 <= timeout_ms <= TIMEOUT_MS:
        raise ImportRefusedError(f"{key}: timeoutInMillis is 50 to {TIMEOUT_MS}")
    authorizer, scopes = _security(key, operation.get("security", []), authorizers)
    return Route(
        key=key, function_arn=function["arn"], timeout_s=timeout_ms / 1000, authorizer=authorizer, scopes=scopes
    )


def _security(
    key: str, security: list[Mapping[str, list[str]]], authorizers: Mapping[str, Authorizer]
) -> tuple[str, tuple[str, ...]]:
    wanted = [(name, tuple(scopes)) for entry in security for name, scopes in entry.items() if name != NO_AUTHORIZER]
    if len(wanted) > 1:
        raise ImportRefusedError(f"{key}: a route has one authorizer")
    for name, _ in wanted:
        if name not in authorizers:
            raise ImportRefusedError(f"{key}: there is no security scheme {name}")
    return wanted[0] if wanted else ("", ())


def _authorizer(name: str, scheme: Mapping[str, Any]) -> Authorizer:
    given = scheme.get("x-amazon-apigateway-authorizer", {})
    kind = str(given.get("type")).lower()
    if kind not in AUTHORIZER_KEYS:
        raise ImportRefusedError(f"{name}: an authorizer of type {given.get('type')} is not carried by the local cloud")
    _only(name, given, AUTHORIZER_KEYS[kind])
    source = given.get("identitySource", [])
    sources = tuple(source.split(",")) if isinstance(source, str) else tuple(source)
    sources = tuple(entry.strip() for entry in sources if entry.strip())
    if kind == "jwt":
        configuration = given["jwtConfiguration"]
        audience = tuple(str(entry) for entry in configuration.get("audience", []))
        return JwtAuthorizer(name=name, identity_source=sources, issuer=configuration["issuer"], audience=audience)
    function = FUNCTION_URI.fullmatch(given.get("authorizerUri", ""))
    payload_format, simple = str(given.get("authorizerPayloadFormatVersion")), given.get("enableSimpleResponses", False)
    if function is None or payload_format not in {"1.0", "2.0"}:
        raise ImportRefusedError(f"{name}: a function, and authorizerPayloadFormatVersion 1.0 or 2.0 are wanted")
    if simple and payload_format == "1.0":
        raise ImportRefusedError(f"{name}: enableSimpleResponses goes with authorizerPayloadFormatVersion 2.0 only")
    return LambdaAuthorizer(
        name=name,
        identity_source=sources,
        function_arn=function["arn"],
        simple=bool(simple),
        payload_format=payload_format,
        ttl_s=int(given.get("authorizerResultTtlInSeconds", DEFAULT_TTL_S)),
    )


def _cors(given: Mapping[str, Any] | None) -> Cors | None:
    if given is None:
        return None
    known = {"allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "maxAge", "allowCredentials"}
    _only("x-amazon-apigateway-cors", given, known)
    if given.get("allowCredentials") and "*" in given.get("allowOrigins", []):
        raise ImportRefusedError("x-amazon-apigateway-cors: allowCredentials does not go with the origin *")
    return Cors(
        origins=tuple(origin.lower() for origin in given.get("allowOrigins", [])),
        methods=tuple(given.get("allowMethods", [])),
        headers=tuple(given.get("allowHeaders", [])),
        exposed=tuple(given.get("exposeHeaders", [])),
        max_age_s=given.get("maxAge"),
        credentials=bool(given.get("allowCredentials", False)),
    )
