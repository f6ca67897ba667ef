"""What the policy of a run looked at, for its report."""

from __future__ import annotations

from skillcore.errors import SkillcoreError
from skillcore.learning.bundles import load_bundle
from skillcore.learning.saliency import can_explain
from skillcore.plugins import Registry
from skillcore.reports.run_data import RunData
from skillcore.reports.saliency_sheets import saliency_png


def explained(data: RunData) -> tuple[bytes | None, str]:
    """A PNG for the newest acceptance trial that succeeded (any other if none did), or None and why there is none."""
    trials = data.part("acceptance").trials
    if not trials:
        return None, ""
    if not can_explain():
        return None, "Where the policy looked is shown with captum installed: pip install 'skillcore[saliency]'."
    if data.bundle is None:
        return None, "Where the policy looked cannot be shown: its bundle is not there any more, or cannot be read."
    chosen = next((trial for trial in reversed(trials) if trial.result.success), trials[-1])
    try:
        with data.run.store as store:
            episode = store.read(chosen.episode_id)
        brain = load_bundle(data.bundle, Registry.discover(), device="cpu").brain
        views = tuple(data.run.setting.camera(view) for view in range(episode.images.shape[1]))
        return saliency_png(brain, episode, views=views, bundle=data.bundle.name), ""
    except SkillcoreError as error:
        # The report is of the run; a bundle or a part that cannot show this is no reason to have none.
        return None, f"Where the policy looked cannot be shown: {error.what}."
