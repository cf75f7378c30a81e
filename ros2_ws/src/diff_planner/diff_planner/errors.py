"""The exceptions that cross module borders, in one small tree.

Each message names what was expected and what came.  `Planner.plan` turns `InputError`,
`BackendError` and anything unknown into a labelled safe plan; commands turn
every `DiffPlannerError` into one sentence and exit code 2.
"""


class DiffPlannerError(Exception):
    """Root of everything this package raises on purpose."""


class ConfigError(DiffPlannerError):
    """A configuration that cannot be used: unknown key, value out of range, file missing."""


class InputError(DiffPlannerError):
    """A sensor message or a planner input that cannot be used."""


class MissingInputError(InputError):
    """Something that planning needs was not there: a topic, a transform, a calibration."""


class EncodingError(InputError):
    """An image or point layout that this package does not decode."""


class NonFiniteInputError(InputError):
    """NaN or infinity where only finite numbers have a meaning."""


class BagError(DiffPlannerError):
    """A bag that cannot be read or written: not there, empty, truncated, disk full."""


class RecordingError(BagError):
    """The plans of a running node could not be written; the node was not bothered with it."""


class SceneError(DiffPlannerError):
    """A scene or proposals that cannot be used: wrong shape, unknown version, not finite, empty."""


class ResultsError(DiffPlannerError):
    """Results or a report that cannot be read or written: unknown version, empty, disk full."""


class OutputError(DiffPlannerError):
    """A file that cannot be written: no permission, disk full."""


class ContractError(DiffPlannerError):
    """A model file, card or tensor that does not fit what the caller expects."""


class BackendError(DiffPlannerError):
    """An inference backend that is absent or failed while running."""
