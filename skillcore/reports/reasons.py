"""Why a trial failed, told from what was recorded of it and from nothing else.

The first that holds is the reason:

    aborted          a fault or a limit of force ended the trial
    false_positive   the reward model took it for a success, and it was none (only where the truth is known)
    not_seen         it was a success, and the reward model did not take it for one (only where the truth is known)
    maybe_seated     it reached the depth of a seated plug and was not taken for a success; nothing knows better
    timeout          it was still going in when the steps ran out
    jammed           it went in partly and no further; or pressed over the hole and did not go in
    missed           it pressed beside the hole
    timeout          it touched nothing in its last steps

Where the socket is not known, nobody can tell a miss from a jam: what pressed and stood still is `stuck` then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skillcore.learning.consistency import path_of
from skillcore.learning.rewarding import RULE
from skillcore.types import Array, Episode, Pose

Kind = Literal["aborted", "false_positive", "not_seen", "maybe_seated", "jammed", "missed", "stuck", "timeout"]
TITLES: dict[Kind, str] = {
    "aborted": "Aborted",
    "false_positive": "Reward model wrong: failure taken for success",
    "not_seen": "Reward model wrong: success not seen",
    "maybe_seated": "Seated or not? The reward model did not take it for a success",
    "jammed": "Jammed",
    "missed": "Missed",
    "stuck": "Stuck",
    "timeout": "Out of time",
}
LAST = 4
"""What a trial did in the end is read from so many last frames: who feels around presses in every second one only."""
TOUCHED_N = 2.0
PRESSED_N = 4.0
STOOD_M = 0.001
"""Moved less than this in the last frames: it got no further."""
OVER_M = 0.001
"""A plug is grasped up to so much off, so that nearer than this to the hole's middle nothing tells it from the hole."""
NEAR_M = 0.003
"""Farther than this from the middle's line, no depth means that a plug is in the hole."""
IN_M = 0.002
IN_SHARE = 1 / 3
"""In the hole, when it is in by this much or by this share of the depth: beside a hole, chamfers and tilting let a
plug sink in by nearly as much."""
SEATED_M = 0.0005
ENOUGH = 3
"""So many successes tell better where a seated plug is than the cell does."""


