"""`python -m skillcore.testing --port 30100`: a simulated robot controller; `skillcore.testing.peers` describes it."""

from __future__ import annotations

import argparse
import contextlib
import threading

from skillcore.testing.peers import RobotPeer


def main() -> None:
    """Serves a robot until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m skillcore.testing",
        description="A simulated robot controller that serves lines of JSON on 127.0.0.1, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, default=30100, help="where to listen; 0 takes any port that is free")
    robot = RobotPeer(port=parser.parse_args().port)
    try:
        robot.mend()
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on port {robot.port}: {error}; choose another one with --port")
    with robot, contextlib.suppress(KeyboardInterrupt):
        print(f"a robot listens on {robot.address}:{robot.port}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
