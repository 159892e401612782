"""Custom authorizers, as configured; the doors invoke them. AWS IoT developer guide, "Creating an authorizer"."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from infra.local.iot.errors import ExistsError, InvalidError, NotFoundError, RefusedError
from infra.local.iot.registry.state import Answer, Ask, Authorizer, State, found, page


class Authorizers:
    """Operations on custom authorizers."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_authorizer(self, ask: Ask) -> Answer:
        """Create an authorizer; one that checks signatures needs the token's key name and public keys."""
        name, now = ask["authorizerName"], self._state.clock.now()
        if name in self._state.authorizers:
            raise ExistsError(f"Authorizer {name} already exists")
        authorizer = Authorizer(
            name=name,
            function_arn=ask["authorizerFunctionArn"],
            created_at=now,
            modified_at=now,
            signing_disabled=ask.get("signingDisabled", False),
        )
        self._configure(authorizer, ask)
        self._state.authorizers[name] = authorizer
        return self._name(name)

    def update_authorizer(self, ask: Ask) -> Answer:
        """Change an authorizer."""
        authorizer = self._authorizer(ask)
        authorizer.function_arn = ask.get("authorizerFunctionArn", authorizer.function_arn)
        self._configure(authorizer, ask)
        authorizer.modified_at = self._state.clock.now()
        return self._name(authorizer.name)

    def describe_authorizer(self, ask: Ask) -> Answer:
        """Return an authorizer."""
        return self._description(self._authorizer(ask))

    def list_authorizers(self, ask: Ask) -> Answer:
        """List authorizers, all or by status."""
        wanted = (one for one in self._state.authorizers.values() if ask.get("status") in {None, one.status})
        authorizers, marker = page(wanted, ask)
        return {"authorizers": [self._name(one.name) for one in authorizers], "nextMarker": marker}

    def delete_authorizer(self, ask: Ask) -> Answer:
        """Delete an authorizer that is INACTIVE and not the default."""
        authorizer = self._authorizer(ask)
        if authorizer.status == "ACTIVE" or self._state.default_authorizer == authorizer.name:
            message = f"Authorizer {authorizer.name} must be INACTIVE and not the default before deletion"
            raise RefusedError("DeleteConflictException", 409, message)
        del self._state.authorizers[authorizer.name]
        return {}

    def set_default_authorizer(self, ask: Ask) -> Answer:
        """Make an authorizer the one used when a client names none."""
        authorizer = self._authorizer(ask)
        if self._state.default_authorizer == authorizer.name:
            raise ExistsError(f"Authorizer {authorizer.name} is the default already")
        self._state.default_authorizer = authorizer.name
        return self._name(authorizer.name)

    def describe_default_authorizer(self, _: Ask) -> Answer:
        """Return the default authorizer."""
        if self._state.default_authorizer is None:
            raise NotFoundError("No default authorizer is set")
        return self._description(self._state.authorizers[self._state.default_authorizer])

    def clear_default_authorizer(self, _: Ask) -> Answer:
        """Have no default authorizer."""
        self.describe_default_authorizer({})
        self._state.default_authorizer = None
        return {}

    def _configure(self, authorizer: Authorizer, ask: Ask) -> None:
        token_key_name = ask.get("tokenKeyName", authorizer.token_key_name)
        public_keys = ask.get("tokenSigningPublicKeys", authorizer.token_signing_public_keys)
        if not authorizer.signing_disabled and not (token_key_name and public_keys):
            raise InvalidError("tokenKeyName and tokenSigningPublicKeys are required when signing is enabled")
        if not all(map(_is_public_key, public_keys.values())):
            raise InvalidError("tokenSigningPublicKeys must be public keys in PEM.")
        authorizer.token_key_name, authorizer.token_signing_public_keys = token_key_name, dict(public_keys)
        authorizer.status = ask.get("status", authorizer.status)
        authorizer.enable_caching_for_http = ask.get("enableCachingForHttp", authorizer.enable_caching_for_http)

    def _authorizer(self, ask: Ask) -> Authorizer:
        return found(self._state.authorizers, ask["authorizerName"], "Authorizer")

    def _name(self, name: str) -> Answer:
        return {"authorizerName": name, "authorizerArn": self._state.arn("authorizer", name)}

    def _description(self, authorizer: Authorizer) -> Answer:
        return {
            "authorizerDescription": {
                **self._name(authorizer.name),
                "authorizerFunctionArn": authorizer.function_arn,
                "tokenKeyName": authorizer.token_key_name,
                "tokenSigningPublicKeys": authorizer.token_signing_public_keys,
                "status": authorizer.status,
                "creationDate": authorizer.created_at.timestamp(),
                "lastModifiedDate": authorizer.modified_at.timestamp(),
                "signingDisabled": authorizer.signing_disabled,
                "enableCachingForHttp": authorizer.enable_caching_for_http,
            }
        }


def _is_public_key(pem: str) -> bool:
    try:
        load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
