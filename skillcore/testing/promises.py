"""How a contract suite says which promise was broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from skillcore.types import Pose


def promised(holds: bool, promise: str, found: object = "") -> None:
    """Fails the test unless `holds`, with the promise in the words of `skillcore.interfaces` and what was found."""
    __tracebackhide__ = True
    if not holds:
        pytest.fail(f"broken promise: {promise}" + (f"\nfound: {words}" if (words := str(found)) else ""))


@contextmanager
def promised_error(kind: type[Exception], promise: str) -> Iterator[None]:
    """Fails the test unless the body raises `kind`."""
    __tracebackhide__ = True
    try:
        yield
    except kind:
        return
    except Exception as error:  # noqa: BLE001 - whatever a device raises instead is the finding
        pytest.fail(f"broken promise: {promise}\nfound: {type(error).__name__}: {error}")
    pytest.fail(f"broken promise: {promise}\nfound: nothing was raised")


@contextmanager
def promised_silence(promise: str) -> Iterator[None]:
    """Fails the test if the body raises."""
    __tracebackhide__ = True
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever a device raises is the finding
        pytest.fail(f"broken promise: {promise}\nfound: {type(error).__name__}: {error}")


def is_vector(value: object, length: int) -> bool:
    """Whether this is a numpy vector of so many finite numbers."""
    return isinstance(value, np.ndarray) and value.shape == (length,) and bool(np.isfinite(value).all())


def is_pose(pose: Pose) -> bool:
    """Whether position and rotation are finite and the rotation is one."""
    rotation = pose.rotation
    if not is_vector(pose.position_m, 3) or rotation.shape != (3, 3) or not np.isfinite(rotation).all():
        return False
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0.0)


def distance_m(first: Pose, second: Pose) -> float:
    """How far two poses are apart."""
    return float(np.linalg.norm(first.position_m - second.position_m))
