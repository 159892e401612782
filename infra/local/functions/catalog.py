"""What exists: functions, their versions, aliases, policies, concurrency, asynchronous settings.

Held in memory, as a local cloud starts fresh each time.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.functions import settings
from infra.local.functions.code import Code
from infra.local.functions.model import (
    LATEST,
    QUALIFIER,
    Alias,
    AsyncConfig,
    Configuration,
    LambdaError,
    Target,
    check_name,
    invalid,
    malformed,
    not_found,
    split_reference,
)


@dataclass(slots=True, kw_only=True)
class Function:
    """One function and all that hangs on it."""

    latest: Configuration
    versions: dict[str, Configuration] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    policies: dict[str | None, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Qualifier to statement id to statement."""
    async_configs: dict[str, AsyncConfig] = field(default_factory=dict)
    """By qualifier, ``$LATEST`` for none."""
    reserved_concurrency: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    last_version: int = 0


class Catalog:
    """The functions of the account."""

    def __init__(
        self,
        region: str,
        clock: Clock,
        new_id: Callable[[], str],
        random: Callable[[], float],
        on_change: Callable[[str], None],
    ) -> None:
        """``on_change`` is called with a function's ARN when its workers are out of date."""
        self._region = region
        self._clock = clock
        self._new_id = new_id
        self._random = random
        self._on_change = on_change
        self._functions: dict[str, Function] = {}

    def __iter__(self) -> Iterator[Function]:
        return iter(self._functions.values())

    def get(self, reference: str) -> Function:
        """Return a function by name or ARN.

        Raises:
            LambdaError: there is none.
        """
        name, _ = split_reference(reference, self._region)
        function = self._functions.get(name)
        if function is None:
            raise not_found("Function", self._arn(name))
        return function

    def create(self, given: Mapping[str, Any], code: Code) -> Function:
        """Add a function as CreateFunction describes it."""
        name = check_name(given.get("FunctionName", ""))
        if name in self._functions:
            raise LambdaError("ResourceConflictException", f"Function already exist: {name}", 409)
        if given.get("PackageType", "Zip") != "Zip":
            raise invalid("PackageType Image is not carried by the local cloud")
        empty = Configuration(
            name=name, region=self._region, role="", handler="", runtime="", task_root=Path(), code_sha256="",
            code_size_bytes=0, last_modified="", revision_id="", log_group=f"/aws/lambda/{name}",
        )  # fmt: skip
        for required in ("Role", "Handler", "Runtime"):
            if not given.get(required):
                raise malformed(None, required.lower(), "Member must not be null")
        function = Function(
            latest=self._stamped(_with_code(settings.configured(empty, given), code)), tags=dict(given.get("Tags", {}))
        )
        self._functions[name] = function
        if given.get("Publish"):
            self.publish(function, "")
        return function

    def configure(self, function: Function, given: Mapping[str, Any]) -> None:
        """Change the settings of ``$LATEST``."""
        _check_revision(given, function.latest.revision_id)
        function.latest = self._stamped(settings.configured(function.latest, given))
        self._on_change(function.latest.function_arn)

    def replace_code(self, function: Function, code: Code, architectures: tuple[str, ...] | None) -> None:
        """Change the code of ``$LATEST``."""
        changed = replace(function.latest, architectures=architectures or function.latest.architectures)
        function.latest = self._stamped(_with_code(changed, code))
        self._on_change(function.latest.function_arn)

    def delete(self, function: Function, version: str | None) -> None:
        """Remove a function, or one of its published versions."""
        if version == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if version:
            if any(
                version == alias.version or version in dict(alias.additional) for alias in function.aliases.values()
            ):
                raise LambdaError(
                    "ResourceConflictException", f"Cannot delete version {version}: an alias points to it", 409
                )
            function.versions.pop(version, None)
        else:
            del self._functions[function.latest.name]
        self._on_change(function.latest.function_arn)

    def publish(self, function: Function, description: str) -> Configuration:
        """Publish ``$LATEST``; the same code and settings as the last version are that version. ("PublishVersion").

        The files of a local directory are not copied: a version of one runs what stands there now.
        """
        latest = function.latest
        newest = function.versions.get(str(function.last_version))
        if newest and _same(newest, latest):
            return newest
        function.last_version += 1
        published = replace(
            latest,
            version=str(function.last_version),
            revision_id=self._new_id(),
            description=description or latest.description,
        )
        function.versions[published.version] = published
        return published

    def put_alias(self, function: Function, given: Mapping[str, Any], *, create: bool) -> Alias:
        """Create or update an alias."""
        name = given["Name"]
        before = function.aliases.get(name)
        if create and before:
            raise LambdaError(
                "ResourceConflictException", f"Alias already exists: {self._arn(function.latest.name)}:{name}", 409
            )
        if not create and before is None:
            raise not_found("Alias", f"{self._arn(function.latest.name)}:{name}")
        if before:
            _check_revision(given, before.revision_id)
        weights = given.get("RoutingConfig", {}).get("AdditionalVersionWeights")
        alias = Alias(
            name=name,
            version=given.get("FunctionVersion") or (before.version if before else ""),
            description=given.get("Description", before.description if before else ""),
            revision_id=self._new_id(),
            additional=tuple(weights.items()) if weights is not None else (before.additional if before else ()),
        )
        settings.check_alias(alias)
        for version in (alias.version, *dict(alias.additional)):
            self.version(function, version)
        function.aliases[name] = alias
        return alias

    def alias(self, function: Function, name: str) -> Alias:
        """Return an alias."""
        if name not in function.aliases:
            raise not_found("Alias", f"{self._arn(function.latest.name)}:{name}")
        return function.aliases[name]

    def version(self, function: Function, version: str) -> Configuration:
        """Return ``$LATEST`` or a published version."""
        if version == LATEST:
            return function.latest
        if version not in function.versions:
            raise not_found("Function", f"{self._arn(function.latest.name)}:{version}")
        return function.versions[version]

    def resolve(self, reference: str, qualifier: str | None = None) -> Target:
        """Return what a name or ARN, with a version or alias in it or beside it, stands for now."""
        name, own = split_reference(reference, self._region)
        if own and qualifier and own != qualifier:
            raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
        qualifier = qualifier or own
        function = self.get(name)
        configuration = self._pick(function, qualifier)
        arn = function.latest.function_arn
        return Target(
            configuration=configuration,
            invoked_arn=f"{arn}:{qualifier}" if qualifier else arn,
            qualifier=qualifier,
            reserved_concurrency=function.reserved_concurrency,
            async_config=function.async_configs.get(qualifier or LATEST, AsyncConfig()),
        )

    def _pick(self, function: Function, qualifier: str | None) -> Configuration:
        if qualifier is None or qualifier == LATEST:
            return function.latest
        if not re.fullmatch(QUALIFIER, qualifier):
            raise malformed(qualifier, "qualifier", f"Member must satisfy regular expression pattern: {QUALIFIER}")
        if qualifier.isdigit():
            return self.version(function, qualifier)
        alias = self.alias(function, qualifier)
        share = self._random()
        for version, weight in alias.additional:
            if share < weight:
                return self.version(function, version)
            share -= weight
        return self.version(function, alias.version)

    def _stamped(self, configuration: Configuration) -> Configuration:
        modified = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        return replace(configuration, last_modified=modified, revision_id=self._new_id())

    def _arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self._region}:{ACCOUNT_ID}:function:{name}"


def _with_code(configuration: Configuration, code: Code) -> Configuration:
    return replace(configuration, task_root=code.task_root, code_sha256=code.sha256, code_size_bytes=code.size_bytes)


def _same(published: Configuration, latest: Configuration) -> bool:
    return published == replace(
        latest,
        version=published.version,
        revision_id=published.revision_id,
        last_modified=published.last_modified,
        description=published.description,
    )


def _check_revision(given: Mapping[str, Any], current: str) -> None:
    if given.get("RevisionId") and given["RevisionId"] != current:
        raise LambdaError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
            412,
        )
