"""`skill inspect`: where policy and reward model look."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillcore.cli.options import (
    BundleFolder,
    Device,
    Scenario,
    Seed,
    SkillName,
    chosen_scenario,
    load_cell_for,
    load_skill,
    say_where,
    taught_at,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skillcore.cell_config import LoadedCell
    from skillcore.learning.bundles import Bundle
    from skillcore.learning.inspection import Watched
    from skillcore.plugins import Registry
    from skillcore.reports.inspection import Study, Subject
    from skillcore.skill import Skill, Variant
    from skillcore.types import Episode

FIGURES = "pointing.json"
_STRANGE = "note: recorded trials that come out otherwise in this simulation, as those of another version do: {}; {}"


def inspect_command(
    skill_name: SkillName,
    connector: Annotated[
        str,
        typer.Option("--connector", help="Name of a connector, or a YAML file. Default: that of --run."),
    ] = "",
    cell: Annotated[
        str, typer.Option("--cell", help="A cell file or its name. Default: that of --run, else sim.")
    ] = "",
    bundle: BundleFolder = "",
    against: Annotated[
        str,
        typer.Option("--against", help="Folder of a bundle to compare with. Default: what practice began from."),
    ] = "",
    run: Annotated[
        str, typer.Option("--run", help="A run whose trials are looked at, by folder or name; else some are run now.")
    ] = "",
    frames: Annotated[int, typer.Option(min=1, max=100000, help="Frames that the pointing figure counts.")] = 100,
    layer: Annotated[str, typer.Option(help="Feature maps to read, e.g. conv2. Default: the last.")] = "",
    out: Annotated[str, typer.Option(help="Folder of the sheets. Default: `inspect` in the run's folder.")] = "",
    scenario: Scenario = "",
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Show where policy and reward model look (Grad-CAM), and how much of it lies on plug and socket.

    Writes PNG sheets and pointing.json. Without --run it acts some trials; on a real cell that moves the arm, once.
    With --run, seed and scenario are the run's.
    """
    from skillcore.learning.job import check_fit
    from skillcore.learning.runs import RESULTS, new_run, working_on
    from skillcore.learning.saliency import layer_of, require_captum
    from skillcore.storage import make_folder_durably, write_durably, write_json_durably

    require_captum()
    place, about = _recorded_run(run)
    connector = connector or str(about.get("connector") or about.get("variant") or "")
    cell = cell or str(about.get("cell") or "sim")
    seed = _seed_of(place, about, seed)
    skill, registry = load_skill(skill_name)
    scenario = chosen_scenario(skill, scenario)
    variant = _variant(skill, connector, about)
    loaded = load_cell_for(skill, variant, registry, cell=cell, connector=connector)
    subjects = _subjects(skill, registry, variant, bundle, against, place, about, device)
    for subject in subjects:
        check_fit(subject.bundle, loaded, skill)
        # A wrong name is told before anything moves.
        layer_of(subject.bundle.brain.perception.representation, layer)
        typer.echo(f"{subject.title}: {subject.bundle.folder}")
    if place is None:
        settings = {
            "connector": connector,
            "cell": str(loaded.file.resolve()),
            "seed": seed,
            "bundle": str(subjects[0].bundle.folder.resolve()),
            "taught": taught_at(loaded),
        }
        place, is_new = new_run("inspect", skill.name, variant.name, settings), True
    else:
        is_new = False
    with working_on(place) if is_new else contextlib.nullcontext():
        studies, sheets = _looked_at(
            skill,
            variant,
            loaded,
            subjects,
            place,
            is_new=is_new,
            seed=seed,
            scenario=scenario,
            frames=frames,
            layer=layer,
        )
        figures = {
            "skill": skill.name,
            "variant": variant.name,
            "cell": loaded.name,
            "run": str(place),
            "seed": seed,
            "studies": [study.as_json() for study in studies],
        }
        folder = Path(out) if out else place / "inspect"
        make_folder_durably(folder)
        for name, png in sheets.items():
            write_durably(folder / name, png)
        write_json_durably(folder / FIGURES, figures)
        if is_new:
            write_json_durably(place / RESULTS, figures)
    for study in studies:
        for line in study.words():
            typer.echo(line)
    if any(study.area is None for study in studies):
        typer.echo("no pointing figure: it needs the simulator, which alone knows where plug and socket are seen")
    say_where(place, sheets=folder)
    typer.echo(f"next:   look at {folder / next(iter(sheets))}")


