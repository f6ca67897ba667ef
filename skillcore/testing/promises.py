"""How a contract suite says which promise was broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import pytest

from skillcore.interfaces import Arm, Camera
from skillcore.types import Pose

DeviceT = TypeVar("DeviceT", Arm, Camera)


def promised(holds: bool, promise: str, found: object = "") -> None:
    """Fails the test unless `holds`, with the promise in the words of `skillcore.interfaces` and what was found."""
    __tracebackhide__ = True
    if not holds:
        pytest.fail(f"broken promise: {promise}" + (f"\nfound: {words}" if (words := str(found)) else ""))


@contextmanager
def promised_error(kind: type[Exception], promise: str) -> Iterator[None]:
    """Fails the test unless the body raises `kind`. A method that is not filled in yet has broken no promise."""
    __tracebackhide__ = True
    try:
        yield
    except NotImplementedError:
        raise
    except kind:
        return
    except Exception as error:  # noqa: BLE001 - whatever a device raises instead is the finding
        pytest.fail(f"broken promise: {promise}\nfound: {type(error).__name__}: {error}")
    pytest.fail(f"broken promise: {promise}\nfound: nothing was raised")


@contextmanager
def promised_silence(promise: str) -> Iterator[None]:
    """Fails the test if the body raises. A method that is not filled in yet has broken no promise."""
    __tracebackhide__ = True
    try:
        yield
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a device raises is the finding
        pytest.fail(f"broken promise: {promise}\nfound: {type(error).__name__}: {error}")


@contextmanager
def connected(device: DeviceT) -> Iterator[DeviceT]:
    """Connects a device and closes it afterwards. Where connecting fails, that is told, whatever closing does then."""
    try:
        device.connect()
    except Exception as error:
        try:
            device.close()
        except NotImplementedError:
            pass  # the tests of `close` tell
        except Exception as second:  # noqa: BLE001 - the first error is the one that says what is wrong
            error.add_note(f"close, which may be called after a failed connect, raised {type(second).__name__} then")
        raise
    try:
        yield device
    finally:
        device.close()


def distance_m(first: Pose, second: Pose) -> float:
    """How far two poses are apart."""
    return float(np.linalg.norm(first.position_m - second.position_m))


def turn_rad(first: Pose, second: Pose) -> float:
    """How far two poses are turned against each other."""
    return float(np.linalg.norm((first.inverse() @ second).rotvec_rad))


def is_near(first: Pose, second: Pose, apart_m: float, apart_rad: float) -> bool:
    """Whether two poses are no farther apart than that."""
    return distance_m(first, second) <= apart_m and turn_rad(first, second) <= apart_rad
