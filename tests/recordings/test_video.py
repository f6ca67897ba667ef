"""Videos and films, decoded again: what is in them, how long they are, and what is left when writing fails."""

from __future__ import annotations

import itertools
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from skillcore.errors import InputError, StorageError
from skillcore.learning.evaluate import TrialResult
from skillcore.learning.rewarding import threshold_of
from skillcore.learning.saved_trials import Trial
from skillcore.reports import film
from skillcore.reports.overlay import AMBER, GREEN, HEIGHT_PX, RED, VIOLET, WIDTH_PX, TrialPainter, verdict_of
from skillcore.reports.recorded_run import RecordedRun, read_recorded, spread
from skillcore.reports.video import (
    BEGIN_S,
    END_S,
    MOST_TRIALS,
    Shot,
    chosen,
    record_run,
    require_video,
    write_mp4,
    write_trials,
)
from skillcore.types import Image

MakeRun = Callable[..., RecordedRun]
GREY = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)


def decoded(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def border(picture: Image) -> np.ndarray:
    """The colour of the frame around a picture."""
    return picture[5, 100:1100].mean(0)


def trial(number: int, *, claimed: bool = True, truth: bool | None = True, steps: int = 9) -> Trial:
    return Trial("acceptance", TrialResult(number, claimed, truth, steps, 30.0, 0, 0, ""), f"id{number}")


# --- the file ----------------------------------------------------------------------------------------------------


def test_it_is_h264_that_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "new" / "film.mp4"
    seconds, size = write_mp4(path, [Shot(GREY, 3), Shot(GREY // 2, 7)], rate_hz=10.0, title="HDMI plug")
    assert (seconds, size) == (1.0, path.stat().st_size)
    with av.open(str(path)) as container:
        (stream,) = container.streams
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 1280, 720)
        assert (stream.frames, float(stream.average_rate)) == (10, 10.0)
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0)
        assert container.metadata["title"] == "HDMI plug"
        # Of these colours browsers need not guess.
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
    pictures = decoded(path)
    assert len(pictures) == 10
    assert abs(int(pictures[0].mean()) - 90) <= 2
    assert abs(int(pictures[9].mean()) - 45) <= 2


def test_its_index_comes_before_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_mp4(path, [Shot(GREY, 5)], rate_hz=10.0)
    data, place, kinds = path.read_bytes(), 0, []
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        kinds.append(kind)
        place += length
    assert kinds.index(b"moov") < kinds.index(b"mdat")


def test_a_rate_that_is_no_whole_number_is_kept(tmp_path: Path) -> None:
    seconds, _ = write_mp4(tmp_path / "film.mp4", [Shot(GREY, 5)], rate_hz=2.5)
    assert seconds == 2.0
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert float(container.duration / av.time_base) == pytest.approx(2.0, abs=0.01)


def test_on_a_full_disk_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            write_mp4(path, [Shot(noise, 3)], rate_hz=10.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_breaks_off_leaves_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_mp4(path, [Shot(GREY, 5)], rate_hz=10.0)
    before = path.read_bytes()

    def broken() -> Iterator[Shot]:
        yield Shot(GREY, 5)
        raise ValueError("an episode is damaged")

    with pytest.raises(ValueError, match="an episode is damaged"):
        write_mp4(path, broken(), rate_hz=10.0)
    assert [one.name for one in tmp_path.iterdir()] == ["film.mp4"]
    assert path.read_bytes() == before


def test_without_the_extra_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError) as caught:
        require_video()
    assert caught.value.cure == "pip install 'skillcore[video]'"


def test_without_the_encoder_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(InputError, match="lacks libx264"):
        require_video()


# --- the pictures ------------------------------------------------------------------------------------------------

ENDINGS = {"success": GREEN, "timeout": RED, "wrong": VIOLET, "missed": AMBER, "aborted": RED, "success?": GREEN}


def test_how_a_trial_ended_is_seen_at_its_end_alone(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run({"acceptance": list(ENDINGS)})
    for one, colour in zip(run.parts["acceptance"], ENDINGS.values(), strict=True):
        written = write_trials(run, [one], tmp_path / "one.mp4")
        pictures = decoded(written.path)
        begin, end = round(BEGIN_S * 10), round(END_S * 10)
        assert len(pictures) == begin + one.result.steps + end
        assert written.seconds == pytest.approx(len(pictures) / 10)
        assert np.abs(border(pictures[-1]) - colour).max() < 12
        assert np.abs(border(pictures[-end]) - colour).max() < 12
        assert border(pictures[-end - 1]).max() < 60


def test_each_ending_has_words_of_its_own() -> None:
    results = [
        trial(0).result,
        trial(0, truth=None).result,
        trial(0, truth=False).result,
        trial(0, claimed=False).result,
        trial(0, claimed=False, truth=False).result,
    ]
    said = [(verdict.words, verdict.beside) for verdict in map(verdict_of, results)]
    assert len(set(said)) == 5
    assert [words for words, _ in said] == ["INSERTED", "INSERTED", "NOT INSERTED", "INSERTED", "NOT INSERTED"]
    assert ["wrong" in beside for _, beside in said] == [False, False, True, True, False]


def test_the_views_are_shown_as_they_were_recorded(make_run: MakeRun) -> None:
    run = make_run({"acceptance": ["success"]})
    one = run.parts["acceptance"][0]
    with run.store as store:
        episode = store.read(one.episode_id)
    episode.images[2, 0], episode.images[2, 1] = (250, 10, 10), (10, 10, 250)
    picture = TrialPainter(run.setting, episode, one.result, "").picture(2)
    assert picture[300, 240].tolist() == [250, 10, 10]
    assert picture[300, 700].tolist() == [10, 10, 250]


def test_action_force_and_score_change_the_picture_where_they_stand(make_run: MakeRun) -> None:
    run = make_run({"acceptance": ["success"]})
    one = run.parts["acceptance"][0]
    with run.store as store:
        episode = store.read(one.episode_id)

    def changed(name: str, value: float) -> tuple[int, int, int, int]:
        """Left, upper, right and lower edge of what another value changes in the picture of step 2."""
        before = TrialPainter(run.setting, episode, one.result, "").picture(2)
        array = getattr(episode, name)
        kept = array.copy()
        array[2 if len(array) > episode.steps else 1] = value
        after = TrialPainter(run.setting, episode, one.result, "").picture(2)
        array[:] = kept
        rows, columns = np.nonzero((before != after).any(2))
        return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())

    left, upper, _, lower = changed("executed", -1.0)
    assert left > 930
    assert upper > 60
    assert lower < 270
    left, upper, right, lower = changed("score", 0.95)
    assert left > 650
    assert upper > 400
    # Force: the number on the right, and the trace below on the left.
    left, upper, right, lower = changed("wrench", 1.0)
    assert left < 640 < right
    assert upper > 290


@pytest.mark.parametrize("views", [1, 2, 3])
def test_any_number_of_views_fits(make_run: MakeRun, views: int, tmp_path: Path) -> None:
    run = make_run({"run": ["success"]}, views=views)
    assert len(decoded(write_trials(run, run.parts["run"], tmp_path / "a.mp4").path)) > 10


def test_a_run_from_before_settings_were_written_down_has_its_pictures_too(make_run: MakeRun) -> None:
    run = make_run({"run": ["success"]}, about={"command": "run", "variant": "hdmi_a"})
    assert run.setting.title == "hdmi_a"
    assert len(record_run(run)) == 1


def test_a_damaged_note_is_told(make_run: MakeRun) -> None:
    with pytest.raises(InputError, match=r"run\.json: damaged"):
        make_run({"run": ["success"]}, about={"variant": "hdmi_a", "limits": {"force_n": "much"}})


def test_the_threshold_is_read_as_it_is_written() -> None:
    assert threshold_of("threshold 0.6800, 2 of 3 frames") == 0.68
    assert threshold_of("") is None


# --- which trials ------------------------------------------------------------------------------------------------


def test_of_many_trials_those_that_went_wrong_come_first() -> None:
    wrong = {3, 50, 98}
    trials = [trial(number, claimed=number not in wrong) for number in range(120)]
    picked = [one.result.number for one in chosen(trials)]
    assert len(picked) == MOST_TRIALS
    assert wrong <= set(picked)
    assert picked == sorted(set(picked))
    # Those that went well are spread over all of the run.
    assert max(after - before for before, after in itertools.pairwise(picked)) <= 7


def test_where_most_went_wrong_some_that_went_well_are_shown() -> None:
    trials = [trial(number, claimed=number % 10 == 0, truth=None) for number in range(200)]
    picked = chosen(trials)
    assert len(picked) == MOST_TRIALS
    assert sum(one.result.claimed for one in picked) == MOST_TRIALS // 4


def test_trials_at_even_distances() -> None:
    trials = [trial(number) for number in range(50)]
    assert [one.result.number for one in spread(trials, 3)] == [0, 24, 49]
    assert [one.result.number for one in spread(trials, 1)] == [49]
    assert spread(trials[:2], 5) == trials[:2]


def test_each_part_becomes_a_video_of_its_own(make_run: MakeRun) -> None:
    run = make_run({"zero-shot": ["timeout"] * 2, "practice": ["success"] * 8, "acceptance": ["success"]})
    films = record_run(run)
    assert [(one.path.relative_to(run.folder).as_posix(), one.trials) for one in films] == [
        ("video/zero-shot.mp4", 2),
        # Two of the eight were acted without noise.
        ("video/practice.mp4", 2),
        ("video/acceptance.mp4", 1),
    ]
    assert len(list((run.folder / "video").iterdir())) == 3


# --- the film of a run -------------------------------------------------------------------------------------------


def test_a_film_shows_before_during_and_after(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "LENGTH_S", 30.0)
    parts = {"zero-shot": ["timeout"] * 9, "practice": ["timeout", "success"] * 20, "acceptance": ["success"] * 30}
    run = make_run(parts, {"gate": 0.9, "accepted": True})
    made = film.write_film(run)
    assert made.path == run.folder / "video" / "film.mp4"
    assert 24.0 < made.seconds <= film.LENGTH_S
    pictures = decoded(made.path)
    assert len(pictures) == round(made.seconds * 10)
    assert np.abs(pictures[-1][300, 5] - np.array(GREEN, float)).max() < 12
    scenes = film.cut(run, 10.0)
    assert [scene.part for scene in scenes] == ["zero-shot", "practice", "acceptance"]
    assert made.trials == sum(len(scene.shown) for scene in scenes)


@pytest.mark.parametrize(
    ("results", "last", "colour"),
    [
        ({"gate": 0.9, "accepted": True}, "success", GREEN),
        ({"gate": 0.9, "accepted": False}, "timeout", RED),
        # The verdict is that of the run's end, as in report and list, whatever was said of its trials since.
        ({"gate": 0.9, "accepted": True}, "timeout", GREEN),
        (None, "success", AMBER),
    ],
)
def test_its_last_card_says_what_came_of_it(
    make_run: MakeRun, results: dict[str, Any] | None, last: str, colour: tuple[int, int, int]
) -> None:
    run = make_run({"acceptance": [last] * 2}, results)
    pictures = decoded(film.write_film(run).path)
    assert np.abs(pictures[-1][300, 5] - np.array(colour, float)).max() < 12


def test_long_trials_do_not_make_a_film_longer(make_run: MakeRun) -> None:
    run = make_run({"zero-shot": ["timeout"], "acceptance": ["success"] * 2}, {"gate": 0.9}, steps=900)
    scenes = film.cut(run, 10.0)
    assert [len(scene.shown) for scene in scenes] == [1, 1]
    with run.store as store:
        shots = list(
            itertools.islice(film.trial_shots(run, store, scenes[0].shown[0], rate_hz=10.0, longest_s=2.0), 99)
        )
    # The first picture, twenty steps to the end, and the end.
    assert len(shots) == 22
    cards = film.TITLE_S + film.LAST_S + 2 * film.CARD_S
    trials = sum(scene.longest_s + BEGIN_S + END_S for scene in scenes)
    assert cards + trials == pytest.approx(film.LENGTH_S)


def test_half_the_speed_keeps_the_length(make_run: MakeRun) -> None:
    run = make_run({"zero-shot": ["timeout"] * 20, "acceptance": ["success"] * 20}, {"gate": 0.9}, steps=10)
    half = film.cut(run, 5.0)
    assert sum(len(scene.shown) for scene in half) < sum(len(scene.shown) for scene in film.cut(run, 10.0))


def test_a_run_without_trials_has_no_film(make_run: MakeRun) -> None:
    run = make_run({})
    with pytest.raises(InputError, match="no trial was saved"):
        film.write_film(run)


def test_a_damaged_result_is_told(make_run: MakeRun) -> None:
    run: RecordedRun = make_run({"run": ["success"]})
    (run.folder / "results.json").write_text("[]")
    with pytest.raises(InputError, match=r"results\.json: damaged"):
        read_recorded(run.folder)