@dataclass(frozen=True, slots=True, eq=False)
class Socket:
    """Where success lies. seat_m: (3,) the TCP's place in the base's frame when the plug is seated. into: (3,) the
    direction into the socket. depth_m: from the mouth to the seat."""

    seat_m: Array
    into: Array
    depth_m: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a trial failed: its kind, and what was measured in words."""

    kind: Kind
    words: str

    @property
    def title(self) -> str:
        return TITLES[self.kind]


def socket_of(socket_from_base: Pose, depth_m: float, successes: Sequence[Episode]) -> Socket:
    """Where success lies: where successes ended, if there are enough of them; else where the cell takes it to be."""
    into = socket_from_base.rotation[:, 2]
    seat = socket_from_base.position_m + depth_m * into
    ends = [path_of(episode)[-1] for episode in successes if episode.info.start_from_base is not None]
    if len(ends) >= ENOUGH:
        seat = np.median(np.stack(ends), axis=0)
    return Socket(np.asarray(seat), np.asarray(into), depth_m)


def reason_of(episode: Episode, socket: Socket | None) -> Reason | None:
    """Why a trial failed; None for one that did not. Images are not looked at.

    socket: where success lies, in the same frame as the trial's start; None where it is not known.
    """
    claimed = episode.info.outcome == "success"
    really = episode.known_success
    if episode.info.outcome == "aborted":
        return Reason("aborted", episode.info.note or "no cause was recorded")
    if claimed:
        if really is False:
            return _false_positive(episode, socket)
        return None
    if episode.corrected:
        return Reason("not_seen", "somebody has looked, and says that it succeeded")
    if episode.corrected is None and (episode.truth == 1).any():
        return _not_seen(episode)
    if socket is None or episode.info.start_from_base is None:
        return _without_socket(episode)
    return _by_place(episode, socket, known=really is not None)


def _false_positive(episode: Episode, socket: Socket | None) -> Reason:
    score = float(episode.score[-1])
    words = [f"it scored {score:.2f}"] if score == score else []
    if socket is not None and episode.info.start_from_base is not None:
        in_m, aside_m = _places(episode, socket)
        if aside_m[-1] > NEAR_M or in_m[-1] < 0.0:
            words.append(f"it ended {_mm(float(aside_m[-1]))} beside the middle of the hole")
        elif (missing_m := socket.depth_m - float(in_m[-1])) > SEATED_M:
            words.append(f"it ended {_mm(missing_m)} before it was seated")
        else:
            # The arm's place cannot tell: a plug may be held higher or lower than in the successes.
            words.append("the arm went as deep as for a seated plug, and the plug was not in all the way")
    return Reason("false_positive", "; ".join(words) or "it ended without being seated")


def _not_seen(episode: Episode) -> Reason:
    seated = np.flatnonzero(episode.truth == 1)
    best = float(np.nanmax(episode.score[seated])) if not np.isnan(episode.score[seated]).all() else float("nan")
    said = f"; the best score was {best:.2f}" if best == best else ""
    if not episode.truth[-1]:
        return Reason("not_seen", f"it was seated after step {seated[0]}, went on, and left again{said}")
    if len(seated) < RULE.agreement:
        return Reason("not_seen", f"it was seated at the very end, and several frames must agree{said}")
    return Reason("not_seen", f"it was seated from step {seated[0]} on{said}")


def _by_place(episode: Episode, socket: Socket, *, known: bool) -> Reason:
    in_m, aside_m = _places(episode, socket)
    pressed_n = _forces(episode)
    missing_m = socket.depth_m - float(in_m[-1])
    if not known and missing_m < SEATED_M and aside_m[-1] < NEAR_M:
        return Reason("maybe_seated", "it reached the depth at which successes lie")
    least_m = min(IN_M, IN_SHARE * socket.depth_m)
    if in_m[-1] > least_m and aside_m[-1] < NEAR_M:
        lately_m = float(in_m[-1] - in_m[0])
        if lately_m > STOOD_M:
            return Reason("timeout", f"it was still going in: {_mm(missing_m)} were missing when the steps ran out")
        far = f"it was in by {_mm(float(in_m[-1]))} of {_mm(socket.depth_m)} and got no further"
        return Reason("jammed", f"{far}, pressing with up to {pressed_n.max():.0f} N")
    if pressed_n.max() > PRESSED_N:
        touching = pressed_n > TOUCHED_N
        aside = float(np.median(aside_m[touching]))
        if aside <= OVER_M:
            where = f"it pressed on the mouth with up to {pressed_n.max():.0f} N"
            return Reason("jammed", f"{where}, {_mm(aside)} from the middle, and did not go in")
        return Reason("missed", f"it pressed beside the hole, {_mm(aside)} from its middle")
    above = f"{_mm(max(0.0, -float(in_m[-1])))} in front of the mouth and {_mm(float(aside_m[-1]))} beside the middle"
    return Reason("timeout", f"it ended in the open, {above}")


def _without_socket(episode: Episode) -> Reason:
    pressed_n = _forces(episode)
    if pressed_n.max() <= PRESSED_N:
        return Reason("timeout", "it ended in the open, touching nothing")
    last = episode.pose[-LAST:, :3].astype(np.float64)
    if float(np.linalg.norm(last[-1] - last[0])) < STOOD_M:
        return Reason("stuck", f"it pressed with up to {pressed_n.max():.0f} N and got no further")
    return Reason("timeout", f"it was pressing with up to {pressed_n.max():.0f} N and still moving")


def _places(episode: Episode, socket: Socket) -> tuple[Array, Array]:
    """How far in the last frames the tip was inside of the mouth, and how far from the hole's middle, in m."""
    places = episode.start_from_base.transform(episode.pose[-LAST:, :3].astype(np.float64)) - socket.seat_m
    along = places @ socket.into
    aside = np.linalg.norm(places - np.outer(along, socket.into), axis=1)
    return np.asarray(along + socket.depth_m), np.asarray(aside)


def _forces(episode: Episode) -> Array:
    """The force in the last frames, in N."""
    return np.asarray(np.linalg.norm(episode.wrench[-LAST:, :3].astype(np.float64), axis=1))


def _mm(length_m: float) -> str:
    return f"{1000.0 * length_m:.1f} mm"
