"""Text with wildcards and policy variables, compiled once and matched in time linear in the text.

AWS IoT developer guide, "AWS IoT Core policy variables": ``*`` is any run of characters (``/`` included), ``?`` exactly
one, ``+`` and ``#`` are plain; ``${*}``, ``${?}`` and ``${$}`` are those characters themselves.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import product

Resolve = Callable[[str], Sequence[str] | None]
"""A variable's name to what it stands for: one value, all of a ``.List``, or None if it stays unresolved."""

_TOKEN = re.compile(r"\$\{([^}]*)\}|\*|\?")
_STAR = "*"
_ESCAPES = {"*", "?", "$"}


class Pattern:
    """One string of a policy. A variable's value is taken literally: wildcards in it match only themselves."""

    __slots__ = ("_exact", "_parts", "_prefix", "_regex", "text", "variables")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[tuple[str, str]] = []
        at = 0
        for token in _TOKEN.finditer(text):
            self._parts.append(("text", text[at : token.start()]))
            name = token[1]
            if name is None:
                self._parts.append(("wild", token[0]))
            else:
                self._parts.append(("text", name) if name in _ESCAPES else ("variable", name))
            at = token.end()
        self._parts.append(("text", text[at:]))
        self._prefix = self._parts[0][1]
        self.variables = tuple(value for kind, value in self._parts if kind == "variable")
        wild = any(kind == "wild" for kind, _ in self._parts)
        self._exact = None if wild or self.variables else self.plain(lambda _: None)
        self._regex = None if self.variables or not wild else _compiled(self.expression({}))

    def matches(self, value: str, resolve: Resolve) -> bool:
        """Say whether the whole ``value`` fits; a variable that stays unresolved fits nothing."""
        if self._exact is not None:
            return value == self._exact
        if self._regex is not None:
            return self._regex.fullmatch(value) is not None
        if not value.startswith(self._prefix):
            return False
        found = [resolve(name) for name in self.variables]
        if not all(found):
            return False
        return _substituted(self, tuple(tuple(one or ()) for one in found)).fullmatch(value) is not None

    def plain(self, resolve: Resolve) -> str:
        """Return the text with variables replaced and wildcards left as characters; unresolved variables stay."""
        out = []
        for kind, value in self._parts:
            found = resolve(value) if kind == "variable" else (value,)
            out.append(found[0] if found else f"${{{value}}}")
        return "".join(out)

    def spellings(self, resolve: Resolve) -> list[str]:
        """Return the text with wildcards left as characters, once for each value of its variables.

        There is none if a variable stays unresolved: nothing equals what has no value. (IAM, "Policy variables with no
        value").
        """
        found = [(resolve(value) or ()) if kind == "variable" else (value,) for kind, value in self._parts]
        return ["".join(each) for each in product(*found)]

    def expression(self, values: Mapping[str, Sequence[str]]) -> str:
        """Return the regular expression, each variable standing for any of its values."""
        segments = [""]
        for kind, value in self._parts:
            if kind == "wild" and value == _STAR:
                segments.append("")
            elif kind == "wild":
                segments[-1] += "."
            elif kind == "variable":
                # Shortest first: what follows begins with a star or stands at the end, so shorter is never worse.
                choices = "|".join(re.escape(one) for one in sorted(values[value], key=len))
                segments[-1] += f"(?:{choices})"
            else:
                segments[-1] += re.escape(value)
        if len(segments) == 1:
            return segments[0]
        # Atomic groups: a policy of many stars must not take exponential time.
        middle = "".join(f"(?>.*?{segment})" for segment in segments[1:-1])
        return f"{segments[0]}{middle}.*{segments[-1]}"


@lru_cache(maxsize=8192)
def _substituted(pattern: Pattern, values: tuple[tuple[str, ...], ...]) -> re.Pattern[str]:
    return _compiled(pattern.expression(dict(zip(pattern.variables, values, strict=True))))


@lru_cache(maxsize=8192)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)
