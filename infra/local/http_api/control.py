"""The control plane of HTTP APIs that templates and boto3 use: APIs imported from OpenAPI, and their stages."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.clock import Clock
from infra.local.http_api.openapi import Definition, ImportRefusedError, JwtAuthorizer, Route, load_definition
from infra.local.wire import Request, Response, error_response, json_response

STAGE_FIELDS = {
    "stageName", "autoDeploy", "accessLogSettings", "defaultRouteSettings", "routeSettings", "stageVariables",
    "description", "tags",
}  # fmt: skip
ROUTE_FIELDS = {"throttlingBurstLimit", "throttlingRateLimit"}


@dataclass(slots=True, kw_only=True)
class Api:
    """An API and its stages, as CreateStage described them."""

    id: str
    created_at: str
    definition: Definition
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Holds all APIs; ``handle`` is boto3's ``apigatewayv2``."""

    def __init__(
        self, clock: Clock, endpoint: Callable[[str], str], new_id: Callable[[], str], changed: Callable[[str], None]
    ) -> None:
        self.apis: dict[str, Api] = {}
        self._clock = clock
        self._endpoint = endpoint
        self._new_id = new_id
        self._changed = changed
        self._operations: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = [
            (method, re.compile("/v2/apis" + path), operation)
            for method, path, operation in (
                ("PUT", "", self._import),
                ("GET", "", self._list),
                ("GET", "/([^/]+)", self._get),
                ("PUT", "/([^/]+)", self._reimport),
                ("DELETE", "/([^/]+)", self._delete),
                ("GET", "/([^/]+)/(routes|integrations|authorizers)", self._contents),
                ("GET", "/([^/]+)/stages", self._stages),
                ("POST", "/([^/]+)/stages", self._create_stage),
                ("GET", "/([^/]+)/stages/([^/]+)", self._get_stage),
                ("PATCH", "/([^/]+)/stages/([^/]+)", self._update_stage),
                ("DELETE", "/([^/]+)/stages/([^/]+)", self._delete_stage),
            )
        ]

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        for method, pattern, operation in self._operations:
            found = pattern.fullmatch(request.path.rstrip("/"))
            if found and method == request.method:
                return self._answer(operation, request, found.groups())
        message = f"the local cloud does not carry {request.method} {request.path} of API Gateway"
        return error_response("NotImplementedException", message, 501, "rest-json")

    def _answer(self, operation: Callable[..., Any], request: Request, names: tuple[str, ...]) -> Response:
        try:
            answer = operation(*(name.replace("%24", "$") for name in names), request.json())
        except _RefusedError as refused:
            code = {404: "NotFoundException", 409: "ConflictException"}.get(refused.status, "BadRequestException")
            return error_response(code, str(refused), refused.status, "rest-json")
        except (ImportRefusedError, KeyError, ValueError) as error:
            return error_response("BadRequestException", str(error), 400, "rest-json")
        created = request.method == "POST" or (request.method == "PUT" and not names)
        return Response(status=204) if answer is None else json_response(answer, 201 if created else 200)

    def _find(self, api_id: str) -> Api:
        if api_id not in self.apis:
            raise _RefusedError(404, f"Invalid API identifier specified {api_id}")
        return self.apis[api_id]

    def _find_stage(self, api_id: str, name: str) -> dict[str, Any]:
        stages = self._find(api_id).stages
        if name not in stages:
            raise _RefusedError(404, "Invalid stage identifier specified")
        return stages[name]

    def _import(self, given: Mapping[str, Any]) -> dict[str, Any]:
        definition = load_definition(json.loads(given["body"]))
        api = Api(id=self._new_id(), created_at=self._clock.now().isoformat(), definition=definition)
        self.apis[api.id] = api
        return self._described(api)

    def _reimport(self, api_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        api = self._find(api_id)
        api.definition = load_definition(json.loads(given["body"]))
        self._changed(api_id)
        return self._described(api)

    def _list(self, _given: Mapping[str, Any]) -> dict[str, Any]:
        return {"items": [self._described(api) for api in self.apis.values()]}

    def _get(self, api_id: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        return self._described(self._find(api_id))

    def _delete(self, api_id: str, _given: Mapping[str, Any]) -> None:
        del self.apis[self._find(api_id).id]
        self._changed(api_id)

    def _described(self, api: Api) -> dict[str, Any]:
        cors = api.definition.cors
        described = {
            "apiId": api.id,
            "apiEndpoint": self._endpoint(api.id),
            "name": api.definition.title,
            "protocolType": "HTTP",
            "createdDate": api.created_at,
            "disableExecuteApiEndpoint": False,
            "routeSelectionExpression": "$request.method $request.path",
            "tags": dict(api.definition.tags),
        }
        if cors is not None:
            described["corsConfiguration"] = {
                "allowOrigins": cors.origins, "allowMethods": cors.methods, "allowHeaders": cors.headers,
                "exposeHeaders": cors.exposed, "maxAge": cors.max_age_s, "allowCredentials": cors.credentials,
            }  # fmt: skip
        return described

    def _contents(self, api_id: str, kind: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        definition = self._find(api_id).definition
        if kind == "authorizers":
            return {"items": [_described_authorizer(one) for one in definition.authorizers.values()]}
        if kind == "integrations":
            timeouts = {route.function_arn: route.timeout_s for route in definition.routes}
            return {"items": [
                {
                    "integrationId": _short(arn), "integrationType": "AWS_PROXY", "integrationUri": arn,
                    "payloadFormatVersion": "2.0", "timeoutInMillis": int(timeout_s * 1000),
                }
                for arn, timeout_s in timeouts.items()
            ]}  # fmt: skip
        kinds = {
            name: "JWT" if isinstance(one, JwtAuthorizer) else "CUSTOM" for name, one in definition.authorizers.items()
        }
        return {"items": [_described_route(route, kinds.get(route.authorizer, "NONE")) for route in definition.routes]}

    def _stages(self, api_id: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        return {"items": list(self._find(api_id).stages.values())}

    def _create_stage(self, api_id: str, given: dict[str, Any]) -> dict[str, Any]:
        stages = self._find(api_id).stages
        if given["stageName"] in stages:
            raise _RefusedError(409, f"Stage already exists: {given['stageName']}")
        stages[given["stageName"]] = {**_checked_stage(given), "createdDate": self._clock.now().isoformat()}
        return stages[given["stageName"]]

    def _get_stage(self, api_id: str, name: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        return self._find_stage(api_id, name)

    def _update_stage(self, api_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        self._find_stage(api_id, name).update(_checked_stage(given))
        self._changed(api_id)
        return self._find_stage(api_id, name)

    def _delete_stage(self, api_id: str, name: str, _given: Mapping[str, Any]) -> None:
        self._find_stage(api_id, name)
        del self._find(api_id).stages[name]


def _short(text: str) -> str:
    """Return an id for what is named by a text: the same as long as the name is."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _described_route(route: Route, authorization: str) -> dict[str, Any]:
    described = {
        "routeId": _short(route.key),
        "routeKey": route.key,
        "target": f"integrations/{_short(route.function_arn)}",
        "authorizationType": authorization,
        "authorizationScopes": route.scopes,
    }
    return {**described, "authorizerId": _short(route.authorizer)} if route.authorizer else described


def _described_authorizer(one: Any) -> dict[str, Any]:
    described = {"authorizerId": _short(one.name), "name": one.name, "identitySource": one.identity_source}
    if isinstance(one, JwtAuthorizer):
        configuration = {"audience": one.audience, "issuer": one.issuer}
        return {**described, "authorizerType": "JWT", "jwtConfiguration": configuration}
    return {
        **described, "authorizerType": "REQUEST", "authorizerPayloadFormatVersion": one.payload_format,
        "enableSimpleResponses": one.simple, "authorizerResultTtlInSeconds": one.ttl_s,
    }  # fmt: skip


def _checked_stage(given: dict[str, Any]) -> dict[str, Any]:
    for name in given.keys() - STAGE_FIELDS:
        raise ImportRefusedError(f"the local cloud does not carry {name} of a stage")
    settings = [given.get("defaultRouteSettings", {}), *given.get("routeSettings", {}).values()]
    for name in {name for entry in settings for name in entry} - ROUTE_FIELDS:
        raise ImportRefusedError(f"the local cloud does not carry {name} of route settings")
    return dict(given)
