"""What a user pool holds: users, groups, app clients, sign-ins. Values and the rules that bind them; no I/O.

Configurations stay as the API gave them (the documents of CreateUserPool and CreateUserPoolClient), so that what is
described back is what was asked for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infra.local.cognito.errors import CognitoError
from infra.local.cognito.srp import Verifier
from infra.local.cognito.tokens import SigningKeys

Document = dict[str, Any]

STANDARD_ATTRIBUTES = (
    "sub", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
    "website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
    "phone_number_verified", "address", "updated_at",
)  # fmt: skip
_BOOLEANS = ("email_verified", "phone_number_verified")
_PASSWORD_DEFAULTS = {
    "MinimumLength": 8,
    "RequireUppercase": True,
    "RequireLowercase": True,
    "RequireNumbers": True,
    "RequireSymbols": True,
    "TemporaryPasswordValidityDays": 7,
}
_SYMBOLS = frozenset("^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+= ")
# User pool attributes and password policies, Amazon Cognito Developer Guide.
_PASSWORD_RULES = (
    ("RequireUppercase", "uppercase characters", str.isupper),
    ("RequireLowercase", "lowercase characters", str.islower),
    ("RequireNumbers", "numeric characters", str.isdigit),
    ("RequireSymbols", "symbol characters", _SYMBOLS.__contains__),
)
_FORMATS = {"email": re.compile(r"[^@\s]+@[^@\s]+"), "phone_number": re.compile(r"\+\d{4,15}")}
_FORMAT_MESSAGES = {"email": "Invalid email address format.", "phone_number": "Invalid phone number format."}
_UNIT = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
MAX_CODE_TRIES = 5
INTEGER = re.compile(r"-?[0-9]{1,30}")


@dataclass(slots=True, kw_only=True)
class Code:
    """A code that was sent to somebody."""

    value: str
    expires_at: datetime
    tries: int = 0
    pending: str | None = None
    """The new value of the attribute that the code is to verify."""


@dataclass(slots=True, kw_only=True)
class User:
    """One person."""

    name: str
    """``cognito:username``: as chosen, or the ``sub`` where people sign in by e-mail."""
    attributes: dict[str, str]
    created_at: datetime
    modified_at: datetime
    status: str = "UNCONFIRMED"
    enabled: bool = True
    verifier: Verifier | None = None
    temporary_until: datetime | None = None
    codes: dict[str, Code] = field(default_factory=dict)
    """By purpose: ``sign_up``, ``reset``, or the name of the attribute that is being verified."""
    groups: set[str] = field(default_factory=set)
    totp_secret: str | None = None
    totp_pending: str | None = None
    totp_step: int = -1
    """Of the last code used: none is taken twice."""
    totp_enabled: bool = False
    failures: int = 0
    locked_until: datetime | None = None

    @property
    def sub(self) -> str:
        """Return the one key of this person that never changes."""
        return self.attributes["sub"]


@dataclass(slots=True, kw_only=True)
class Group:
    """A group of users, that may carry a role."""

    name: str
    created_at: datetime
    modified_at: datetime
    settings: Document = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Return what groups are ordered by: the lowest precedence first, those without one last."""
        precedence: int | None = self.settings.get("Precedence")
        return 2**31 if precedence is None else precedence


