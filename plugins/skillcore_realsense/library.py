"""Loads the vendor's library, with the libusb that came by pip."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

REQUIRES = "pip install 'pyrealsense2>=2.58,<3' libusb-package"


def load() -> Any:
    """The module `pyrealsense2`. Raises ImportError if it, or libusb, is not installed.

    The library is linked to libusb-1.0.so.0. Where the system has none, the one in the package libusb-package serves
    if it is in the process before; where the system has one, that package need not be installed.
    """
    try:
        path = importlib.import_module("libusb_package").get_library_path()
    except ModuleNotFoundError:
        path = None
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    return importlib.import_module("pyrealsense2")
