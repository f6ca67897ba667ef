"""Episodes on disk: the form of a file, the durable store and its index, the replay cache for training."""

from skillcore.episodes.cache import ReplayCache
from skillcore.episodes.format import decode, encode
from skillcore.episodes.index import EpisodeRow, Filters
from skillcore.episodes.repair import Finding, RepairReport
from skillcore.episodes.store import EpisodeStore, dataset_hash

__all__ = [
    "EpisodeRow",
    "EpisodeStore",
    "Filters",
    "Finding",
    "RepairReport",
    "ReplayCache",
    "dataset_hash",
    "decode",
    "encode",
]
