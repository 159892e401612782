"""The registry of AWS IoT: things, types, groups, certificates, policies, authorizers. In memory, fresh at each start.

Each file serves a family of boto3's ``iot`` operations, one method an operation, named as boto3 names it;
``registry.Registry`` puts them behind one door and answers the gateway's questions (``ports.Principals``).
"""

from infra.local.iot.registry.registry import Registry

__all__ = ["Registry"]
