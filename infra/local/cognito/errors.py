"""Cognito's errors, in Cognito's own sentences: one class, told apart by the code clients switch on."""

from typing import Self


class CognitoError(Exception):
    """A request is refused: ``code`` is the exception botocore raises for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def not_authorized(cls, message: str = "Incorrect username or password.") -> Self:
        """Return the refusal of somebody who may not, or is not who they say."""
        return cls("NotAuthorizedException", message)

    @classmethod
    def invalid(cls, message: str) -> Self:
        """Return the refusal of a request that makes no sense as it stands."""
        return cls("InvalidParameterException", message)

    @classmethod
    def missing(cls, message: str) -> Self:
        """Return the refusal of a request about what does not exist."""
        return cls("ResourceNotFoundException", message)

    @classmethod
    def no_user(cls) -> Self:
        """Return the refusal that tells that there is no such user; public clients may be set to hide it."""
        return cls("UserNotFoundException", "User does not exist.")

    @classmethod
    def code_mismatch(cls) -> Self:
        """Return the refusal of a wrong code."""
        return cls("CodeMismatchException", "Invalid verification code provided, please try again.")

    @classmethod
    def not_carried(cls, what: str) -> Self:
        """Return the refusal of what AWS would do and the local cloud does not."""
        return cls("InvalidParameterException", f"The local cloud does not carry {what}.")
