"""Deploy a template: make, change and remove resources until the local cloud is what the template says.

What a deploy makes is written down as it is made. One that fails keeps what it made, as CloudFormation does with
rollback switched off; the next deploy goes on from there.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.local.config import ACCOUNT_ID, Settings
from infra.local.template.check import check_template
from infra.local.template.errors import TemplateError
from infra.local.template.graph import dependencies, in_order
from infra.local.template.intrinsics import NO_VALUE, Physical, Resolver
from infra.local.template.kinds import KINDS
from infra.local.template.kinds.kind import Kind
from infra.local.template.parameters import load_stage, resolve_parameters
from infra.local.template.provision import Clients, Provision, changed_properties
from infra.local.template.translate import translate

THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource as it stands in the local cloud."""

    type: str
    ref: str
    attributes: Mapping[str, Any]
    properties: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    retain: bool = False


@dataclass(slots=True, kw_only=True)
class Stack:
    """A deployed template."""

    name: str
    outputs: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the stack so that the next deploy knows what stands."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=1))
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path, name: str) -> "Stack":
        """Return the stack written at ``path``; an empty one named ``name`` where there is none.

        Raises:
            TemplateError: another stack stands there; this one would remove all that is in it.
        """
        if not path.is_file():
            return cls(name=name)
        raw = json.loads(path.read_text())
        if name not in {raw["name"], ""}:
            raise TemplateError(
                "", f"this local cloud holds the stack {raw['name']}, not {name}; it holds one at a time"
            )
        return cls(**{**raw, "resources": {key: Resource(**value) for key, value in raw["resources"].items()}})


def deploy(
    path: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    settings: Settings,
    report: Callable[[str], None] = lambda _line: None,
    clients: Clients | None = None,
) -> Stack:
    """Bring the local cloud to what the template at ``path`` says, and return the stack.

    Args:
        path: a SAM or CloudFormation template; ``samconfig.toml`` beside it gives the stage's parameters.
        parameters: override those of ``samconfig.toml``.
        settings: of the running local cloud.
        report: gets one line for each resource made, changed, kept or removed.
        clients: of the AWS services; by default boto3's, as the local cloud's owner.

    Raises:
        TemplateError: the template is wrong, or a service refused; the message begins with the logical id.
    """
    return prepare(path, parameters=parameters, settings=settings, clients=clients).run(report)


def prepare(
    path: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    settings: Settings,
    clients: Clients | None = None,
) -> "Deployment":
    """Do all of a deploy that needs no running service: worth doing while the services start.

    Raises:
        TemplateError: the template is wrong; the message begins with the logical id.
    """
    config = path.with_name("samconfig.toml")
    stage = load_stage(config, settings.stage) if config.is_file() else None
    given = {**(stage.parameters if stage else {}), **(parameters or {})}
    name = stage.stack_name if stage else f"{path.stem}-{settings.stage}"
    cache = settings.state_dir.with_name(f"{settings.state_dir.name}-cache")  # outlives the state, which starts empty
    template = translate(path, given, region=settings.region, cache=cache)
    values = resolve_parameters(template.get("Parameters", {}), given)
    stack = Stack.load(_state(settings), name)
    return Deployment(template, values, stack, settings, clients or Clients(settings))


