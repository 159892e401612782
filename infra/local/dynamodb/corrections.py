"""Corrections of moto 5.2.5's DynamoDB code, each held by a contract test.

What is wrong:

- sums have 28 digits; on AWS 38, and more are refused. (Supported data types and naming rules);
- sizes are those of texts; on AWS numbers are packed and lists and maps cost something, up to 400 KB together.
  (DynamoDB item sizes and formats);
- values are compared without their types: 1 is true, what is missing is null, and ``begins_with`` knows no bytes; on
  AWS another type is never equal, and what is missing is nothing. (Comparison operator and function reference);
- a transaction reads up to 25 items; on AWS 100. (API reference: TransactGetItems).

What is slow, without another answer:

- a value asks ten times over of which type it is; an item's size is summed anew at each of its attributes;
- an update expression is parsed twice, copied by reflection, and each of its nodes asked ten times over what it is;
- each refusal is made in XML first.
"""

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any

from infra.local.aws import (
    DynamoType,
    HTTPException,
    Item,
    ItemSizeTooLarge,
    JsonRESTError,
    LimitedSizeDict,
    UpdateExpressionParser,
    ast_nodes,
    comparisons,
    dynamodb_responses,
)
from infra.local.dynamodb import typed
from infra.local.dynamodb.values import MAX_ITEM_SIZE, calculated, item_size, size_of

_SIZED = ("S", "SS", "NS", "B", "BS", "L", "M")
_nodes: Any = ast_nodes
_wanted: dict[tuple[type, type], bool] = {}
"""(traverser, kind of node) to whether the one has something to do with the other."""


def apply() -> None:
    """Put the corrections in place; once a process, before the first request."""
    dynamodb_responses.TRANSACTION_MAX_ITEMS = 100
    values: Any = DynamoType
    values.size = size_of
    values.__init__ = _new_value
    values.cast_value = property(_caster(values.cast_value.fget))
    values.__add__ = _adder(difference=False)
    values.__sub__ = _adder(difference=True)
    LimitedSizeDict.__setitem__ = dict.__setitem__  # type: ignore[method-assign]  # sizes are looked at when a change is whole
    replaced: Any = comparisons
    replaced.FuncSize.expr = _size
    typed.apply()
    UpdateExpressionParser.make = staticmethod(lru_cache(1024)(UpdateExpressionParser.make))
    _nodes.Node.__deepcopy__ = _copy_node
    _nodes.DepthFirstTraverser.traverse_node_recursively = _traverse
    items: Any = Item
    items.__init__ = _new_item
    items.size = item_size
    errors: Any = JsonRESTError
    errors.__init__ = _new_error


def _new_value(self: Any, given: Any) -> None:
    if type(given) is DynamoType:
        kind, value = given.type, given.value
    else:
        kind = next(iter(given))
        value = given[kind]
    if kind == "L":
        value = [DynamoType(each) for each in value]
    elif kind == "M":
        value = {name: DynamoType(each) for name, each in value.items()}
    self.type, self.value = kind, value


def _caster(cast_other: Any) -> Any:
    def cast(self: Any) -> Any:
        if self.type == "N":
            return Decimal(self.value)
        return self.value if self.type in {"S", "B"} else cast_other(self)

    return cast


def _adder(*, difference: bool) -> Any:
    def add(self: Any, other: Any) -> Any:
        if self.type != "N" or other.type != "N":
            raise TypeError(f"{self.type} and {other.type} are not numbers")  # which moto's validators expect
        return DynamoType({"N": calculated(self.value, other.value, difference=difference)})

    return add


def _size(self: Any, item: Any) -> int | None:
    """Return what ``size()`` is; None, which no comparison holds for, where there is nothing that has a size."""
    return len(self.attr.expr(item)) if self.attr.get_type(item) in _SIZED else None


def _traverse(self: Any, node: Any, child_id: int = -1) -> Any:
    """Do as moto's, knowing once for all which kinds of node concern which traverser."""
    kinds = type(self), type(node)
    wanted = _wanted.get(kinds)
    if wanted is None:
        wanted = _wanted[kinds] = isinstance(node, self.nodes_to_be_processed())
    if not hasattr(node, "children"):
        return node
    parent = node.parent
    for at, child in enumerate(node.children or ()):
        self.pre_processing_of_child(node, at)
        _traverse(self, child, at)
    if wanted:
        node = self.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


def _copy_node(self: Any, memo: dict[int, Any]) -> Any:
    """Copy a tree's nodes; what stands at its leaves is text and shared."""
    made = memo[id(self)] = object.__new__(type(self))
    made.__dict__.update(self.__dict__)
    made.parent = memo.get(id(self.parent))
    if self.children is not None:
        made.children = [
            _copy_node(child, memo) if isinstance(child, _nodes.Node) else child for child in self.children
        ]
    return made


def _new_item(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
    self.hash_key, self.range_key = hash_key, range_key
    self.attrs = LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(self.attrs, name, DynamoType(value))
    if self.size() > MAX_ITEM_SIZE:
        raise ItemSizeTooLarge


def _new_error(self: Any, error_type: str, message: str, _: str = "", **_unused: Any) -> None:
    HTTPException.__init__(self)
    self.error_type, self.message = error_type, message
    self.description = json.dumps({"__type": error_type, "message": message})
    self.content_type = "application/json"
