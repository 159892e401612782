"""Every function of a template, by the examples and rules of "Intrinsic function reference"."""

from typing import Any

import pytest

from infra.local.template import TemplateError
from infra.local.template.intrinsics import NO_VALUE, Physical, Resolver, references

RESOLVER = Resolver(
    pseudo={"AWS::Region": "us-east-1", "AWS::AccountId": "1"},
    parameters={"Stage": "dev", "List": ["a", "b"], "Flag": "true"},
    mappings={"Sizes": {"dev": {"memory": 256}}},
    conditions={
        "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
        "IsProd": {"Fn::Not": [{"Condition": "IsDev"}]},
        "Both": {"Fn::And": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
        "Either": {"Fn::Or": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
        "Loop": {"Fn::Not": [{"Condition": "Loop"}]},
    },
    resources={"Table": Physical("t1", {"Arn": "arn:t1", "Outputs.Deep": "deep"})},
)


@pytest.mark.parametrize(
    ("value", "means"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "Table"}, "t1"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "arn:t1"),
        ({"Fn::GetAtt": "Table.Arn"}, "arn:t1"),
        ({"Fn::GetAtt": ["Table", "Outputs.Deep"]}, "deep"),
        ({"Fn::Sub": "${AWS::Region}/${Table}/${Table.Arn}/${!Literal}/$x"}, "us-east-1/t1/arn:t1/${Literal}/$x"),
        ({"Fn::Sub": ["${a}-${Stage}", {"a": {"Ref": "Table"}}]}, "t1-dev"),
        ({"Fn::Join": ["-", ["x", {"Ref": "Stage"}, 3]]}, "x-dev-3"),
        ({"Fn::Join": [",", {"Ref": "List"}]}, "a,b"),
        ({"Fn::Split": ["-", "a-b-c"]}, ["a", "b", "c"]),
        ({"Fn::Select": ["1", {"Fn::Split": ["-", "a-b-c"]}]}, "b"),
        ({"Fn::Select": [0, {"Ref": "List"}]}, "a"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 256),
        ({"Fn::Base64": "hé"}, "aMOp"),
        ({"Fn::If": ["IsDev", "yes", {"Ref": "Nobody"}]}, "yes"),
        ({"Fn::If": ["IsProd", "yes", "no"]}, "no"),
        ({"a": {"Fn::If": ["IsProd", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ([1, {"Ref": "AWS::NoValue"}, {"Ref": "Stage"}], [1, "dev"]),
        ({"Ref": "AWS::NoValue"}, NO_VALUE),
        ({"Version": "2012-10-17", "Condition": {"StringEquals": {"a": {"Ref": "Stage"}}}}, {
            "Version": "2012-10-17", "Condition": {"StringEquals": {"a": "dev"}},
        }),
        ({"Condition": {"StringEquals": {"a": "b"}}}, {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)  # fmt: skip
def test_a_value_means_what_cloudformation_says(value: Any, means: Any):
    assert RESOLVER.resolve("Here", value) == means


@pytest.mark.parametrize(("name", "holds"), [("IsDev", True), ("IsProd", False), ("Both", False), ("Either", True)])
def test_conditions_combine(name: str, holds: bool):
    assert RESOLVER.holds(name, "Here") is holds


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"Ref": "Nobody"}, "Here.a: Ref to Nobody"),
        ({"Fn::GetAtt": ["Nobody", "Arn"]}, "GetAtt of Nobody"),
        ({"Fn::GetAtt": ["Table", "Nothing"]}, "Table has no attribute Nothing; it has Arn"),
        ({"Fn::Sub": "${Nobody}"}, "Ref to Nobody"),
        ({"Fn::Sub": "${Table.Nothing}"}, "no attribute Nothing"),
        ({"Fn::Select": [3, ["a"]]}, "no entry 3"),
        ({"Fn::FindInMap": ["Sizes", "prod", "memory"]}, "no Sizes.prod.memory"),
        ({"Fn::ImportValue": "nothing"}, "Fn::ImportValue is not carried"),
        ({"Fn::If": ["Never", 1, 2]}, "the condition Never is not defined"),
        ({"Fn::GetAZs": ""}, "Fn::GetAZs is not carried"),
        ({"Fn::Invented": ""}, "Fn::Invented is not carried"),
        ("{{resolve:ssm:x}}", "dynamic references"),
        ({"Fn::Join": "x"}, "Fn::Join does not take 'x'"),
        ({"Fn::Sub": ["x"]}, "Fn::Sub does not take ['x']"),
        ({"Fn::GetAtt": 5}, "Fn::GetAtt does not take 5"),
        ({"Fn::If": ["IsProd", 1]}, "Fn::If does not take"),
        ({"Ref": ["x"]}, "Ref does not take ['x']"),
        ({"Ref": "Table", "b": 1}, "Ref stands alone, and not beside b"),
    ],
)
def test_what_cannot_be_resolved_names_its_place(value: Any, says: str):
    with pytest.raises(TemplateError, match=r"^Here\.a") as refused:
        RESOLVER.resolve("Here", {"a": value})
    assert says in str(refused.value)


def test_a_condition_that_refers_to_itself_is_refused():
    with pytest.raises(TemplateError, match="Loop: the condition refers to itself"):
        RESOLVER.holds("Loop", "Here")


def test_references_are_found_wherever_they_stand():
    value = {"a": [{"Ref": "A"}, {"Fn::Sub": ["${B.Arn}${x}", {"x": {"Ref": "C"}}]}], "b": {"Fn::GetAtt": "D.Arn"}}
    assert sorted(references(value)) == ["A", "B", "C", "D"]