def _recorded_run(wanted: str) -> tuple[Path | None, dict[str, Any]]:
    """The folder of a run and what it is; None and nothing if none is wanted."""
    from skillcore.learning.past_runs import find_run
    from skillcore.learning.runs import read_run

    if not wanted:
        return None, {}
    place = find_run(wanted).folder
    return place, read_run(place)


def _seed_of(run: Path | None, about: dict[str, Any], seed: int) -> int:
    """The seed of a run, else the one that was asked for. Raises InputError if it is none."""
    from skillcore.errors import InputError
    from skillcore.learning.runs import ABOUT

    found = about.get("seed", seed)
    if not isinstance(found, int):
        raise InputError(f"{run}/{ABOUT}: damaged: seed is {found!r}", cure="name another run")
    return found


def _variant(skill: Skill, connector: str, about: dict[str, Any]) -> Variant:
    from skillcore.errors import InputError

    if not connector:
        raise InputError("no connector is named", cure="add --connector NAME, or --run RUN to look at recorded trials")
    variant = skill.variant(connector)
    if about and variant.name != about.get("variant"):
        raise InputError(
            f"--connector {connector}: the run is of {about.get('variant')}",
            cure="leave --connector out, or name another run",
        )
    return variant


def _subjects(
    skill: Skill,
    registry: Registry,
    variant: Variant,
    bundle: str,
    against: str,
    run: Path | None,
    about: dict[str, Any],
    device: str,
) -> list[Subject]:
    """The bundle to look at, and the one that it is compared with, if there is one."""
    from skillcore.home import folder
    from skillcore.learning.bundles import find_bundle, load_bundle
    from skillcore.learning.inspection import parent_of
    from skillcore.learning.recipe import choose_device
    from skillcore.reports.inspection import Subject

    chosen = choose_device(device)
    began = str(about.get("bundle") or "")
    made = _made_by(run)
    place = find_bundle(folder("bundles"), skill.name, bundle or made or began, variant.name, skill.pretrained)
    first = load_bundle(place, registry, device=chosen)
    card = first.card
    parent: Path | None
    if against:
        parent = Path(against)
    elif made and not bundle and Path(began).is_dir():
        parent = Path(began)
    else:
        parent = parent_of(place, card, folder("bundles"), skill.pretrained)
    if parent is None:
        if card.variant:
            typer.echo(
                f"note: the bundle that practice began from ({card.parent}) is not there: name it with --against"
            )
        return [Subject("after practice" if card.variant else "pretrained", first)]
    second = load_bundle(parent, registry, device=chosen)
    practised = card.variant and not second.card.variant and _same_perception(first, second)
    titles = ("after practice", "before practice") if practised else ("bundle A", "bundle B")
    return [Subject(titles[0], first), Subject(titles[1], second)]


def _same_perception(first: Bundle, second: Bundle) -> bool:
    """As a practised bundle and the one it came from have: practice leaves it as it is."""
    name = "perception.safetensors"
    return first.card.files.get(name) == second.card.files.get(name)


def _made_by(run: Path | None) -> str:
    """The bundle that a finished run of `learn` has made, if it is still there. Raises InputError if the run's results
    are damaged."""
    from skillcore.learning.runs import read_results

    made = (read_results(run) or {}).get("bundle") if run is not None else None
    return made if isinstance(made, str) and Path(made).is_dir() else ""


