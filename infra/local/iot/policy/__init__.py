"""AWS IoT policies, evaluated: a pure room. Documents and facts come in as values, decisions go out.

``parse`` compiles a document once; ``evaluate`` judges one action on one resource in one ``Context``. AWS IoT developer
guide: "AWS IoT Core policies", "AWS IoT Core policy variables", "Publish/Subscribe policy examples".
"""

from infra.local.iot.policy.context import Context
from infra.local.iot.policy.engine import Considered, Decision, Statement, evaluate, parse, parse_statements
from infra.local.iot.policy.errors import PolicyError

__all__ = ["Considered", "Context", "Decision", "PolicyError", "Statement", "evaluate", "parse", "parse_statements"]
