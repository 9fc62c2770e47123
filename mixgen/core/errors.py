"""Errors a user can act on: one sentence each, and the exit code of the command."""


class SuiteError(Exception):
    """Root of every error that the suite raises on purpose."""

    exit_code = 3


class UsageError(SuiteError):
    """The command or call was given something it does not take."""

    exit_code = 2


class InputError(SuiteError):
    """A file, recipe, manifest or checkpoint is not what it should be."""

    exit_code = 3


class PartialFailure(SuiteError):
    """The work is done except for some items, each of which was listed."""

    exit_code = 4


class GateFailed(SuiteError):
    """The regression gate found a checkpoint that got worse."""

    exit_code = 5


class MachineError(SuiteError):
    """The machine lacks something: a program, disk space, a permission."""

    exit_code = 6