@dataclass(slots=True, kw_only=True)
class Client:
    """An app client."""

    id: str
    settings: Document
    created_at: datetime
    modified_at: datetime
    secret: str | None = None

    def lifetime(self, token: str) -> timedelta:
        """Return how long an ``Access``, ``Id`` or ``Refresh`` token lives."""
        length, unit = (30, "days") if token == "Refresh" else (1, "hours")
        # A validity of 0 means the default (CreateUserPoolClient).
        length = self.settings.get(f"{token}TokenValidity") or length
        return timedelta(seconds=length * _UNIT[self.settings.get("TokenValidityUnits", {}).get(f"{token}Token", unit)])

    @property
    def hides_users(self) -> bool:
        """Say whether strangers may not learn who has an account."""
        return bool(self.settings.get("PreventUserExistenceErrors") == "ENABLED")

    def allows(self, *flows: str) -> bool:
        """Say whether any of these sign-in flows is switched on; by default SRP, custom and refresh are."""
        default = ("ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
        explicit = self.settings.get("ExplicitAuthFlows") or default
        return any(flow in explicit for flow in flows)


@dataclass(slots=True, kw_only=True)
class SignIn:
    """One sign-in: what all tokens that came of it name as their ``origin_jti``."""

    id: str
    user: str
    client_id: str
    refresh_secret: str
    at: datetime
    expires_at: datetime
    revoked: bool = False


@dataclass(slots=True, kw_only=True)
class Pool:
    """A user pool."""

    id: str
    arn: str
    settings: Document
    keys: SigningKeys
    created_at: datetime
    modified_at: datetime
    users: dict[str, User] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    sign_ins: dict[str, SignIn] = field(default_factory=dict)
    custom_attributes: dict[str, Document] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the id without its region, as SRP has it."""
        return self.id.partition("_")[2]

    @property
    def issuer(self) -> str:
        """Return what tokens name as their issuer: AWS's own URL, wherever the keys are served."""
        return f"https://cognito-idp.{self.id.partition('_')[0]}.amazonaws.com/{self.id}"

    def find_user(self, login: str) -> User | None:
        """Return the user of a name, a ``sub``, or an address that people of this pool sign in by."""
        plain = self.plain(login)
        if user := self.users.get(plain):
            return user
        keys = ("sub", *self.settings.get("UsernameAttributes", ()))
        return next(
            (u for u in self.users.values() if any(self.plain(u.attributes.get(k, "")) == plain for k in keys)), None
        )

    def get_user(self, login: str) -> User:
        """Return the same user.

        Raises:
            CognitoError: there is none.
        """
        user = self.find_user(login)
        if user is None:
            raise CognitoError.no_user()
        return user

    def get_group(self, name: str) -> Group:
        """Return a group.

        Raises:
            CognitoError: there is none of that name.
        """
        if name not in self.groups:
            raise CognitoError.missing("Group not found.")
        return self.groups[name]

    def groups_of(self, user: User) -> list[Group]:
        """Return the user's groups, the most important first."""
        return sorted((self.groups[name] for name in user.groups), key=lambda group: (group.rank, group.name))

    def plain(self, login: str) -> str:
        """Return a login as it is compared: by its case as well, unless UsernameConfiguration says otherwise."""
        sensitive = self.settings.get("UsernameConfiguration", {}).get("CaseSensitive", True)
        return login if sensitive else login.lower()

    def revoke_all(self, user: User) -> None:
        """End every sign-in of a user."""
        for sign_in in self.sign_ins.values():
            if sign_in.user == user.name:
                sign_in.revoked = True

    def password_policy(self) -> Document:
        """Return the policy in force."""
        return {**_PASSWORD_DEFAULTS, **self.settings.get("Policies", {}).get("PasswordPolicy", {})}

    def check_password(self, password: str) -> None:
        """Pass a password that the policy allows.

        Raises:
            CognitoError: it does not, and which rule is broken.
        """
        policy = self.password_policy()
        broken = "Password not long enough" if len(password) < policy["MinimumLength"] else None
        for rule, what, kind in _PASSWORD_RULES:
            if policy[rule] and not any(map(kind, password)):
                broken = broken or f"Password must have {what}"
        if password != password.strip():
            broken = "Password cannot begin or end with a space"
        if broken:
            raise CognitoError("InvalidPasswordException", f"Password did not conform with policy: {broken}")

    def check_attributes(self, given: Mapping[str, str], *, creating: bool = False, admin: bool = False) -> None:
        """Pass attributes that the schema knows and allows to be written.

        Raises:
            CognitoError: and which attribute it is about.
        """
        for name, value in given.items():
            if name == "sub" or (name in _BOOLEANS and not admin):
                raise CognitoError.not_authorized("A client attempted to write unauthorized attribute")
            if name not in STANDARD_ATTRIBUTES:
                self._check_custom(name, value, creating=creating)
            elif name in _FORMATS and not _FORMATS[name].fullmatch(value):
                raise CognitoError.invalid(_FORMAT_MESSAGES[name])
        for rule in self.settings.get("Schema", ()) if creating else ():
            if rule.get("Required") and not given.get(rule["Name"]):
                message = f"Attributes did not conform to the schema: {rule['Name']}: The attribute is required"
                raise CognitoError.invalid(message)

    def _check_custom(self, name: str, value: str, *, creating: bool) -> None:
        rule = self.custom_attributes.get(name)
        where = f"Attributes did not conform to the schema: {name}"
        if rule is None:
            raise CognitoError.invalid(
                f"Attributes did not conform to the schema: Type for attribute {{{name}}} could not be determined"
            )
        if not creating and not rule.get("Mutable", True):
            raise CognitoError.invalid(f"{name}: Attribute cannot be updated.\n")
        kind = rule.get("AttributeDataType", "String")
        if kind == "Boolean" and value not in ("true", "false"):
            raise CognitoError.invalid(f"{where}: Attribute value must be a boolean")
        if kind == "Number" and not INTEGER.fullmatch(value):
            raise CognitoError.invalid(f"{where}: Attribute value must be a number")
        bounds = rule.get(f"{kind}AttributeConstraints", {})
        size, unit = (int(value), "Value") if kind == "Number" else (len(value), "Length")
        if not int(bounds.get(f"Min{unit}", size)) <= size <= int(bounds.get(f"Max{unit}", size)):
            raise CognitoError.invalid(f"{where}: Attribute value is out of bounds")


def load_attributes(listed: list[dict[str, str]] | None) -> dict[str, str]:
    """Return attributes as a mapping, from the API's list of names and values."""
    return {item["Name"]: item.get("Value", "") for item in listed or []}


def dump_attributes(attributes: Mapping[str, str], readable: list[str] | None = None) -> list[dict[str, str]]:
    """Return attributes as the API lists them; with ``readable`` only those, and always ``sub``."""
    return [
        {"Name": name, "Value": value}
        for name, value in attributes.items()
        if readable is None or name == "sub" or name in readable
    ]


def verified_contacts(user: User) -> Iterator[tuple[str, str]]:
    """Yield (attribute, address) of where a user can be reached, e-mail first."""
    for name in ("email", "phone_number"):
        if user.attributes.get(f"{name}_verified") == "true":
            yield name, user.attributes[name]
