"""One resource made, changed or removed: its declaration carried out through boto3."""

import contextlib
import hashlib
import threading
from collections.abc import Mapping
from typing import Any, cast

import boto3
import jmespath  # type: ignore[import-untyped]  # the library carries no types
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.config import ACCOUNT_ID, Settings
from infra.local.template.errors import TemplateError
from infra.local.template.intrinsics import Physical
from infra.local.template.kinds.kind import Arguments, Kind
from infra.local.template.shapes import build_arguments

GONE = frozenset({
    "NoSuchEntity", "ResourceNotFoundException", "NotFoundException", "QueueDoesNotExist", "NotFound", "NoSuchBucket",
    "AWS.SimpleQueueService.NonExistentQueue", "ResourceNotFound", "DashboardNotFoundError",
})  # fmt: skip
"""Error codes by which the services say that what is to be removed is not there."""


class Clients:
    """One boto3 client a service, owner's credentials, made when first asked for; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = boto3.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            region_name=settings.region,
        )
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """Return the client of ``service``."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    cast("Any", service),
                    endpoint_url=self._settings.endpoint_url,
                    config=Config(
                        retries={"total_max_attempts": 1},
                        s3={"addressing_style": "path"},
                        parameter_validation=True,
                        max_pool_connections=20,
                    ),
                )
            return self._clients[service]


def physical_name(stack: str, logical_id: str, properties: Mapping[str, Any]) -> str:
    """Return a name as CloudFormation generates them, ``{stack}-{logical id}-{suffix}``, the same at each deploy."""
    suffix = hashlib.sha256(f"{stack}/{logical_id}".encode()).hexdigest()[:12]
    fifo = ".fifo" if properties.get("FifoQueue") or properties.get("FifoTopic") else ""
    return f"{stack[:20]}-{logical_id[:24]}-{suffix}{fifo}"


