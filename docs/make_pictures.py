"""Draws the pictures of README.md and docs/, from the simulated cell and the connector library.

    python docs/make_pictures.py

images/cell.png is one HDMI insertion in the packaged cell `sim`, its cameras at a higher resolution than the policy
has them. A scripted policy that knows where the socket is drives it; what is shown is what the cameras deliver.
images/video.png is the last picture of a video: of the first of some trials that the packaged bundle succeeds in.
images/episode.png is not made here: `skill data show` has drawn it of a recorded trial whose label was corrected.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from skillcore.cell import open_cell
from skillcore.cell_config import find_cell, load_cell
from skillcore.cli import main as skill
from skillcore.plugins import Registry
from skillcore.reports.overlay import TrialPainter
from skillcore.reports.recorded_run import read_recorded
from skillcore_insertion.collector import Collector
from skillcore_insertion.drawing import draw_png
from skillcore_insertion.library import ConnectorLibrary, load_connector
from skillcore_insertion.task import SCENARIOS, InsertionTask

IMAGES = Path(__file__).parent / "images"
EXAMPLES = Path(__file__).parent / "examples"
CONNECTOR, FILMED = "hdmi_a", "usb_a"
LOOK_SEED, EPISODE_SEED = 1, 2
SIZE_PX, ENLARGED = 120, 2
"""Of a camera's image, and how many times as large it is drawn."""
GAP_PX, TOP_PX, LEFT_PX = 6, 34, 60
INK = (40, 40, 40)
Images = NDArray[np.uint8]


def main() -> None:
    """Draws them all."""
    IMAGES.mkdir(exist_ok=True)
    draw_cell(IMAGES / "cell.png")
    draw_png(load_connector(EXAMPLES / "my_plug.yaml"), IMAGES / "my_plug.png")
    draw_video(IMAGES / "video.png")


def draw_video(path: Path) -> None:
    """The end of a trial, as a video shows it."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SKILLCORE_HOME"] = home
        if skill(["eval", "insertion", "--connector", FILMED, "--trials", "8"]) not in (0, 1):
            raise SystemExit("the trials cannot be run")
        (folder,) = Path(home).glob("runs/*")
        run = read_recorded(folder)
        trial = next(one for one in run.parts["acceptance"] if one.result.claimed and one.result.truth)
        with run.store as store:
            episode = store.read(trial.episode_id)
        heading = f"{episode.info.variant} in cell {episode.info.cell}: test, trial {trial.number} of 8"
        picture = TrialPainter(run.setting, episode, trial.result, heading).picture(episode.steps, ended=True)
    small = cv2.resize(picture[:, :, ::-1], (960, 540), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def draw_cell(path: Path) -> None:
    """Both wrist views at four moments of one insertion."""
    images, depths_mm = insert()
    last = len(images) - 1
    above = max(step for step, depth in enumerate(depths_mm) if depth < 0.0)
    shown = [0, above, (above + last + 1) // 2, last]
    cell_px = SIZE_PX * ENLARGED + GAP_PX
    sheet = np.full((TOP_PX + 2 * cell_px, LEFT_PX + len(shown) * cell_px, 3), 255, np.uint8)
    for view, name in enumerate(("left", "right")):
        _write(sheet, name, (8, TOP_PX + view * cell_px + cell_px // 2))
    for column, step in enumerate(shown):
        left = LEFT_PX + column * cell_px
        depth = depths_mm[step]
        where = f"{-depth:.1f} mm above" if depth < 0.0 else "seated" if step == last else f"{depth:.1f} mm in"
        _write(sheet, f"step {step}: {where}", (left + 2, TOP_PX - 12))
        for view, image in enumerate(images[step]):
            top = TOP_PX + view * cell_px
            large = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_NEAREST)
            sheet[top : top + len(large), left : left + len(large)] = large
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"cannot write {path}")


def insert() -> tuple[list[Images], list[float]]:
    """What the cameras saw before each step and after the last, and how deep the plug's tip was in the socket."""
    config: dict[str, Any] = yaml.safe_load(find_cell("sim").read_text(encoding="utf-8"))
    config["views"]["size_px"] = SIZE_PX
    for camera in config["cameras"].values():
        camera["size_px"] = SIZE_PX
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        loaded = load_cell(file, Registry.discover())
    connector = ConnectorLibrary().get(CONNECTOR)
    mating = connector.mating(np.random.default_rng(LOOK_SEED))
    images, depths_mm, ended = [], [], False
    with open_cell(loaded) as cell:
        task = InsertionTask(cell, mating, symmetry=connector.symmetry, start=SCENARIOS["I"], seed=LOOK_SEED)
        rng = np.random.default_rng(0)
        policy = Collector(cell.config.control, rng, depth_m=mating.depth_m, random=0.0, biased=0.0, wandering=0.0)
        observation, info = task.reset(seed=EPISODE_SEED)
        while True:
            assert cell.simulation is not None
            images.append(observation["images"])
            depths_mm.append(1e3 * float(cell.simulation.plug_from_socket().position_m[2]))
            if ended:
                return images, depths_mm
            observation, _, success, truncated, info = task.step(policy.act(info["truth"]))
            ended = success
            if truncated:
                raise RuntimeError("this episode ends without success: choose another EPISODE_SEED")


def _write(sheet: Images, words: str, at_px: tuple[int, int]) -> None:
    cv2.putText(sheet, words, at_px, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
