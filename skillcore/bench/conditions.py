"""Under which conditions an evaluation is run: one file, the same for all methods, fixed before anything is tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from skillcore.config import StrictModel, load_yaml, wrong
from skillcore.errors import suggest
from skillcore.learning.recipe import PartChoice, Recipe, Training

Count = Annotated[int, Field(ge=1)]
Method = Literal["localize", "straight", "random", "spiral", "offline", "online"]
METHODS: tuple[Method, ...] = ("localize", "straight", "random", "spiral", "offline", "online")
LEARNED = ("offline", "online")


class Split(StrictModel):
    """How many variants a reward model is trained on, its threshold is chosen on, and it is tested on.

    train, choose, test: numbers of variants for training, drawn anew by each seed; those tested on share no family with
    the others. test "held-out": all variants that are held out. one_bench: each variant is filmed on one bench, the
    same in all its episodes, instead of on a new one in each.
    """

    train: Count
    choose: Count
    test: Count | Literal["held-out"]
    one_bench: bool = False


class RewardStudy(StrictModel):
    """Reward models compared on variants that they were not trained on, on frames of the demonstrator.

    models: options of each, by the name in the table, over the `options` that all have in common. episodes: of each
    variant on each cell. cells: where they are shown. false_positives: what the threshold allows on the variants it is
    chosen on. published: balanced accuracy in per cent, of `published_split`.
    """

    reward_model: str
    splits: dict[str, Split]
    models: dict[str, dict[str, Any]]
    options: dict[str, Any] = Field(default_factory=dict)
    cells: tuple[str, ...]
    episodes: Count
    seeds: tuple[int, ...]
    false_positives: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    published: dict[str, float] = Field(default_factory=dict)
    published_split: str = ""

    def smallest(self) -> RewardStudy:
        """Just enough to see that everything runs."""
        first = dict(list(self.splits.items())[:1])
        few = {name: Split(train=3, choose=1, test=1) for name in first}
        options = {**self.options, "steps": 2, "touch_steps": 2}
        models = dict(list(self.models.items())[:2])
        return self.model_copy(
            update={"splits": few, "models": models, "options": options, "episodes": 2, "seeds": self.seeds[:1]}
        )


class Arm(StrictModel):
    """One way to learn, from the pretraining on. adapt, explore, reflex: as in `skillcore.learning.job.Plan`."""

    recipe: Recipe
    adapt: bool = True
    explore: bool = True
    reflex: bool = True


class Ablation(StrictModel):
    """Ways to learn, each with a bundle of its own, made of the same demonstrations.

    papers_way: the arm that is set beside the methods, in a column of the scenarios' tables.
    connectors, episodes, rollouts, validation_episodes: how much each is pretrained on, as `skill pretrain` has it.
    published: successes of `published_trials` after practice, by scenario and arm.
    """

    arms: dict[str, Arm]
    papers_way: str = ""
    variants: tuple[str, ...]
    scenarios: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[str, ...]
    connectors: Count = 3000
    episodes: Count = 3
    rollouts: Annotated[int, Field(ge=0)] = 0
    validation_episodes: Count = 24
    published: dict[str, dict[str, int]] = Field(default_factory=dict)
    published_trials: Count = 80

    @model_validator(mode="after")
    def _way_is_an_arm(self) -> Ablation:
        if self.papers_way and self.papers_way not in self.arms:
            raise wrong("is none of the arms", suggest(self.papers_way, list(self.arms)), field="papers_way")
        return self

    def smallest(self) -> Ablation:
        """Just enough to see that everything runs."""
        return self.model_copy(
            update={
                "arms": {name: _smallest(arm) for name, arm in self.arms.items()},
                "variants": self.variants[:1],
                "scenarios": self.scenarios[:1],
                "seeds": self.seeds[:1],
                "connectors": 2,
                "episodes": 1,
                "rollouts": 0,
                "validation_episodes": 1,
            }
        )


def _smallest(arm: Arm) -> Arm:
    few = {
        "training": Training(steps=2, batch=8),
        "learner": _with(arm.recipe.learner, pretrain_steps=2),
        "reward_model": _with(arm.recipe.reward_model, steps=2, batch=8),
    }
    return arm.model_copy(update={"recipe": arm.recipe.model_copy(update=few)})


def _with(part: PartChoice, **options: Any) -> PartChoice:
    return PartChoice(name=part.name, options={**part.options, **options})


class Conditions(StrictModel):
    """One evaluation of a skill.

    cells, variants, scenarios, seeds: every combination is run; a seed draws the installation, the starts and the
    grasps. trials: of each test. practice: trials at most between the offline and the online test. published: successes
    as others report them, by scenario, variant and method, each of `published_trials`. reward: how reward models are
    compared besides. ablation: what is left out, and what that costs.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    skill: str
    cell: str
    variants: tuple[str, ...]
    scenarios: tuple[str, ...]
    methods: tuple[Method, ...] = METHODS
    seeds: tuple[int, ...]
    trials: Count
    practice: Annotated[int, Field(ge=0)]
    published_trials: Count = 20
    published: dict[str, dict[str, dict[Method, int]]] = Field(default_factory=dict)
    source: str = ""
    reward: RewardStudy | None = None
    ablation: Ablation | None = None

    def smallest(self) -> Conditions:
        """Just enough to see that everything runs: one variant, one seed, few trials."""
        # The third trial of practice is the first without noise.
        changes: dict[str, Any] = {"variants": self.variants[:1], "seeds": self.seeds[:1], "trials": 2, "practice": 3}
        if self.reward is not None:
            changes["reward"] = self.reward.smallest()
        if self.ablation is not None:
            changes["ablation"] = self.ablation.smallest()
        return self.model_copy(update=changes)


def load_conditions(path: Path) -> Conditions:
    """Reads a file of conditions. Raises ConfigError with all faults."""
    return load_yaml(path, Conditions)


def paper_conditions() -> Path:
    """The file of the paper's conditions: the one here, or the one that comes with skillcore."""
    package = Path(__file__).resolve().parents[1]
    here = Path("benchmarks") / "paper.yaml"
    places = (here, package / here, package.parent / here)
    return next((place for place in places if place.is_file()), here)
