"""The JSON Schema of cell files, drivers' options included, for editors that complete and check YAML.

Put `# yaml-language-server: $schema=cell.schema.json` on the first line of a cell file.
"""

from __future__ import annotations

from typing import Any

from pydantic.errors import PydanticUserError

from skillcore.cell_config import CellConfig
from skillcore.errors import PluginError
from skillcore.plugins import Kind, RegisteredPart, Registry, singular

_SECTIONS: dict[str, Kind] = {"simulation": "simulations", "arm": "arms", "cameras": "cameras"}


def cell_schema(registry: Registry) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of the cell files that can be written with the drivers of a registry.

    Raises PluginError if a driver's options can't be told as a schema.
    """
    schema = CellConfig.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    del definitions["DriverSection"]
    for section, kind in _SECTIONS.items():
        parts = registry.parts(kind)
        for part in parts:
            definitions.update(_options_schemas(part))
        definitions[section] = _driver_schema(kind, parts)
        reference = {"$ref": f"#/$defs/{section}"}
        properties = schema["properties"]
        if section == "cameras":
            (pattern,) = properties["cameras"]["patternProperties"]
            properties["cameras"]["patternProperties"][pattern] = reference
            properties["cameras"]["additionalProperties"] = False
        elif section == "simulation":
            properties[section] = {"anyOf": [reference, {"type": "null"}], "default": None}
        else:
            properties[section] = reference
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "skillcore cell"}


def _driver_schema(kind: Kind, parts: list[RegisteredPart]) -> dict[str, Any]:
    """A section whose `driver` decides which other fields there are."""
    chosen: list[dict[str, Any]] = [
        {
            "if": {"properties": {"driver": {"const": part.name}}, "required": ["driver"]},
            "then": {"$ref": f"#/$defs/{kind}.{part.name}"},
        }
        for part in parts
    ]
    described = f"{singular(kind)}: its driver, and the driver's own options"
    schema: dict[str, Any] = {"type": "object", "description": described, "required": ["driver"]}
    if not parts:
        return {**schema, "not": {}}
    driver = {
        "type": "string",
        "enum": [part.name for part in parts],
        "description": "; ".join(f"{part.name}: {part.part.summary}" for part in parts),
    }
    return {**schema, "properties": {"driver": driver}, "allOf": chosen}


def _options_schemas(part: RegisteredPart) -> dict[str, Any]:
    """The schema of a part's options, and of what they are made of, under names of its own."""
    prefix = f"{part.kind}.{part.name}"
    try:
        schema = part.part.config.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}.{{model}}")
    except (PydanticUserError, ValueError, TypeError) as error:
        what = f"the options of {singular(part.kind)} {part.name!r} have no schema ({part.source}): {error}"
        raise PluginError(what, cure="use types that pydantic can describe in the part's config") from error
    inner = {f"{prefix}.{name}": value for name, value in schema.pop("$defs", {}).items()}
    if "$ref" in schema:
        # A model that refers to itself is described among the inner ones.
        schema = dict(inner[schema["$ref"].removeprefix("#/$defs/")])
    # `driver` stands beside the options in a cell file.
    driver = {"const": part.name, "description": part.part.summary}
    return {**inner, prefix: {**schema, "properties": {"driver": driver, **schema.get("properties", {})}}}
