"""The exception family: every error says which file, field and value, and what would be right."""

from __future__ import annotations


class ThresherError(Exception):
    """Anything a person can mend; the command line prints it without a traceback and exits with status 2."""


class InputError(ThresherError):
    """Bad input: where it stands, what it is, and what would be right.

    Parameters
    ----------
    where
        The file and field, for instance ``plan.toml: [network] upload_mbps``.
    value
        The offending value, shown with ``repr``; leave out when it is missing altogether.
    expected
        What would be right, as a phrase that completes "expected ...".
    """

    def __init__(self, where: str, expected: str, value: object = ...) -> None:
        self.where = where
        self.expected = expected
        self.value = value
        got = "" if value is ... else f", got {value!r}"
        super().__init__(f"{where}: expected {expected}{got}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, object]]:
        """Travels between processes as its parts."""
        return type(self), (self.where, self.expected, self.value)


class InfeasiblePlanError(ThresherError):
    """A plan that is well formed but that no machine can run: it does not fit, or overbooks a link."""
