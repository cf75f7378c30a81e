"""A backend that fails when it is told to, around one that works."""

import threading
import time

import numpy as np

from diff_planner.errors import BackendError
from diff_planner.inference import load_backend
from diff_planner.resources import model_folder
from diff_planner.types import Proposals


class FaultyBackend:
    """As the one inside, until `fault` is set: a function that runs instead, given its result."""

    def __init__(self, inner):
        self._inner = inner
        self.fault = None
        self.is_closed = False
        self.began_ns = 0
        """When the newest run began, steady clock."""
        self.runs = 0

    @property
    def name(self):
        return self._inner.name

    @property
    def precision(self):
        return self._inner.precision

    @property
    def card(self):
        return self._inner.card

    def run(self, inputs, noise):
        self.began_ns = time.monotonic_ns()
        self.runs += 1
        proposals = self._inner.run(inputs, noise)
        return proposals if self.fault is None else self.fault(proposals)

    def heal(self):
        """Work again; what hangs comes back."""
        if isinstance(self.fault, Hanging):
            self.fault.release()
        self.fault = None

    def warm_up(self):
        self._inner.warm_up()

    def close(self):
        self.is_closed = True
        self._inner.close()


def raising(error):
    def fault(proposals):
        raise error

    return fault


def slow(seconds):
    def fault(proposals):
        time.sleep(seconds)
        return proposals

    return fault


def not_finite(proposals):
    return Proposals(np.full_like(proposals.poses, np.nan), np.full_like(proposals.scores, np.inf))


class Hanging:
    """Does not come back before `release`; `began_ns` tells since when."""

    def __init__(self):
        self._released = threading.Event()
        self.has_begun, self.is_over = threading.Event(), threading.Event()
        self.began_ns = None

    def __call__(self, proposals):
        if self.began_ns is None:
            self.began_ns = time.monotonic_ns()
        self.has_begun.set()
        if not self._released.wait(60.0):
            raise BackendError("the test forgot this run")
        self.is_over.set()
        return proposals

    def release(self):
        self._released.set()


class Loader:
    """Gives models as the node asks for them, each in a FaultyBackend; counts them."""

    def __init__(self):
        self.backends = []

    @property
    def newest(self):
        return self.backends[-1]

    def __call__(self, settings):
        model = settings.planner.model
        inner = load_backend(model_folder(model.path), model.backend, model.threads)
        self.backends.append(FaultyBackend(inner))
        return self.newest
