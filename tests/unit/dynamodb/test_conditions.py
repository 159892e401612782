"""A condition without values is parsed once; what it is asked of stays the caller's."""

from infra.local import dynamodb
from infra.local.aws import comparisons


def _parse(expression, names):
    assert dynamodb.__all__  # importing the room puts its corrections in place
    parser = comparisons.create_condition_expression_parser(expression, names, None)
    return parser.parse(), list(parser.expr_attr_names_found)


def test_the_same_text_and_names_give_the_same_condition_and_name_what_they_use():
    first, used = _parse("attribute_not_exists(#x)", {"#x": "a"})
    again, used_again = _parse("attribute_not_exists(#x)", {"#x": "a"})
    assert again is first
    assert used_again == used != []


def test_another_attribute_under_the_same_name_is_another_condition():
    one, _ = _parse("attribute_not_exists(#x)", {"#x": "a"})
    other, _ = _parse("attribute_not_exists(#x)", {"#x": "b"})
    assert one is not other
