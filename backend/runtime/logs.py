"""Structured logs by Powertools: one JSON object a line."""

from typing import Any

from aws_lambda_powertools.logging import Logger

_logger = Logger()
CALLER = 3
"""Frames up: a line names the code that logged it, not this module."""


class StructuredLog:
    """The log of this function; fields stand beside the message, so that they can be searched."""

    def info(self, message: str, **fields: Any) -> None:
        """Note what happened."""
        _logger.info(message, extra=fields, stacklevel=CALLER)

    def warning(self, message: str, **fields: Any) -> None:
        """Note what somebody should look at."""
        _logger.warning(message, extra=fields, stacklevel=CALLER)

    def exception(self, message: str, **fields: Any) -> None:
        """Note a defect of ours, with the traceback of the exception at hand."""
        _logger.exception(message, extra=fields, stacklevel=CALLER)  # noqa: LOG004 - called from exception handlers
