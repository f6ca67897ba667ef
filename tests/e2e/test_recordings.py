"""`--video`, `--rerun`, `skill video` and TensorBoard's events, as commands leave them, after kills and faults too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import av
import pytest
from rerun.chunk import RrdReader

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.home import cell_lock
from skillcore.reports import rerun_file, video
from skillcore.reports.recorded_run import Setting, read_recorded

with warnings.catch_warnings():
    # What TensorBoard imports may be out of date; it is no part of what is tested.
    warnings.simplefilter("ignore")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

HDMI = ("insertion", "--connector", "hdmi")


def only_run(home: Path, command: str) -> Path:
    (run,) = (home / "runs").glob(f"*-{command}-*")
    return run


def seconds_of(path: Path) -> float:
    """Decodes a video to its end."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = sum(1 for _ in container.decode(video=0))
        return frames / float(stream.average_rate)


def steps_of(run: Path) -> dict[str, list[int]]:
    """The steps of each tag, as TensorBoard sees them."""
    found = EventAccumulator(str(run / "events"), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [one.step for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def line_of(output: str, start: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(start)]
    return line.removeprefix(start).strip()


def test_learn_leaves_videos_a_recording_and_events(skill: Any, tiny: Path) -> None:
    sizes = ("--zero-shot", "2", "--trials", "3", "--acceptance", "1")
    done = skill("learn", *HDMI, "--bundle", str(tiny), *sizes, "--video", "--rerun")
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    run = only_run(skill.home, "learn")
    # As skills and cell_configs/sim.yaml have it.
    assert read_recorded(run).setting == Setting("HDMI type A", ("left", "right"), 40.0, 100.0, 0.005, 0.2)
    names = ["acceptance.mp4", "film.mp4", "practice.mp4", "zero-shot.mp4"]
    assert sorted(path.name for path in (run / "video").iterdir()) == names
    assert line_of(done.stdout, "video:").startswith(f"{run / 'video'} (4 files, ")
    assert line_of(done.stdout, "rerun:").startswith(f"{run / 'rerun' / 'run.rrd'} (")
    assert line_of(done.stdout, "events:") == str(run / "events")
    with EpisodeStore(run / "episodes", create=False) as store:
        lengths = {row.source: 0.0 for row in store.rows()}
        for row in store.rows():
            lengths[row.source] += row.steps / 10 + video.BEGIN_S + video.END_S
    assert seconds_of(run / "video" / "zero-shot.mp4") == pytest.approx(lengths["zero-shot"])
    assert seconds_of(run / "video" / "acceptance.mp4") == pytest.approx(lengths["acceptance"])
    (recording,) = RrdReader(run / "rerun" / "run.rrd").recordings()
    assert recording.recording_id == run.name
    steps = steps_of(run)
    assert steps["zero-shot/success"] == [1, 2]
    assert steps["practice/peak_force_n"] == [1, 2, 3]
    assert steps["practice/check_success"] == [3]
    assert steps["acceptance/success_not_seen"] == [1]


def test_run_can_be_filmed_and_nothing_is_made_unasked(skill: Any, tiny: Path) -> None:
    done = skill("run", *HDMI, "--bundle", str(tiny), "--times", "2", "--video")
    assert done.returncode in (0, 1), done.stderr
    run = only_run(skill.home, "run")
    assert line_of(done.stdout, "video:").startswith(f"{run / 'video' / 'run.mp4'} (")
    assert seconds_of(run / "video" / "run.mp4") > 2.0
    assert steps_of(run)["run/success"] == [1, 2]
    assert not (run / "rerun").exists()
    tested = skill("eval", *HDMI, "--bundle", str(tiny), "--trials", "1")
    assert tested.returncode in (0, 1), tested.stderr
    run = only_run(skill.home, "eval")
    assert not (run / "video").exists()
    assert steps_of(run)["acceptance/steps"] == [1]


def test_after_a_kill_each_trial_stands_in_the_events_once(start: Any, tiny: Path, skill: Any) -> None:
    sizes = ("--zero-shot", "2", "--trials", "4", "--acceptance", "1")
    arguments = ["learn", *HDMI, "--bundle", str(tiny), *sizes]
    process: subprocess.Popen[str] = start(*arguments, home=skill.home)
    deadline = time.monotonic() + 120.0
    while len(list(skill.home.glob("runs/*/episodes/**/*.parquet"))) < 4 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    (events,) = skill.home.glob("runs/*/events/*")
    # As if the kill had come in the middle of a write.
    events.write_bytes(events.read_bytes()[:-5])
    done = skill(*arguments, "--resume", "--video")
    assert done.returncode in (0, 1), done.stderr
    run = only_run(skill.home, "learn")
    steps = steps_of(run)
    for tag, expected in (("zero-shot", [1, 2]), ("practice", [1, 2, 3, 4]), ("acceptance", [1])):
        assert steps[f"{tag}/success"] == expected
        assert steps[f"{tag}/peak_force_n"] == expected
    assert sorted(path.name for path in (run / "video").iterdir())[0] == "acceptance.mp4"


@pytest.mark.parametrize(("option", "module"), [("--video", "av"), ("--rerun", "rerun")])
@pytest.mark.parametrize("command", ["learn", "eval", "run"])
def test_a_missing_extra_ends_it_before_it_begins(
    home: Path,
    tiny: Path,
    command: str,
    option: str,
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main([command, *HDMI, "--bundle", str(tiny), option]) == 2
    err = capsys.readouterr().err
    assert f"-> pip install 'skillcore[{option.removeprefix('--')}]'" in err
    assert "Traceback" not in err
    assert not list(home.glob("runs/*"))


def test_nothing_is_drawn_or_encoded_before_the_cell_is_free(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def freed(module: Any, name: str) -> None:
        real = getattr(module, name)

        def make(*arguments: Any, **named: Any) -> Any:
            # Raises where the cell is still held, as it is while its arm may move.
            with cell_lock("sim"):
                made.append(name)
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, make)

    freed(video, "TrialPainter")
    freed(video, "write_mp4")
    freed(rerun_file, "_recorded")
    assert main(["eval", *HDMI, "--bundle", str(tiny), "--trials", "2", "--video", "--rerun"]) in (0, 1)
    assert made == ["write_mp4", "TrialPainter", "TrialPainter", "_recorded"]
    assert (only_run(home, "eval") / "video" / "acceptance.mp4").exists()


def test_a_full_disk_costs_the_video_and_nothing_else(skill: Any, tiny: Path) -> None:
    wanted = ["eval", *HDMI, "--bundle", str(tiny), "--trials", "6", "--video", "--rerun", "--gate", "0"]
    # Episodes are smaller than this, and videos larger.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (450_000, 450_000))"
    code = f"{limit}; import sys; from skillcore.cli import main; sys.exit(main({wanted!r}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"SKILLCORE_HOME": str(skill.home), "OMP_NUM_THREADS": "1"},
        cwd=skill.folder,
    )
    assert done.returncode == 0, done.stderr
    assert "warning: no video was made: cannot write" in done.stderr
    assert "the file would be larger than is allowed here" in done.stderr
    assert "warning: no rerun was made: cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    run = only_run(skill.home, "eval")
    assert f"once that is mended: skill video {run}" in done.stderr
    assert (run / "results.json").exists()
    assert steps_of(run)["acceptance/success"] == [1, 2, 3, 4, 5, 6]
    assert list((run / "video").iterdir()) == []
    # The disk has space again.
    assert skill("video", str(run)).returncode == 0


def test_an_encoder_that_fails_costs_the_video_and_nothing_else(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(video.QUALITY, "preset", "nonsense")
    assert main(["eval", *HDMI, "--bundle", str(tiny), "--trials", "1", "--gate", "0", "--video"]) == 0
    told = capsys.readouterr()
    assert "warning: no video was made: " in told.err
    assert "the video encoder failed" in told.err
    assert "\nrun:    " in told.out
    run = only_run(home, "eval")
    assert (run / "results.json").exists()
    assert list((run / "video").iterdir()) == []


def test_ctrl_c_at_the_end_costs_the_video_and_nothing_else(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(video.TrialPainter, "picture", interrupted)
    assert main(["eval", *HDMI, "--bundle", str(tiny), "--trials", "1", "--gate", "0", "--video"]) == 0
    told = capsys.readouterr()
    run = only_run(home, "eval")
    assert f"no video was made: ended by Ctrl-C\n  all episodes are kept; skill video {run}\n" in told.err
    assert f"\nrun:    {run}\n" in told.out
    assert list((run / "video").iterdir()) == []


def test_video_makes_a_film_of_a_run_that_is_not_finished(
    practised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(practised, tmp_path / "copy"))
    monkeypatch.setenv("SKILLCORE_HOME", str(copy))
    monkeypatch.chdir(tmp_path)
    run = only_run(copy, "learn")
    assert main(["video", run.name]) == 0
    told = capsys.readouterr().out
    assert line_of(told, "video:").startswith(f"{run / 'video' / 'film.mp4'} (")
    assert 10.0 < seconds_of(run / "video" / "film.mp4") < 61.0
    # Three trials are saved: practice 1 and 2, acceptance 1.
    some = ("--trials", "practice:2", "--trials", "acceptance", "--out", "some.mp4", "--speed", "2")
    assert main(["video", str(run), *some]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "2 trials"
    with EpisodeStore(run / "episodes", create=False) as store:
        steps = [row.steps for row in store.rows() if (row.source, row.trial) != ("practice", 0)]
    length_s = sum(steps) / 20.0 + 2 * (video.BEGIN_S + video.END_S)
    assert seconds_of(tmp_path / "some.mp4") == pytest.approx(length_s, abs=0.11)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--trials", "acceptence"), "did you mean acceptance?"),
        (("--trials", "zero-shot"), "there is no part of this run named 'zero-shot'"),
        (("--trials", "practice:3"), "practice has no trial 3\n  -> it has 2 trials, 1 to 2"),
        (("--trials", "practice:1-"), "'1-' is no number and no range"),
        (("--trials", "practice:2-1"), "names no trial"),
        (("--out", "film.avi"), "give it a name like film.mp4"),
        (("--out", "."), "a video is an MP4 file"),
    ],
)
def test_video_says_what_it_cannot_show(
    practised: Path,
    more: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(practised))
    run = only_run(practised, "learn")
    capsys.readouterr()
    assert main(["video", str(run), *more]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err
    assert not (run / "video").exists()


def test_video_of_no_run_names_the_nearest(
    practised: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(practised))
    run = only_run(practised, "learn")
    assert main(["video", f"{run.name}9"]) == 2
    assert f"did you mean {run.name}?" in capsys.readouterr().err
    assert main(["video", str(practised)]) == 2
    assert "is no run: there is no run.json" in capsys.readouterr().err