class Deployment:
    """A template looked through and ready to be carried out."""

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Mapping[str, Any],
        stack: Stack,
        settings: Settings,
        clients: Clients,
    ) -> None:
        self._template = template
        self._path = _state(settings)
        self._stack = stack
        self._clients = clients
        self._region = settings.region
        self._report: Callable[[str], None] = lambda _line: None
        self._resolver = Resolver(
            pseudo=_pseudo(stack.name, settings.region),
            parameters=parameters,
            mappings=template.get("Mappings", {}),
            conditions=template.get("Conditions", {}),
        )
        rehearsed = check_template(template, self._resolver)
        everything = template["Resources"]
        self._wanted = {key: one for key, one in everything.items() if self._stands(key, one)}
        absent = frozenset(everything.keys() - self._wanted.keys())
        self._needs = dependencies(self._wanted, frozenset(parameters), absent, self._resolver.is_true)
        for logical_id, resource in self._wanted.items():
            self._provision(KINDS[resource["Type"]], logical_id, rehearsed[logical_id]).rehearse()

    def run(self, report: Callable[[str], None]) -> Stack:
        """Make, change and remove resources until the local cloud is what the template says.

        Raises:
            TemplateError: a service refused, or a resource of value would be lost.
        """
        self._report = report
        self._refuse_losses()
        self._make_all()
        self._remove_rest()
        self._stack.outputs = {
            name: str(self._resolver.resolve(name, output["Value"], "Value"))
            for name, output in self._template.get("Outputs", {}).items()
            if "Condition" not in output or self._resolver.holds(output["Condition"], name)
        }
        self._stack.save(self._path)
        return self._stack

    def _stands(self, logical_id: str, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._resolver.holds(resource["Condition"], logical_id)

    def _refuse_losses(self) -> None:
        """Look for replaced resources of value before anything is changed, as far as what stands already tells."""
        self._resolver.resources.update(
            {
                key: Physical(one.ref, one.attributes)
                for key, one in self._stack.resources.items()
                if key in self._wanted
            }
        )
        for logical_id, resource in self._wanted.items():
            standing = self._stack.resources.get(logical_id)
            if standing is not None and self._needs[logical_id] <= self._resolver.resources.keys():
                _refuse_loss(
                    logical_id, standing.type, _replacing(standing, resource["Type"], self._properties(logical_id))
                )

    def _make_all(self) -> None:
        """Make and change resources, each when what it needs stands, several at once."""
        waiting = in_order(self._needs)
        running: dict[Future[str], str] = {}
        done: set[str] = set()
        with ThreadPoolExecutor(THREADS) as pool:
            while waiting or running:
                for logical_id in [one for one in waiting if self._needs[one] <= done]:
                    waiting.remove(logical_id)
                    running[pool.submit(self._make, logical_id)] = logical_id
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    done.add(running.pop(future))
                    failure = future.exception()
                    if failure is not None:
                        pool.shutdown(cancel_futures=True)
                        self._stack.save(self._path)
                        raise failure
                    if future.result():
                        self._report(future.result())
        self._stack.save(self._path)

    def _properties(self, logical_id: str) -> dict[str, Any]:
        properties = self._resolver.resolve(logical_id, self._wanted[logical_id].get("Properties", {}))
        return {} if properties is NO_VALUE else json.loads(json.dumps(properties, default=str))

    def _provision(self, kind: Kind, logical_id: str, properties: Mapping[str, Any]) -> Provision:
        return Provision(
            kind,
            logical_id,
            clients=self._clients,
            region=self._region,
            stack=self._stack.name,
            properties=properties,
        )

    def _make(self, logical_id: str) -> str:
        """Bring one resource to what the template says; return what to report, "" when nothing changed."""
        resource = self._wanted[logical_id]
        kind, properties = KINDS[resource["Type"]], self._properties(logical_id)
        standing = self._stack.resources.get(logical_id)
        work = self._provision(kind, logical_id, properties)
        if standing is None:
            physical, line = work.make(), f"made {logical_id} ({kind.type})"
        else:
            physical, line = self._bring(work, kind, standing)
        self._resolver.resources[logical_id] = physical
        self._stack.resources[logical_id] = Resource(
            type=kind.type,
            ref=physical.ref,
            attributes=physical.attributes,
            properties=properties,
            needs=tuple(sorted(self._needs[logical_id])),
            retain=resource.get("DeletionPolicy", "").startswith("Retain"),
        )
        return line

    def _bring(self, work: Provision, kind: Kind, standing: Resource) -> tuple[Physical, str]:
        stands = Physical(standing.ref, standing.attributes)
        names = ", ".join(sorted(changed_properties(standing.properties, work.properties)))
        replacing = _replacing(standing, kind.type, work.properties)
        _refuse_loss(work.logical_id, standing.type, replacing)
        if not replacing and not names:
            return stands, ""
        if not replacing:
            return work.change(standing.properties, stands), f"changed {work.logical_id} ({kind.type}): {names}"
        self._provision(KINDS[standing.type], work.logical_id, standing.properties).remove(
            standing.properties, standing.ref
        )
        del self._stack.resources[work.logical_id]
        return work.make(), f"replaced {work.logical_id} ({kind.type}): {names or 'Type'}"

    def _remove_rest(self) -> None:
        gone = {key: one for key, one in self._stack.resources.items() if key not in self._wanted}
        for logical_id in reversed(in_order({key: frozenset(one.needs) for key, one in gone.items()})):
            standing = gone[logical_id]
            if standing.retain:
                self._report(f"kept {logical_id} ({standing.type}), which is no longer the stack's")
            else:
                work = self._provision(KINDS[standing.type], logical_id, standing.properties)
                work.remove(standing.properties, standing.ref)
                self._report(f"removed {logical_id} ({standing.type})")
            del self._stack.resources[logical_id]


def _replacing(standing: Resource, wanted_type: str, properties: Mapping[str, Any]) -> frozenset[str]:
    """Return what differs between what stands and what is wanted so that only a new resource will do."""
    if standing.type != wanted_type:
        return frozenset({"Type"})
    return changed_properties(standing.properties, properties) & KINDS[standing.type].replaces


def _refuse_loss(logical_id: str, kind: str, replacing: frozenset[str]) -> None:
    if replacing and KINDS[kind].stateful:
        cause = f"{', '.join(sorted(replacing))} changed, which would replace this {kind} and lose what it holds"
        raise TemplateError(logical_id, f"{cause}; give the new one another logical id")


def _state(settings: Settings) -> Path:
    return settings.state_dir / "stack.json"


def _pseudo(name: str, region: str) -> dict[str, str]:
    return {
        "AWS::AccountId": ACCOUNT_ID,
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT_ID}:stack/{name}/local",
        "AWS::StackName": name,
        "AWS::URLSuffix": "amazonaws.com",
    }
