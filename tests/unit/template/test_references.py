"""A reference that leads nowhere, by every function and from every place, is named before anything is made."""

from typing import Any

import pytest

from infra.local.template import TemplateError
from tests.unit.template.conftest import Deployer
from tests.unit.template.test_deploy import LOGS, with_properties

CONDITIONS = {"Yes": {"Fn::Equals": ["a", "a"]}, "No": {"Fn::Equals": ["a", "b"]}}
BAD: dict[str, Any] = {
    "Ref to Nobody": {"Ref": "Nobody"},
    "GetAtt of Nobody": {"Fn::GetAtt": ["Nobody", "Arn"]},
    "GetAtt of Nobody; short": {"Fn::GetAtt": "Nobody.Arn"},
    "Logs has no attribute Nothing": {"Fn::GetAtt": "Logs.Nothing"},
    "GetAtt of Nobody; in Sub": {"Fn::Sub": "a-${Nobody.Arn}-${!Nobody.Arn}"},
    "Ref to Nobody; in Sub": {"Fn::Sub": "${!Logs}${Nobody}"},
    "Ref to Nobody; in a variable of Sub": {"Fn::Sub": ["${a}", {"a": {"Ref": "Nobody"}}]},
    "Ref to Nobody; in Join": {"Fn::Join": ["-", ["a", {"Ref": "Nobody"}]]},
    "Ref to Nobody; in Select of Split": {"Fn::Select": [0, {"Fn::Split": ["-", {"Ref": "Nobody"}]}]},
    "Ref to Nobody; in Base64": {"Fn::Base64": {"Ref": "Nobody"}},
    "the function Fn::ImportValue is not carried": {"Fn::ImportValue": "other-stack"},
    "the function Fn::ImportValue is not carried; in Sub": {"Fn::Sub": ["${a}", {"a": {"Fn::ImportValue": "o"}}]},
    "the condition Never is not defined": {"Fn::If": ["Never", "a", "b"]},
    "Ref to Nobody; not taken": {"Fn::If": ["Yes", "a", {"Ref": "Nobody"}]},
    "Mappings have no Sizes.big.memory": {"Fn::FindInMap": ["Sizes", "big", "memory"]},
    "Mappings have no Sizes.small.none": {"Fn::FindInMap": ["Sizes", "small", "none"]},
    "Mappings have no None.small.memory": {"Fn::FindInMap": ["None", "small", "memory"]},
    "refers to Gone, which its condition leaves out": {"Ref": "Gone"},
    "refers to Gone, which its condition leaves out; GetAtt": {"Fn::GetAtt": "Gone.Arn"},
    "refers to Gone, which its condition leaves out; Sub": {"Fn::Sub": "${Gone.Arn}"},
    "refers to Gone, which its condition leaves out; Join": {"Fn::Join": ["", [{"Fn::GetAtt": ["Gone", "Arn"]}]]},
    "refers to Gone, which its condition leaves out; taken": {"Fn::If": ["Yes", {"Ref": "Gone"}, "b"]},
}
"""What is said of it; after the semicolon, where it stands."""
GOOD: dict[str, Any] = {
    "literals of Sub": ({"Fn::Sub": "${!Nobody.Arn}/${!Nobody}"}, "${Nobody.Arn}/${Nobody}"),
    "a variable of Sub that hides what there is not": ({"Fn::Sub": ["${Nobody.Arn}", {"Nobody.Arn": "x"}]}, "x"),
    "what is left out, not taken": ({"Fn::If": ["Yes", "a", {"Ref": "Gone"}]}, "a"),
    "what is left out, in Sub, not taken": ({"Fn::If": ["No", {"Fn::Sub": "${Gone.Arn}"}, "b"]}, "b"),
    "what is found in a map": ({"Fn::FindInMap": ["Sizes", {"Fn::Select": [0, ["small"]]}, "memory"]}, "256"),
}


def document(**more: Any) -> dict[str, Any]:
    resources = {"Logs": LOGS, "Gone": {**LOGS, "Condition": "No"}, **more.pop("Resources", {})}
    return {
        "Mappings": {"Sizes": {"small": {"memory": "256"}}},
        "Conditions": {**CONDITIONS, **more.pop("Conditions", {})},
        "Resources": resources,
        **more,
    }


PLACES: dict[str, Any] = {
    "a property": lambda value: document(Resources={"X": with_properties(LOGS, LogGroupName=value)}),
    "a property deep down": lambda value: document(
        Resources={"X": with_properties(LOGS, Tags=[{"Key": "a", "Value": value}])}
    ),
    "an output": lambda value: document(Outputs={"X": {"Value": value}}),
    "an output with a condition": lambda value: document(Outputs={"X": {"Value": value, "Condition": "Yes"}}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wrong", BAD)
def test_what_leads_nowhere_is_named_with_its_place(deployed: Deployer, place: str, wrong: str):
    with pytest.raises(TemplateError) as refused:
        deployed(PLACES[place](BAD[wrong]))
    assert refused.value.logical_id == "X"
    assert wrong.partition("; ")[0] in str(refused.value)
    assert deployed.cloud.calls == []


@pytest.mark.parametrize("wrong", [name for name in BAD if not name.startswith("refers")])
def test_an_output_that_its_condition_leaves_out_is_refused_as_well(deployed: Deployer, wrong: str):
    with pytest.raises(TemplateError) as refused:
        deployed(document(Outputs={"X": {"Value": BAD[wrong], "Condition": "No"}}))
    assert (refused.value.logical_id, deployed.cloud.calls) == ("X", [])


@pytest.mark.parametrize("right", GOOD)
def test_what_only_looks_like_a_reference_is_none(deployed: Deployer, right: str):
    value, means = GOOD[right]
    assert deployed(document(Outputs={"X": {"Value": value}})).outputs["X"] == means


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"Resources": {"X": {**LOGS, "DependsOn": ["Logs", "Nobody"]}}}, "X: refers to Nobody"),
        ({"Resources": {"X": {**LOGS, "DependsOn": {"Ref": "Logs"}}}}, "X.DependsOn: "),
        ({"Resources": {"X": {**LOGS, "Metadata": {"a": {"Ref": "Nobody"}}}}}, "X.Metadata.a: Ref to Nobody"),
        ({"Resources": {"X": {**LOGS, "Condition": "Never"}}}, "X: the condition Never is not defined"),
        ({"Conditions": {"X": {"Fn::Equals": [{"Fn::GetAtt": "Logs.Arn"}, "a"]}}}, "X[0]: GetAtt of Logs"),
        ({"Conditions": {"X": {"Fn::Equals": [{"Fn::Sub": "${Logs}"}, "a"]}}}, "X[0]: Ref to Logs"),
        (
            {"Conditions": {"X": {"Fn::Equals": [{"Fn::FindInMap": ["Sizes", "big", "m"]}, "a"]}}},
            "X[0]: Mappings have no",
        ),
        ({"Conditions": {"X": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "Never"}]}}}, "X: the condition Never"),
        ({"Outputs": {"X": {"Value": "a", "Condition": "Never"}}}, "X: the condition Never is not defined"),
        ({"Rules": {"X": {}}}, "Rules: this section of a template is not carried"),
    ],
)
def test_what_else_leads_nowhere_is_named(deployed: Deployer, more: Any, says: str):
    with pytest.raises(TemplateError) as refused:
        deployed(document(**more))
    assert str(refused.value).startswith(says)
    assert deployed.cloud.calls == []
