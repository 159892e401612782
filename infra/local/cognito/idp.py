"""The ``cognito-idp`` API: every operation that is carried, and the public documents of each pool."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from infra.local.clock import Clock
from infra.local.cognito.accounts import Accounts
from infra.local.cognito.challenges import Challenges
from infra.local.cognito.codes import Codes
from infra.local.cognito.directory import Document
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.inbox import Inbox
from infra.local.cognito.pools import Pools
from infra.local.cognito.sign_in import Flows, SecondFactor
from infra.local.cognito.sign_ins import SignIns
from infra.local.cognito.sign_up import SignUp
from infra.local.cognito.tokens import SigningKeys
from infra.local.cognito.triggers import Invoke, Triggers
from infra.local.wire import Request, Response, json_response, without_nulls

Operation = Callable[[Document], Awaitable[Document]]


class CognitoIdp:
    """User pools, as one AWS service."""

    def __init__(
        self,
        clock: Clock,
        region: str,
        state_dir: Path,
        invoke: Invoke,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        make_keys: Callable[[], SigningKeys] = SigningKeys.generate,
    ) -> None:
        self.inbox = Inbox(state_dir)
        self.inbox.clear()
        self._pools = Pools(clock, region, random_bytes=random_bytes, make_keys=make_keys)
        triggers = Triggers(invoke)
        sign_ins = SignIns(self._pools, triggers)
        codes = Codes(self._pools, self.inbox, triggers)
        challenges = Challenges(self._pools)
        rooms = (
            self._pools,
            SignUp(self._pools, sign_ins, codes, triggers),
            Flows(self._pools, sign_ins, challenges, triggers),
            SecondFactor(self._pools, challenges),
            Accounts(self._pools, codes),
        )
        self._operations = carried("cognito-idp", rooms)

    @property
    def operations(self) -> frozenset[str]:
        """Return the names of the operations that are carried."""
        return frozenset(self._operations)

    def jwks(self, pool_id: str) -> dict[str, Any] | None:
        """Return a pool's public keys; None if there is no such pool."""
        pool = self._pools.find(pool_id)
        return pool.keys.jwks() if pool else None

    def read_id_token(self, pool_id: str, token: str) -> dict[str, Any]:
        """Return the claims of an id token that the pool signed, expired or not.

        Raises:
            ValueError: it did not, or there is no such pool.
        """
        pool = self._pools.find(pool_id)
        if pool is None:
            raise ValueError("no such pool")
        return pool.keys.read(token, "id")

    def is_signed_in(self, pool_id: str, claims: Mapping[str, Any]) -> bool:
        """Say whether the sign-in that a token came of still stands, and its user is there and enabled."""
        pool = self._pools.find(pool_id)
        sign_in = pool.sign_ins.get(claims["origin_jti"]) if pool else None
        user = pool.find_user(claims["sub"]) if pool else None
        return bool(user and user.enabled and sign_in and not sign_in.revoked)

    async def handle(self, request: Request) -> Response:
        """Answer one call; ``GET /{pool id}/.well-known/…`` gives the public documents."""
        if request.method == "GET":
            return self._well_known(request.path)
        return await answer("cognito-idp", self._operations, request)

    def _well_known(self, path: str) -> Response:
        pool_id, _, document = path.strip("/").partition("/.well-known/")
        pool = self._pools.find(pool_id)
        if pool is None or document not in ("jwks.json", "openid-configuration"):
            return json_response({"message": f"User pool {pool_id} does not exist."}, 404)
        if document == "jwks.json":
            return json_response(pool.keys.jwks())
        return json_response(
            {
                "issuer": pool.issuer,
                "jwks_uri": f"{pool.issuer}/.well-known/jwks.json",
                "id_token_signing_alg_values_supported": ["RS256"],
                "subject_types_supported": ["public"],
            }
        )


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's description of a service, which says what its requests must look like."""
    return botocore.session.get_session().get_service_model(service)


def carried(service: str, rooms: tuple[object, ...]) -> dict[str, Operation]:
    """Return the service's operations that one of ``rooms`` has a method for."""
    found = {}
    for operation in service_model(service).operation_names:
        for room in rooms:
            if (method := getattr(room, xform_name(operation), None)) is not None:
                found[operation] = method
    return found


async def answer(service: str, operations: dict[str, Operation], request: Request) -> Response:
    """Check a request against the service's model, run it, and answer in JSON 1.1."""
    operation = request.operation
    model = service_model(service)
    if operation not in operations:
        what = "does not carry" if operation in model.operation_names else "knows no operation"
        message = f"The local cloud {what} {service}:{operation}."
        return _json({"__type": "UnknownOperationException", "message": message}, 400)
    try:
        document = await operations[operation](_checked(model, operation, request))
    except CognitoError as error:
        return _json({"__type": error.code, "message": error.message}, 400)
    return _json(document, 200)


def _checked(model: ServiceModel, operation: str, request: Request) -> Document:
    try:
        params = without_nulls(request.json())
    except (ValueError, RecursionError) as error:
        raise CognitoError("SerializationException", "The request is not JSON.") from error
    shape = model.operation_model(operation).input_shape
    report = ParamValidator().validate(params, shape)  # type: ignore[arg-type]  # every operation here has an input
    if report.has_errors():
        raise CognitoError.invalid(report.generate_report())
    _check_values(shape, params, "")
    return dict(params)


def _check_values(shape: Any, value: Any, where: str) -> None:
    """Refuse what is not among the values a member may have, or too large: botocore leaves that to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            _check_values(shape.members[name], member, f"{where}.{name}".strip("."))
    elif shape.type_name == "list":
        for member in value:
            _check_values(shape.member, member, f"{where}.member")
    else:
        allowed, most = getattr(shape, "enum", None), shape.metadata.get("max")
        rule = f"satisfy enum value set: [{', '.join(allowed)}]" if allowed and value not in allowed else ""
        if shape.type_name == "integer" and most is not None and value > most:
            rule = f"have value less than or equal to {most}"
        if rule:
            message = f"Value '{value}' at '{where}' failed to satisfy constraint: Member must {rule}"
            raise CognitoError.invalid(f"1 validation error detected: {message}")


def _json(document: object, status: int) -> Response:
    def seconds(value: object) -> float:
        if isinstance(value, datetime):
            return value.timestamp()
        raise TypeError(type(value).__name__)

    headers = {"content-type": "application/x-amz-json-1.1"}
    return Response(status=status, headers=headers, body=json.dumps(document, default=seconds).encode())
