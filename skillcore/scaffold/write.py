"""Writes a package for a new part: all of it or nothing."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from skillcore.errors import InputError
from skillcore.plugins import Kind, singular
from skillcore.scaffold.kinds import BEGUN, COMMON, spelled
from skillcore.scaffold.names import Names
from skillcore.storage import storage_faults


def begin_package(names: Names, kind: Kind, folder: Path) -> Mapping[str, str]:
    """Writes the package into a folder that is not there yet. Returns its files, each with what it is for, or "".

    Raises InputError if the folder is there, StorageError if it can't be written, and leaves nothing behind then.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} is there already", cure="choose another folder with --out; nothing was changed")
    wanted = {**BEGUN[kind].files, **COMMON}
    files = {path.replace("PACKAGE", names.package): (template, use) for path, (template, use) in wanted.items()}
    texts = {path: _rendered(template, names, kind) for path, (template, _) in files.items()}
    with storage_faults("make", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # It takes its name when it is whole, so that what is there by that name is a package.
        unfinished = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
        try:
            for path, text in texts.items():
                place = unfinished / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return {path: use for path, (_, use) in files.items()}


def _rendered(template: str, names: Names, kind: Kind) -> str:
    environment = Environment(
        loader=PackageLoader("skillcore.scaffold", "templates"),
        autoescape=False,  # noqa: S701 - Python and YAML are made, of names that were checked
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    begun = BEGUN[kind]
    return environment.get_template(template).render(
        name=names.name,
        package=names.package,
        maker=names.maker,
        made=names.made,
        variable=names.variable,
        kind=spelled(kind),
        word=singular(kind),
        use=begun.use,
        files={path.replace("PACKAGE", names.package): use for path, (_, use) in begun.files.items() if use},
        bounds=_bounds(metadata.version("skillcore")),
    )


def _bounds(version: str) -> str:
    """The versions of skillcore that a package made now fits: 0.3.1 -> ">=0.3,<0.4", 1.2.0 -> ">=1.2,<2"."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return f">=0.{minor},<0.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}"
