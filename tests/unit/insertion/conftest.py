"""What the tests of connectors share: the packaged library, and what it means that plug and socket go together."""

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from shapely import Polygon

from skillcore.solids import Extrusion, Mating
from skillcore_insertion.connector import Connector
from skillcore_insertion.library import ConnectorLibrary

CLEARANCE_M = 2e-5
ROUNDING_M = 1e-9


@pytest.fixture(scope="session")
def library() -> ConnectorLibrary:
    return ConnectorLibrary()


@pytest.fixture(scope="session")
def check_mates() -> Callable[[Connector, np.random.Generator | None], Mating]:
    return _check_mates


def _check_mates(connector: Connector, rng: np.random.Generator | None) -> Mating:
    """Every guide lies in its hole with clearance; seated, no solid of the plug is inside a solid of the socket."""
    for fit in connector.fits(rng):
        assert fit.hole.covers(fit.plug.buffer(CLEARANCE_M - ROUNDING_M, join_style="mitre"))
    mating = connector.mating(rng)
    for extrusion in (*mating.plug, *mating.socket):
        _check_solid(extrusion)
    assert max(solid.z_m[1] for solid in mating.plug) == pytest.approx(0.0, abs=1e-12)
    assert min(solid.z_m[0] for solid in mating.socket) == 0.0
    assert all(solid.z_m[1] <= 1e-12 for solid in mating.plug)
    assert mating.depth_m == pytest.approx(connector.depth_mm * 1e-3)
    for plug in mating.plug:
        for socket in mating.socket:
            if plug.collides and socket.collides:
                assert not _overlap(plug, socket, mating.depth_m)
    return mating


def _check_solid(extrusion: Extrusion) -> None:
    assert extrusion.z_m[0] < extrusion.z_m[1]
    for ring in (extrusion.outline, *extrusion.holes):
        assert ring.dtype == np.float64
        assert ring.ndim == 2
        assert ring.shape[0] >= 3
        assert ring.shape[1] == 2
        assert shapely.LinearRing(ring).is_ccw
        assert not np.array_equal(ring[0], ring[-1])
        assert np.abs(ring).max() < 0.15, "a part of more than 30 cm: are the figures in mm?"
    assert _section(extrusion).is_valid
    assert all(0.0 <= channel <= 1.0 for channel in extrusion.material.color)


def _section(extrusion: Extrusion) -> Polygon:
    return Polygon(extrusion.outline, extrusion.holes)


def _overlap(plug: Extrusion, socket: Extrusion, depth_m: float) -> bool:
    """Whether the two share room when the plug is seated."""
    low = max(plug.z_m[0] + depth_m, socket.z_m[0])
    high = min(plug.z_m[1] + depth_m, socket.z_m[1])
    return high - low > ROUNDING_M and _section(plug).intersection(_section(socket)).area > 1e-13
