"""From SAM to CloudFormation, with code that lies in a directory; parameters and stages; cfn-lint over both."""

from pathlib import Path
from typing import Any

import pytest

from infra.local.config import ROOT
from infra.local.template import TemplateError
from infra.local.template.lint import lint_template
from infra.local.template.parameters import load_stage, resolve_parameters
from infra.local.template.translate import digest, task_root, translate
from tests.unit.template.conftest import Deployer

SAM = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.13, CodeUri: ../app}
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.work.handler, AutoPublishAlias: live}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A template beside a package, as in this project."""
    for name in ("infra", "app"):
        (tmp_path / name).mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "app" / "work.py").write_text("def handler(event, context): ...")
    (tmp_path / "infra" / "template.yaml").write_text(SAM)
    return tmp_path


def versions(template: dict[str, Any]) -> list[str]:
    return [key for key, one in template["Resources"].items() if one["Type"] == "AWS::Lambda::Version"]


def test_local_code_becomes_a_directory_whose_handler_can_be_imported(project: Path):
    template = translate(project / "infra" / "template.yaml", {}, region="us-east-1")
    code = template["Resources"]["Work"]["Properties"]["Code"]
    wanted = {"S3Bucket": "local-directory", "S3Key": str(project), "S3ObjectVersion": digest(project / "app")}
    assert code == wanted


def test_the_task_root_of_a_package_is_its_parent(project: Path):
    assert task_root(project / "app") == project
    assert task_root(project / "infra") == project / "infra"


def test_changed_code_publishes_another_version_and_unchanged_code_the_same(project: Path):
    path = project / "infra" / "template.yaml"
    first = versions(translate(path, {}, region="us-east-1"))
    assert versions(translate(path, {}, region="us-east-1")) == first
    (project / "app" / "work.py").write_text("def handler(event, context): return 1")
    assert versions(translate(path, {}, region="us-east-1")) != first


def test_a_kept_translation_is_used_until_template_code_or_parameters_change(project: Path):
    path, cache = project / "infra" / "template.yaml", project / "cache"
    first = translate(path, {}, region="us-east-1", cache=cache)
    (kept,) = cache.iterdir()
    kept.write_text(kept.read_text().replace("app.work.handler", "from.the.cache"))
    assert "from.the.cache" in str(translate(path, {}, region="us-east-1", cache=cache))
    (project / "app" / "work.py").write_text("def handler(event, context): return 1")
    assert "from.the.cache" not in str(translate(path, {}, region="us-east-1", cache=cache))
    assert "from.the.cache" not in str(translate(path, {}, region="eu-west-1", cache=cache))
    assert first["Resources"]["Work"]["Properties"]["Handler"] == "app.work.handler"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("../app", "../nothing"), "Work.CodeUri: there is no directory ../nothing"),
        (("Handler: app.work.handler, ", ""), "SAM refuses template.yaml"),
        (("Resources:", "Resources: ["), "template.yaml cannot be read"),
        (("Resources:", "Things:"), "template.yaml has no Resources"),
        (
            ("  Work:\n", "  Fn::ForEach::Works: [N, [a], {}]\n  Work:\n"),
            "Fn::ForEach::Works: Fn::ForEach and the other",
        ),
    ],
)
def test_a_template_that_cannot_be_translated_says_why(project: Path, change: tuple[str, str], says: str):
    path = project / "infra" / "template.yaml"
    path.write_text(SAM.replace(*change))
    with pytest.raises(TemplateError) as refused:
        translate(path, {}, region="us-east-1")
    assert str(refused.value).startswith(says)


def test_changed_code_reaches_the_function_and_its_alias_when_deployed_again(deployed: Deployer, project: Path):
    deployed.settings.state_dir.joinpath("infra").mkdir(exist_ok=True)
    sam = SAM.replace("../app", "app")
    deployed(sam)
    assert "create_function" in deployed.cloud.operations()
    (project / "app" / "work.py").write_text("def handler(event, context): return 2")
    deployed(sam)
    assert [line for line in deployed.lines if line.startswith("changed")] == [
        "changed Work (AWS::Lambda::Function): Code",
        "changed WorkAliaslive (AWS::Lambda::Alias): FunctionVersion",
    ]
    operations = deployed.cloud.operations()
    assert operations == ["update_function_code", "publish_version", "update_alias"]


DECLARED: dict[str, Any] = {
    "Stage": {"Type": "String", "Default": "dev", "AllowedPattern": "[a-z]+", "MaxLength": 5},
    "Days": {"Type": "Number", "Default": 30, "AllowedValues": [7, 30]},
    "Rate": {"Type": "Number", "Default": 0.5, "MinValue": 0, "MaxValue": 1},
    "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
    "Empty": {"Type": "CommaDelimitedList", "Default": ""},
}


def test_parameters_have_their_types():
    resolved = resolve_parameters(DECLARED, {"Days": "7"})
    assert resolved == {"Stage": "dev", "Days": 7, "Rate": 0.5, "Zones": ["a", "b"], "Empty": []}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"Nobody": "1"}, "Nobody: the template has no such parameter"),
        ({"Stage": "Dev"}, "Stage: 'Dev' does not match"),
        ({"Stage": "developer"}, "Stage: 'developer' passes MaxLength 5"),
        ({"Days": "8"}, "Days: '8' is not one of 7, 30"),
        ({"Rate": "1.5"}, "Rate: '1.5' passes MaxValue 1"),
        ({"Rate": "much"}, "Rate: 'much' is no number"),
    ],
)
def test_a_parameter_that_is_not_allowed_is_named(given: dict[str, str], says: str):
    with pytest.raises(TemplateError) as refused:
        resolve_parameters(DECLARED, given)
    assert str(refused.value).startswith(says)


def test_a_parameter_without_value_or_of_an_unknown_type_is_refused():
    with pytest.raises(TemplateError, match="A: has no default"):
        resolve_parameters({"A": {"Type": "String"}}, {})
    with pytest.raises(TemplateError, match="A: parameters of type AWS::SSM"):
        resolve_parameters({"A": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "x"}}, {})
    with pytest.raises(TemplateError, match=r"^A\.Defalt: a parameter has no such property"):
        resolve_parameters({"A": {"Type": "String", "Defalt": "x"}}, {"A": "x"})
    with pytest.raises(TemplateError, match="A: '2' is not one of 1"):
        resolve_parameters({"A": {"Type": "String", "Default": 2, "AllowedValues": [1]}}, {"A": "1"})


def test_a_transform_that_would_not_be_carried_out_is_refused(project: Path):
    path = project / "template.yaml"
    path.write_text("Transform: [AWS::Serverless-2016-10-31, AWS::LanguageExtensions]\nResources: {}\n")
    with pytest.raises(TemplateError, match=r"^Transform: of transforms only AWS::Serverless-2016-10-31"):
        translate(path, {}, region="us-east-1")


def test_a_stage_gives_name_and_parameters(tmp_path: Path):
    config = tmp_path / "samconfig.toml"
    config.write_text(
        "version = 0.1\n[dev.global.parameters]\nstack_name = 'one'\n[dev.deploy.parameters]\n"
        "parameter_overrides = ['Stage=dev', 'Name=\"a b\"']\n[prod.deploy.parameters]\nstack_name = 'two'\n"
        "parameter_overrides = 'A=1 B=2'\n"
    )
    assert (load_stage(config, "dev").stack_name, load_stage(config, "dev").parameters) == (
        "one",
        {"Stage": "dev", "Name": "a b"},
    )
    assert load_stage(config, "prod").parameters == {"A": "1", "B": "2"}
    with pytest.raises(TemplateError, match=r"samconfig\.toml has no stage test; it has dev, prod"):
        load_stage(config, "test")


def test_cfn_lint_is_clean_on_our_template_and_on_its_translation():
    assert lint_template(ROOT / "infra" / "template.yaml") == []


def test_cfn_lint_would_have_found_a_mistake(tmp_path: Path):
    path = tmp_path / "template.yaml"
    path.write_text("Resources: {Q: {Type: AWS::SQS::Queue, Properties: {Invented: 1}}}")
    findings = lint_template(path)
    assert [finding.split(":")[0] for finding in findings] == ["template.yaml", "translation of template.yaml"]
    assert all("E3002" in finding for finding in findings)


def test_every_resource_of_our_template_is_one_that_the_local_cloud_carries(deployed: Deployer):
    stack = deployed((ROOT / "infra" / "template.yaml").read_text().replace("../backend", str(ROOT / "backend")))
    assert len(stack.resources) >= 20
    assert len(deployed.lines) == len(stack.resources)
