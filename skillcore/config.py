"""Configuration: strict models, YAML files read into them, faults that say file, line, field and cure.

    class Options(StrictModel):
        address: str
        step_m: Annotated[float, LENGTH.within(1e-4, 0.05)] = 0.004

    options = load_yaml("options.yaml", Options)      # ConfigError lists all that is wrong, at once

Quantities with units come from `skillcore.quantities` and are offered here too. A validator says what it
finds with `raise wrong(reason, cure)`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from skillcore.config_faults import faults_of
from skillcore.errors import ConfigError, Fault
from skillcore.quantities import (
    ACCELERATION,
    ANGLE,
    FORCE,
    FREQUENCY,
    LENGTH,
    MASS,
    SPEED,
    STIFFNESS,
    TIME,
    TORQUE,
    TURN_SPEED,
    TURN_STIFFNESS,
    Hertz,
    Kilograms,
    Metres,
    MetresPerSecond,
    MetresPerSecondSquared,
    NewtonMetres,
    NewtonMetresPerRadian,
    Newtons,
    NewtonsPerMetre,
    Quantity,
    Radians,
    RadiansPerSecond,
    Seconds,
    Triple,
    all_wrong,
    wrong,
)
from skillcore.yamlfile import Document, Place, parse_yaml, read_yaml

__all__ = [
    "ACCELERATION",
    "ANGLE",
    "FORCE",
    "FREQUENCY",
    "LENGTH",
    "MASS",
    "SPEED",
    "STIFFNESS",
    "TIME",
    "TORQUE",
    "TURN_SPEED",
    "TURN_STIFFNESS",
    "Document",
    "Hertz",
    "Kilograms",
    "Metres",
    "MetresPerSecond",
    "MetresPerSecondSquared",
    "NewtonMetres",
    "NewtonMetresPerRadian",
    "Newtons",
    "NewtonsPerMetre",
    "Quantity",
    "Radians",
    "RadiansPerSecond",
    "Seconds",
    "StrictModel",
    "Triple",
    "all_wrong",
    "check",
    "load_yaml",
    "parse_yaml",
    "validate",
    "validate_options",
    "wrong",
]


class StrictModel(BaseModel):
    """Base of all configuration: frozen; unknown fields are refused, and nothing is converted silently.

    An int may stand for a float. A text never stands for a number, except with a unit in a quantity's field.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


ModelT = TypeVar("ModelT", bound=StrictModel)


def load_yaml(path: Path | str, model: type[ModelT], *, context: Any = None) -> ModelT:
    """Reads a YAML file into a model. `context` is handed to the model's validators.

    Raises ConfigError with all faults at once: a missing file, bad YAML, fields that do not fit.
    """
    return validate(read_yaml(Path(path)), model, context=context)


def validate(document: Document, model: type[ModelT], *, context: Any = None) -> ModelT:
    """Makes a document into a model. Raises ConfigError with all faults at once."""
    made, faults = check(document, model, context=context)
    if made is None:
        raise ConfigError(faults)
    return made


def validate_options(options: Mapping[str, Any], model: type[ModelT], *, where: str) -> ModelT:
    """Makes options that come from no file into a model; `where` stands for the file in ConfigError."""
    return validate(Document(where, options), model)


def check(
    document: Document,
    model: type[ModelT],
    *,
    at: Place = (),
    without: Sequence[str] = (),
    context: Any = None,
) -> tuple[ModelT | None, list[Fault]]:
    """Makes the part of a document at a place into a model: the model and no faults, or None and the faults.

    without: fields at that place which are somebody else's.
    """
    data = document.at(at)
    if not isinstance(data, Mapping):
        return None, [document.fault(at, "must be a section of fields", "write `name: value` lines")]
    data = {key: value for key, value in data.items() if key not in without}
    try:
        # YAML's values are JSON's: a list may stand for a tuple and a text for a path, but not for a number.
        text = to_json(data, inf_nan_mode="constants")
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        return None, [document.fault(at, f"holds a value that no configuration can hold: {error}")]
    try:
        return model.model_validate_json(text, context=context), []
    except ValidationError as error:
        return None, faults_of(error, document, model, at)
