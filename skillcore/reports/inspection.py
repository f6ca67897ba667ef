"""What `skill inspect` shows and says: sheets, the pointing figure in words, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.learning.bundles import Bundle
from skillcore.learning.inspection import Frames
from skillcore.learning.intervals import percent
from skillcore.learning.pointing import Estimate, area, estimate, mating_parts, pointing
from skillcore.learning.saliency import SUCCESS, Saliency
from skillcore.reports.saliency_sheets import Row, Sheet, action_title, spread
from skillcore.types import Image

COLUMNS = 5
"""Moments on a sheet."""
STILL = 0.05
"""A number of the action below this moves next to nothing, either way."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A bundle under the title it has in a comparison, such as "after practice"."""

    title: str
    bundle: Bundle

    @property
    def name(self) -> str:
        """What tells its folder from others: variant and number, or the name it was given."""
        parts = self.bundle.folder.resolve().parts
        return "/".join(parts[-2:]) if parts[-1].isdecimal() else parts[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A bundle's saliency, and the share of it on plug and socket, (frames, outputs), where that is known."""

    subject: Subject
    saliency: Saliency
    share: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """One thing looked at in one bundle or two, on the same frames.

    about: what is looked at: "policy" or "reward model". explained: the bundle, then the one it is compared with.
    """

    about: str
    frames: Frames
    explained: tuple[Explained, ...]

    @classmethod
    def of(cls, about: str, frames: Frames, found: Sequence[tuple[Subject, Saliency]]) -> Study:
        parts = None if frames.shown is None else mating_parts(frames.shown)
        return cls(
            about,
            frames,
            tuple(
                Explained(subject, saliency, None if parts is None else pointing(saliency.maps, parts))
                for subject, saliency in found
            ),
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.explained[0].saliency.outputs

    @property
    def area(self) -> Estimate | None:
        """The share of the images that plug and socket cover; None where nobody knows."""
        if self.frames.shown is None:
            return None
        return estimate(area(mating_parts(self.frames.shown)), self.frames.episode)

    def shares(self, one: Explained) -> dict[str, Estimate]:
        """The pointing figure of each output, and of all together where there are several; none where nobody knows."""
        if one.share is None:
            return {}
        shares = {
            name: estimate(column, self.frames.episode) for name, column in zip(self.outputs, one.share.T, strict=True)
        }
        if len(shares) > 1:
            shares["all"] = estimate(_mean(one.share), self.frames.episode)
        return shares

    def differences(self) -> dict[str, Estimate]:
        """How much larger the figures of the first bundle are than those of the second, frame by frame."""
        if len(self.explained) < 2:
            return {}
        first, second = (one.share for one in self.explained)
        if first is None or second is None:
            return {}
        columns = {name: (first - second)[:, number] for number, name in enumerate(self.outputs)}
        if len(columns) > 1:
            columns["all"] = _mean(first) - _mean(second)
        return {name: estimate(column, self.frames.episode, bounded=False) for name, column in columns.items()}

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        covered = self.area
        return {
            "about": self.about,
            "frames": len(self.frames),
            "episodes": len(set(self.frames.episode.tolist())),
            "area_of_plug_and_socket": None if covered is None else covered.as_json(),
            "bundles": [
                {
                    "title": one.subject.title,
                    "bundle": str(one.subject.bundle.folder),
                    "layer": one.saliency.layer,
                    "saliency_on_plug_and_socket": {name: each.as_json() for name, each in self.shares(one).items()},
                    "frames_without_saliency": _blank(one.saliency),
                }
                for one in self.explained
            ],
            "first_minus_second": {name: each.as_json() for name, each in self.differences().items()},
        }

    def words(self) -> list[str]:
        """The same for a person; nothing where the figure is not known."""
        covered = self.area
        if covered is None:
            return []
        shown = "success images" if self.about != "policy" else "frames"
        lines = [
            f"{self.about}: share of its saliency on plug and socket, over {covered.frames} {shown} "
            f"of {covered.episodes} episodes",
            f"  {'by chance':<18} {covered}: their share of the images",
        ]
        for one in reversed(self.explained):
            lines.append(f"  {one.subject.title} ({one.subject.name}, {one.saliency.layer})")
            blank = _blank(one.saliency)
            for name, each in self.shares(one).items():
                missing = f"; no saliency in {blank[name]} of {len(self.frames)}" if blank.get(name) else ""
                lines.append(f"    {name:<16} {each}{missing}")
        if self.differences():
            lines.append(f"  {self.explained[0].subject.title} minus {self.explained[1].subject.title}")
            lines += [f"    {name:<16} {_points(each)}" for name, each in self.differences().items()]
        return lines

    # --- sheets ---

    def policy_sheets(self, what: str, views: Sequence[str], trials: Sequence[str], chosen: int) -> dict[str, Sheet]:
        """A sheet for each number of the action along the episode of that number. what: connector and cell. trials:
        names of the episodes."""
        rows = np.flatnonzero(self.frames.episode == chosen)
        rows = rows[spread(len(rows), COLUMNS)]
        steps = int(self.frames.step[self.frames.episode == chosen].max()) + 1
        return {
            name: Sheet(
                title=f"Where the policy looks for its {action_title(name)} motion",
                lines=(
                    f"Grad-CAM along {trials[chosen]} of {what}. "
                    "Hot: speaks for the motion that was chosen; 1.00 is a full step.",
                    *self._summary(name),
                ),
                headings=tuple(f"step {self.frames.step[row] + 1} of {steps}" for row in rows),
                views=tuple(views),
                images=self.frames.observations["images"][rows],
                rows=(Row(("image",)), *self._rows(number, rows, name)),
                shown=self._shown(rows),
            )
            for number, name in enumerate(self.outputs)
        }

    def reward_sheet(self, what: str, views: Sequence[str], trials: Sequence[str]) -> Sheet:
        """One sheet of success images, each of another episode as long as there are some. trials: names of the
        episodes."""
        _, first = np.unique(self.frames.episode, return_index=True)
        rest = np.setdiff1d(np.arange(len(self.frames)), first)
        rows = np.sort(np.concatenate([first, rest])[:COLUMNS])
        return Sheet(
            title="Where the reward model's sight looks when it sees success",
            lines=(
                f"Grad-CAM on images of success, {what}. "
                "Hot: speaks for success; the figure is the probability by sight alone.",
                *self._summary(SUCCESS),
            ),
            headings=tuple(f"{trials[self.frames.episode[row]]}, {self.frames.step[row]} steps in" for row in rows),
            views=tuple(views),
            images=self.frames.observations["images"][rows],
            rows=(Row(("image",)), *self._rows(0, rows, SUCCESS)),
            shown=self._shown(rows),
        )

    def _shown(self, rows: NDArray[np.int64]) -> Image | None:
        return None if self.frames.shown is None else self.frames.shown[rows]

    def _rows(self, output: int, rows: NDArray[np.int64], name: str) -> list[Row]:
        """A row for each bundle, the one that came first on top."""
        made = []
        for one in reversed(self.explained):
            values = one.saliency.values[rows, output]
            captions = [_caption(name, float(value)) for value in values]
            label = (one.subject.title, one.subject.name, f"layer {one.saliency.layer}")
            made.append(Row(label, one.saliency.maps[rows, output], tuple(captions)))
        return made

    def _summary(self, output: str) -> list[str]:
        """The pointing figure as lines of a sheet."""
        covered = self.area
        if covered is None:
            return ["How much lies on plug and socket is not known here: that takes a simulation."]
        return [
            *(f"{one.subject.title}: {_on_parts(self.shares(one)[output])}" for one in reversed(self.explained)),
            f"by chance: {percent(covered.value)}, the share of the images that they cover "
            f"({covered.frames} frames of {covered.episodes} episodes)",
        ]


def _caption(output: str, value: float) -> str:
    """What a network put out, as it stands under a picture. The log-odds of success become a probability."""
    if output == SUCCESS:
        return f"by sight {50.0 * (1.0 + math.tanh(0.5 * value)):.0f}%"
    return f"{output} {value:+z.2f}" + (", hardly moves" if abs(value) < STILL else "")


def _on_parts(share: Estimate) -> str:
    return "nothing speaks for it in any frame" if math.isnan(share.value) else f"{share} of it on plug and socket"


def _mean(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frames,) the mean over all outputs that have saliency; NaN where none has."""
    known = np.isfinite(share)
    count = known.sum(axis=1)
    total = np.where(known, share, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _blank(saliency: Saliency) -> dict[str, int]:
    """In how many frames nothing speaks for an output."""
    empty = saliency.maps.sum(axis=(2, 3, 4)) == 0.0
    return {name: int(column.sum()) for name, column in zip(saliency.outputs, empty.T, strict=True)}


def _points(difference: Estimate) -> str:
    if math.isnan(difference.value):
        return "not known: no frame has saliency in both"
    if math.isnan(difference.low):
        return f"{100 * difference.value:+z.0f} points (one episode: no interval)"
    low, high = 100.0 * difference.low, 100.0 * difference.high
    return f"{100 * difference.value:+z.0f} points (95 % interval {low:+z.0f} to {high:+z.0f})"