def _looked_at(
    skill: Skill,
    variant: Variant,
    loaded: LoadedCell,
    subjects: Sequence[Subject],
    place: Path,
    *,
    is_new: bool,
    seed: int,
    scenario: str,
    frames: int,
    layer: str,
) -> tuple[list[Study], dict[str, bytes]]:
    """What was found, and the sheets, by the names of their files."""
    from skillcore.learning.inspection import Frames, acted_on, successes
    from skillcore.learning.saliency import policy_saliency, reward_saliency
    from skillcore.reports.inspection import Study

    watched, scripted = _watched(
        skill, variant, loaded, subjects[0].bundle, place, is_new=is_new, seed=seed, scenario=scenario, frames=frames
    )
    views = tuple(loaded.cameras)
    source = "" if is_new else f", {watched[0].episode.info.source}"
    what = f"{variant.title} ({variant.name}) on cell {loaded.name}, seed {seed}{source}"
    seen = Frames.of(watched, acted_on, frames)
    policy = Study.of(
        "policy",
        seen,
        [(one, policy_saliency(one.bundle.brain, seen.observations, layer=layer)) for one in subjects],
    )
    succeeded = [number for number, one in enumerate(watched) if len(successes(one.episode))]
    chosen = next((number for number in succeeded if number in seen.episode), 0)
    trials = [_trial_name(number, one.episode) for number, one in enumerate(watched)]
    drawn = policy.policy_sheets(what, views, trials, chosen)
    sheets = {f"policy_{name}.png": sheet.png() for name, sheet in drawn.items()}
    everything = [*watched, *scripted]
    if not any(len(successes(one.episode)) for one in everything):
        typer.echo("note: no frame shows success, so that the reward model is not looked at")
        return [policy], sheets
    won = Frames.of(everything, successes, frames)
    found = [
        (one, reward_saliency(one.bundle.brain.reward_model, won.observations["images"], layer=layer))
        for one in subjects
    ]
    reward = Study.of("reward model", won, _told_apart(found))
    trials += [f"scripted {number + 1}" for number in range(len(scripted))]
    sheets["reward.png"] = reward.reward_sheet(what, views, trials).png()
    return [policy, reward], sheets


def _trial_name(number: int, episode: Episode) -> str:
    """As people count, from 1."""
    trial = number if episode.info.trial is None else episode.info.trial
    return f"trial {trial + 1}"


def _told_apart(found: list[Any]) -> list[Any]:
    """Reward models by what their sight is built on. One is enough where two are the same: practice changes none."""
    import numpy as np

    from skillcore.reports.inspection import Subject

    named = []
    for subject, saliency in found:
        options = subject.bundle.card.recipe.reward_model.options
        base = options.get("representation")
        title = f"reward model ({base.upper()})" if isinstance(base, str) else "reward model"
        named.append((Subject(title, subject.bundle), saliency))
    if len(named) == 2 and np.array_equal(named[0][1].values, named[1][1].values):
        return named[:1]
    return named


def _watched(
    skill: Skill,
    variant: Variant,
    loaded: LoadedCell,
    bundle: Bundle,
    place: Path,
    *,
    is_new: bool,
    seed: int,
    scenario: str,
    frames: int,
) -> tuple[list[Watched], list[Watched]]:
    """The policy's episodes, and those of the script that knows the truth, which adds images of success."""
    from skillcore.cell import open_cell
    from skillcore.episodes import EpisodeStore
    from skillcore.learning.inspection import (
        SOURCE,
        recorded,
        recorded_frames,
        successes,
        watch_policy,
        watch_recorded,
        watch_successes,
    )
    from skillcore.learning.job import Plan, make_task, template_of

    with EpisodeStore(place / "episodes", create=is_new) as store:
        if not is_new:
            if loaded.simulation is None:
                return recorded_frames(store, frames=frames), []
            scenario = next(recorded(store)).info.scenario or scenario
        # Beside whatever else a simulated cell is used for; a real one has one user.
        instance = f"inspect-{os.getpid()}" if loaded.simulation is not None else ""
        with open_cell(loaded, instance=instance) as cell:
            task = make_task(skill, cell, variant, bundle.brain, scenario, seed)
            template = template_of(skill, cell, variant, bundle.brain, Plan(scenario=scenario), SOURCE)
            if is_new:
                typer.echo(f"acting trials on cell {loaded.name}")
                reflex = partial(skill.reflex, cell)
                watched = watch_policy(
                    task, bundle.brain, template, frames=frames, seed=seed, store=store, reflex=reflex
                )
            else:
                watched, strange = watch_recorded(task, store, frames=frames)
                typer.echo(f"looking at {len(watched)} recorded trials ({watched[0].episode.info.source})")
                if strange:
                    is_known = watched[0].shown is not None
                    rest = "left out" if is_known else "nobody knows where plug and socket are seen in them"
                    typer.echo(_STRANGE.format(strange, rest))
            if cell.simulation is None:
                return watched, []
            missing = frames - sum(len(successes(one.episode)) for one in watched)
            return watched, watch_successes(skill, task, variant, template, frames=missing, seed=seed)
