"""SAM to CloudFormation by AWS's own translator, without a network; what it takes a second for is kept by content.

Where a function's code is a local directory, the translation holds ``Code: {S3Bucket: local-directory, S3Key: task
root, S3ObjectVersion: digest}``: the digest changes with the code, and so a version is published as by ``sam deploy``.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from infra.local.template.errors import TemplateError
from infra.local.template.parameters import resolve_parameters

LOCAL_BUCKET = "local-directory"
TRANSFORM = "AWS::Serverless-2016-10-31"
SERVERLESS_CODE = {"AWS::Serverless::Function": "CodeUri"}
MAX_KEPT = 8
REGION_VARIABLE = "AWS_DEFAULT_REGION"


def translate(path: Path, given: Mapping[str, str], *, region: str, cache: Path | None = None) -> dict[str, Any]:
    """Return the CloudFormation template that the SAM template at ``path`` stands for.

    Args:
        path: the template; relative code directories are seen from where it lies.
        given: values of parameters; SAM looks at some of them. The others have their defaults.
        region: of the stack.
        cache: a directory of earlier translations; None translates afresh.

    Raises:
        TemplateError: the document is no template, a parameter is wrong, or SAM refuses.
    """
    inputs = [dict(given), region, str(path), version("aws-sam-translator")]
    key = hashlib.sha256(path.read_bytes() + json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]
    kept = _kept(cache, key)
    if kept is not None:
        return kept
    document = load_template(path)
    if document.get("Transform", TRANSFORM) not in (TRANSFORM, [TRANSFORM]):
        raise TemplateError("", f"of transforms only {TRANSFORM} is carried", "Transform")
    parameters = resolve_parameters(document.get("Parameters", {}), given)
    directories = {str(directory): digest(directory) for _, _, directory in _code_directories(document, path.parent)}
    template = _translated(document, path, parameters, region)
    if cache is not None:
        _keep(cache, key, {"code": directories, "template": template})
    return template


def load_template(path: Path) -> dict[str, Any]:
    """Return the template as written, short forms (``!Ref``) as their long ones.

    Raises:
        TemplateError: it is not YAML, or no mapping with resources.
    """
    from samtranslator.yaml_helper import yaml_parse
    from yaml import YAMLError

    try:
        document = yaml_parse(path.read_text())
    except (ValueError, YAMLError) as error:
        raise TemplateError("", f"{path.name} cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise TemplateError("", f"{path.name} has no Resources")
    for name in document["Resources"]:
        if str(name).startswith("Fn::"):
            raise TemplateError(name, "Fn::ForEach and the other language extensions are not carried")
    return document


def digest(directory: Path) -> str:
    """Return a digest of the code below ``directory``: of names and contents, bytecode left out."""
    total = hashlib.sha256()
    for file in sorted(directory.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            total.update(f"{file.relative_to(directory)}\0".encode() + file.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def task_root(directory: Path) -> Path:
    """Return what becomes ``/var/task``: the directory, or its parent where it is itself a package.

    The ``Handler`` of such a function begins with the package's name, and its build keeps that name in the archive.
    """
    return directory.parent if (directory / "__init__.py").is_file() else directory


def _kept(cache: Path | None, key: str) -> dict[str, Any] | None:
    if cache is None or not (cache / f"{key}.json").is_file():
        return None
    kept = json.loads((cache / f"{key}.json").read_text())
    same = all(Path(name).is_dir() and digest(Path(name)) == was for name, was in kept["code"].items())
    return cast("dict[str, Any]", kept["template"]) if same else None


def _keep(cache: Path, key: str, entry: Mapping[str, Any]) -> None:
    """Write an entry, whole or not at all, and drop the oldest ones beyond ``MAX_KEPT``."""
    cache.mkdir(parents=True, exist_ok=True)
    fresh = cache / f"{key}.{os.getpid()}"
    fresh.write_text(json.dumps(entry, default=str))
    fresh.replace(cache / f"{key}.json")
    for old in sorted(cache.glob("*.json"), key=lambda file: file.stat().st_mtime)[:-MAX_KEPT]:
        old.unlink(missing_ok=True)


def _code_directories(document: Mapping[str, Any], base: Path) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """Yield logical id, properties and directory of every function whose code is a local directory.

    Raises:
        TemplateError: there is no such directory.
    """
    shared = document.get("Globals", {}).get("Function", {})
    for logical_id, resource in document["Resources"].items():
        if not isinstance(resource, dict) or resource.get("Type") not in SERVERLESS_CODE:
            continue
        properties = resource.setdefault("Properties", {})
        uri = properties.get("CodeUri", shared.get("CodeUri"))
        if isinstance(uri, str) and not uri.startswith("s3://"):
            directory = (base / uri).resolve()
            if not directory.is_dir():
                raise TemplateError(logical_id, f"there is no directory {uri}", "CodeUri")
            yield logical_id, properties, directory


def _translated(document: dict[str, Any], path: Path, parameters: Mapping[str, Any], region: str) -> dict[str, Any]:
    os.environ.setdefault(REGION_VARIABLE, region)  # noqa: TID251 - the translator reads the region from nowhere else
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of metrics that only AWS would read
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform

    for _, properties, directory in list(_code_directories(document, path.parent)):
        code = {"Bucket": LOCAL_BUCKET, "Key": str(task_root(directory)), "Version": digest(directory)}
        properties["CodeUri"] = code
    document.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    try:
        return cast("dict[str, Any]", transform(document, dict(parameters), _NoManagedPolicies()))
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes) or error.message
        raise TemplateError("", f"SAM refuses {path.name}: {causes}") from error


class _NoManagedPolicies:
    """Names of managed policies come with the translator; asking IAM for more would need a network."""

    def load(self) -> dict[str, str]:
        return {}
