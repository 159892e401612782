"""Provisioning templates as resources, with their versions. AWS IoT API reference, "CreateProvisioningTemplate"."""

from dataclasses import dataclass, field
from datetime import datetime

from infra.local.iot.errors import ExistsError, InvalidError, NotEmulatedError, RefusedError
from infra.local.iot.provisioning.documents import Template, load_template
from infra.local.iot.registry.state import Answer, Ask, State, found, page

MAX_VERSIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a template's document."""

    body: str
    template: Template
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class ProvisioningTemplate:
    """A fleet provisioning template."""

    name: str
    arn: str
    role_arn: str
    created_at: datetime
    modified_at: datetime
    versions: dict[int, Version]
    description: str | None = None
    enabled: bool = False
    hook_arn: str | None = None
    default: int = 1
    latest: int = 1
    hook: Answer = field(default_factory=dict)


class Templates:
    """Operations on provisioning templates."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._templates: dict[str, ProvisioningTemplate] = {}
        state.holders["provisioningtemplate"] = self._templates.__contains__

    def find(self, name: str) -> ProvisioningTemplate | None:
        """Return the template of that name, if there is one."""
        return self._templates.get(name)

    def create_provisioning_template(self, ask: Ask) -> Answer:
        """Create a template; its document becomes version 1, the default."""
        if ask.get("type", "FLEET_PROVISIONING") != "FLEET_PROVISIONING":
            raise NotEmulatedError("provisioning templates of type JITP")
        name, version = ask["templateName"], self._version(ask)
        if name in self._templates:
            raise ExistsError(f"Provisioning template {name} already exists")
        template = ProvisioningTemplate(
            name=name,
            arn=self._state.arn("provisioningtemplate", name),
            role_arn=ask["provisioningRoleArn"],
            created_at=version.created_at,
            modified_at=version.created_at,
            versions={1: version},
        )
        self._configure(template, ask)
        self._templates[name] = template
        return {**self._name(template), "defaultVersionId": 1}

    def update_provisioning_template(self, ask: Ask) -> Answer:
        """Change a template's description, role, hook, default version, or whether it is enabled."""
        template = self._template(ask)
        if ask.get("removePreProvisioningHook") and ask.get("preProvisioningHook"):
            raise InvalidError("Cannot set and remove the pre-provisioning hook in one request.")
        if (default := ask.get("defaultVersionId")) is not None:
            found(template.versions, default, "Version")
            template.default = default
        template.role_arn = ask.get("provisioningRoleArn", template.role_arn)
        if ask.get("removePreProvisioningHook"):
            template.hook = {}
        self._configure(template, ask)
        template.modified_at = self._state.clock.now()
        return {}

    def describe_provisioning_template(self, ask: Ask) -> Answer:
        """Return a template with its default document."""
        template = self._template(ask)
        return {
            **self._summary(template),
            "defaultVersionId": template.default,
            "templateBody": template.versions[template.default].body,
            "provisioningRoleArn": template.role_arn,
            "preProvisioningHook": template.hook or None,
        }

    def list_provisioning_templates(self, ask: Ask) -> Answer:
        """List templates."""
        templates, token = page(self._templates.values(), ask)
        return {"templates": [self._summary(template) for template in templates], "nextToken": token}

    def delete_provisioning_template(self, ask: Ask) -> Answer:
        """Delete a template that has only its default version."""
        template = self._template(ask)
        if len(template.versions) > 1:
            message = f"Provisioning template {template.name} has more than one version"
            raise RefusedError("DeleteConflictException", 409, message)
        del self._templates[template.name]
        return {}

    def create_provisioning_template_version(self, ask: Ask) -> Answer:
        """Add a version, of at most five."""
        template, version = self._template(ask), self._version(ask)
        if len(template.versions) >= MAX_VERSIONS:
            message = f"Provisioning template {template.name} already has {MAX_VERSIONS} versions"
            raise RefusedError("VersionsLimitExceededException", 409, message)
        template.latest += 1
        template.versions[template.latest] = version
        if ask.get("setAsDefault"):
            template.default = template.latest
        default = template.default == template.latest
        return {**self._name(template), "versionId": template.latest, "isDefaultVersion": default}

    def describe_provisioning_template_version(self, ask: Ask) -> Answer:
        """Return one version of a template."""
        template, number = self._numbered(ask)
        version = template.versions[number]
        return {
            "versionId": number,
            "creationDate": version.created_at.timestamp(),
            "templateBody": version.body,
            "isDefaultVersion": number == template.default,
        }

    def list_provisioning_template_versions(self, ask: Ask) -> Answer:
        """List a template's versions."""
        template = self._template(ask)
        numbers, token = page(template.versions, ask)
        versions = [
            {
                "versionId": number,
                "creationDate": template.versions[number].created_at.timestamp(),
                "isDefaultVersion": number == template.default,
            }
            for number in numbers
        ]
        return {"versions": versions, "nextToken": token}

    def delete_provisioning_template_version(self, ask: Ask) -> Answer:
        """Delete a version that is not the default."""
        template, number = self._numbered(ask)
        if number == template.default:
            raise RefusedError("DeleteConflictException", 409, "Cannot delete the default version of a template")
        del template.versions[number]
        return {}

    def _configure(self, template: ProvisioningTemplate, ask: Ask) -> None:
        template.description = ask.get("description", template.description)
        template.enabled = ask.get("enabled", template.enabled)
        template.hook = ask.get("preProvisioningHook", template.hook)
        template.hook_arn = template.hook.get("targetArn")

    def _version(self, ask: Ask) -> Version:
        body = ask["templateBody"]
        return Version(body=body, template=load_template(body), created_at=self._state.clock.now())

    def _template(self, ask: Ask) -> ProvisioningTemplate:
        return found(self._templates, ask["templateName"], "Provisioning template")

    def _numbered(self, ask: Ask) -> tuple[ProvisioningTemplate, int]:
        template = self._template(ask)
        found(template.versions, ask["versionId"], "Version")
        return template, ask["versionId"]

    def _name(self, template: ProvisioningTemplate) -> Answer:
        return {"templateArn": template.arn, "templateName": template.name}

    def _summary(self, template: ProvisioningTemplate) -> Answer:
        return {
            **self._name(template),
            "description": template.description,
            "creationDate": template.created_at.timestamp(),
            "lastModifiedDate": template.modified_at.timestamp(),
            "enabled": template.enabled,
            "type": "FLEET_PROVISIONING",
        }