class Provision:
    """Carries out one kind's declaration for one resource; implements ``kinds.kind.Work``."""

    def __init__(
        self, kind: Kind, logical_id: str, *, clients: Clients, region: str, stack: str, properties: Mapping[str, Any]
    ) -> None:
        self.kind = kind
        self.logical_id = logical_id
        self.properties = dict(properties)
        self.was: dict[str, Any] = {}
        self.ref = ""
        self._clients = clients
        self._answer: dict[str, Any] = {}
        self._constants = {"Region": region, "Account": ACCOUNT_ID}
        self._named = self.properties
        if kind.name and not self.properties.get(kind.name):
            name = physical_name(stack, logical_id, properties)
            spelled = {"s3": name.lower(), "iot": name.replace("-", "_")}.get(kind.service, name)
            self._named = {**self.properties, kind.name: spelled}

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the expressions of the declaration may speak of."""
        return {**self._answer, **self._constants, "Ref": self.ref, "Properties": self._named}

    def rehearse(self) -> None:
        """Refuse properties that the call which makes the resource does not know; nothing is called.

        Raises:
            TemplateError: a property, at any depth, is not carried.
        """
        if self.kind.create:
            shape = _input_shape(self._clients.client(self.kind.service), self.kind.create)
            build_arguments(self.logical_id, shape, self._main(self._named))

    def make(self) -> Physical:
        """Create the resource and everything its parts carry; what fails half-made is removed again.

        Raises:
            TemplateError: a property is not carried, or the service refused.
        """
        if self.kind.create:
            self._answer = self.call(self.kind.create, **self._main(self._named))
        ref = self._value(self.kind.ref)
        if not ref:
            raise TemplateError(
                self.logical_id, f"{self.kind.service} {self.kind.create} answered without {self.kind.ref}"
            )
        self.ref = str(ref)
        try:
            for name, part in self.kind.parts.items():
                if name in self.properties:
                    part(self, self.properties[name])
        except TemplateError:
            with contextlib.suppress(TemplateError):  # what went wrong first is what counts
                self.remove(self.properties, self.ref)
            raise
        return Physical(self.ref, self._attributes())

    def change(self, was: Mapping[str, Any], standing: Physical) -> Physical:
        """Bring the existing resource to the wanted properties, in place."""
        self.was, self.ref = dict(was), standing.ref
        changed = changed_properties(was, self.properties)
        carried = {**self.kind.parts, **self.kind.changes}
        main = changed - carried.keys()
        if main:
            self._change_main(main)
        for part, value in {
            carried[name]: self.properties.get(name) for name in sorted(changed & carried.keys())
        }.items():
            part(self, value)
        if not self.kind.read:
            return standing
        self._answer = self.call(self.kind.read, **self._key(self.kind.read))
        return Physical(self.ref, self._attributes())

    def remove(self, was: Mapping[str, Any], ref: str) -> None:
        """Delete the resource; one that has already gone is well."""
        self.was, self.ref = dict(was), ref
        try:
            if self.kind.before_delete:
                self.kind.before_delete(self)
            if self.kind.delete:
                self.call(self.kind.delete, **self._key())
        except _ServiceRefusedError as refused:
            if refused.code not in GONE:
                raise

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call the kind's service.

        Raises:
            TemplateError: the call does not know an argument, or the service refused.
        """
        client = self._clients.client(self.kind.service)
        built = build_arguments(self.logical_id, _input_shape(client, operation), arguments)
        try:
            return cast("dict[str, Any]", getattr(client, operation)(**built))
        except ClientError as error:
            raise _ServiceRefusedError(self.logical_id, self.kind, operation, error) from error
        except BotoCoreError as error:
            raise TemplateError(self.logical_id, f"{self.kind.service} {operation}: {error}") from error

    def _change_main(self, changed: frozenset[str]) -> None:
        known = {name.lower() for name in self._known(self.kind.update)} if self.kind.update else set()
        elsewhere = self.kind.changes
        wanted, old = (
            self._main({name: value for name, value in properties.items() if name not in elsewhere})
            for properties in (self._named, {**self.was, **self._generated()})
        )
        for name in {name for name in wanted.keys() | old.keys() if wanted.get(name) != old.get(name)}:
            if name.lower() not in known:
                raise TemplateError(self.logical_id, "cannot be changed in place", name)
        gone = sorted(changed - self.properties.keys())
        if gone and not self.kind.whole:
            raise TemplateError(self.logical_id, "cannot be taken away in place; set it to its default", gone[0])
        arguments = {name: value for name, value in wanted.items() if name.lower() in known}
        self.call(self.kind.update, **{**arguments, **self._key(self.kind.update)})

    def _generated(self) -> dict[str, Any]:
        return {name: value for name, value in self._named.items() if name not in self.properties}

    def _main(self, properties: Mapping[str, Any]) -> Arguments:
        rename = self.kind.rename
        main = {rename.get(name, name): value for name, value in properties.items() if name not in self.kind.parts}
        return self.kind.adapt(main) if self.kind.adapt else main

    def _key(self, operation: str = "") -> Arguments:
        known = self._known(operation or self.kind.delete)
        lowered = {name.lower() for name in known}
        pairs = {name: self._value(expression) for name, expression in self.kind.key.items()}
        return {name: value for name, value in pairs.items() if name.lower() in lowered}

    def _known(self, operation: str) -> set[str]:
        return set(_input_shape(self._clients.client(self.kind.service), operation).members)

    def _attributes(self) -> dict[str, Any]:
        attributes = {name: self._value(expression) for name, expression in self.kind.attributes.items()}
        return {name: value for name, value in attributes.items() if value is not None}

    def _value(self, expression: str) -> Any:
        return expression.format(**self.facts) if "{" in expression else jmespath.search(expression, self.facts)


class _ServiceRefusedError(TemplateError):
    def __init__(self, logical_id: str, kind: Kind, operation: str, error: ClientError) -> None:
        detail = error.response.get("Error", {})
        self.code = detail.get("Code", "")
        super().__init__(logical_id, f"{kind.type}: {operation} was refused: {self.code}: {detail.get('Message', '')}")


def changed_properties(was: Mapping[str, Any], wanted: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the properties that differ."""
    return frozenset(name for name in was.keys() | wanted.keys() if was.get(name) != wanted.get(name))


def _input_shape(client: Any, operation: str) -> Any:
    method = client.meta.method_to_api_mapping[operation]
    return client.meta.service_model.operation_model(method).input_shape
