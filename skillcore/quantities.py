"""Numbers with units in configuration files: a plain number is SI, a text has a unit ("4 mm", "10 deg").

    class Options(StrictModel):
        reach_m: Metres                                     any length
        step_m: Annotated[float, LENGTH.within(1e-4, 0.05)]  a length between 0.1 mm and 5 cm
        home_m: Triple[Metres]                              three lengths

A number outside its plausible range is answered with what was probably meant: 4 for `step_m` is 4 mm.
Values are plain floats in SI units once they are read.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from skillcore.errors import suggest

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_TEXT = re.compile(rf"({_NUMBER})\s*(\S.*)?", re.DOTALL)


def wrong(reason: str, cure: str = "", *, field: str = "") -> PydanticCustomError:
    """An error to raise in a pydantic validator; `reason` and `cure` reach the user as they are.

    field: dotted name of the field at fault, seen from where the validator stands.
    """
    return all_wrong([(field, reason, cure)])


def all_wrong(faults: list[tuple[str, str, str]]) -> PydanticCustomError:
    """As `wrong`, for several faults (field, reason, cure) at once."""
    return PydanticCustomError("skillcore_faults", "{faults}", {"faults": tuple(faults)})


@dataclass(frozen=True, eq=False)
class Quantity:
    """A kind of physical quantity, as an annotation of a float field.

    noun, example: what messages call it and show, "a length" and "4 mm". units: unit's symbol -> its size in the SI
    unit, which comes first. names: what units are called in hints.
    low, high: the plausible range, inclusive, in the SI unit.
    """

    noun: str
    units: Mapping[str, float]
    example: str
    names: Mapping[str, str]
    low: float = -math.inf
    high: float = math.inf

    def within(self, low: float, high: float) -> "Quantity":
        """The same quantity with a plausible range, inclusive, in its SI unit."""
        return replace(self, low=low, high=high)

    @property
    def si(self) -> str:
        """Symbol of the SI unit that values are in."""
        return next(iter(self.units))

    def expects(self) -> str:
        """What a value must look like, in words."""
        number, unit = self.example.split(" ", 1)
        bounds = ""
        if math.isfinite(self.low) or math.isfinite(self.high):
            bounds = f" from {_show(self.low)} to {_show(self.high)} {self.si}"
        return f"{self.noun}{bounds}, such as {_show(float(number) * self.units[unit])} or '{self.example}'"

    def read(self, value: object) -> float:
        """A number in the SI unit, from a number or a text with a unit. Raises PydanticCustomError."""
        if isinstance(value, str):
            number = self._read_text(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
        else:
            raise wrong(f"must be {self.expects()}, and is {describe(value)}")
        if not math.isfinite(number):
            raise wrong("must be a finite number", f"write {self.expects()}")
        if not self.low <= number <= self.high:
            above = number > self.high
            limit, side = (self.high, "more than the") if above else (self.low, "less than the")
            verb = "allowed" if above else "needed"
            said = _quote(value) if isinstance(value, str) else f"{_show(number)} {self.si}"
            hint = f"write {self.expects()}" if isinstance(value, str) else self._hint(number)
            raise wrong(f"{said} is {side} {_show(limit)} {self.si} {verb}", hint)
        return number

    def _read_text(self, text: str) -> float:
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise wrong(f"must be {self.noun}, and is {describe(text)}", f"write {self.expects()}")
        number, unit = match.group(1), match.group(2) or ""
        if unit in self.units:
            return float(number) * self.units[unit]
        fitting = "units that fit: " + ", ".join(unit for unit in self.units if unit.isascii())
        if not unit:
            cure = f"write {number} without quotes if it is in {self.si}, or give it a unit; {fitting}"
            raise wrong(f"{_quote(text)} has no unit", cure)
        if unit[0] == ",":
            raise wrong(f"must be {self.noun}, and is {describe(text)}", "write the decimals behind a point")
        for other in KINDS:
            if unit in other.units:
                raise wrong(f"{_quote(text)} is {other.noun}, and {self.noun} is needed", fitting)
        near = suggest(unit, [known for known in self.units if known.isascii()])
        raise wrong(f"{_quote(unit)} is not a unit of {self.noun}", near if near.startswith("did") else fitting)

    def _hint(self, number: float) -> str:
        """What a plain number outside the range was probably meant to be."""
        for unit, name in self.names.items():
            meant = number * self.units[unit]
            if self.low <= meant <= self.high:
                return f"write {_show(meant)} or '{_show(number)} {unit}' if you meant {name}"
        return f"write {self.expects()}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        number: dict[str, Any] = {"type": "number"}
        if math.isfinite(self.low):
            number["minimum"] = self.low
        if math.isfinite(self.high):
            number["maximum"] = self.high
        units = "|".join(re.escape(unit) for unit in self.units)
        text = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*({units})\s*$", "examples": [self.example]}
        return {
            "anyOf": [number, text],
            "description": f"{self.noun}: a number in {self.si}, or one with a unit",
        }


def _show(number: float) -> str:
    return f"{number:.6g}"


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def describe(value: object) -> str:
    """A value from a YAML file, in words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {_quote(value)}"
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"


LENGTH = Quantity(
    "a length",
    {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "\u00b5m": 1e-6, "\u03bcm": 1e-6},
    "4 mm",
    {"mm": "millimetres", "cm": "centimetres", "um": "micrometres"},
)
SPEED = Quantity(
    "a speed",
    {"m/s": 1.0, "cm/s": 1e-2, "mm/s": 1e-3},
    "100 mm/s",
    {"mm/s": "millimetres per second", "cm/s": "centimetres per second"},
)
ACCELERATION = Quantity(
    "an acceleration",
    {"m/s^2": 1.0, "m/s2": 1.0, "m/s\u00b2": 1.0, "mm/s^2": 1e-3, "mm/s2": 1e-3, "mm/s\u00b2": 1e-3},
    "500 mm/s^2",
    {"mm/s^2": "millimetres per second squared"},
)
_DEGREE = math.pi / 180.0
ANGLE = Quantity(
    "an angle",
    {"rad": 1.0, "mrad": 1e-3, "deg": _DEGREE, "\u00b0": _DEGREE},
    "10 deg",
    {"deg": "degrees", "mrad": "milliradians"},
)
TURN_SPEED = Quantity(
    "a turning speed",
    {"rad/s": 1.0, "deg/s": _DEGREE, "\u00b0/s": _DEGREE, "rpm": math.tau / 60.0},
    "90 deg/s",
    {"deg/s": "degrees per second"},
)
FORCE = Quantity("a force", {"N": 1.0, "mN": 1e-3, "kN": 1e3}, "40 N", {"mN": "millinewtons", "kN": "kilonewtons"})
TORQUE = Quantity(
    "a torque", {"Nm": 1.0, "N*m": 1.0, "N\u00b7m": 1.0, "mNm": 1e-3}, "2 Nm", {"mNm": "millinewton metres"}
)
STIFFNESS = Quantity(
    "a stiffness",
    {"N/m": 1.0, "N/mm": 1e3, "kN/m": 1e3},
    "2 N/mm",
    {"N/mm": "newtons per millimetre"},
)
TURN_STIFFNESS = Quantity(
    "a turning stiffness",
    {"Nm/rad": 1.0, "Nm/deg": 1.0 / _DEGREE},
    "20 Nm/rad",
    {"Nm/deg": "newton metres per degree"},
)
MASS = Quantity("a mass", {"kg": 1.0, "g": 1e-3}, "1.2 kg", {"g": "grams"})
FREQUENCY = Quantity("a frequency", {"Hz": 1.0, "kHz": 1e3}, "10 Hz", {"kHz": "kilohertz"})
TIME = Quantity(
    "a time",
    {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "min": 60.0, "h": 3600.0},
    "250 ms",
    {"ms": "milliseconds", "us": "microseconds"},
)

KINDS = (
    LENGTH,
    SPEED,
    ACCELERATION,
    ANGLE,
    TURN_SPEED,
    FORCE,
    TORQUE,
    STIFFNESS,
    TURN_STIFFNESS,
    MASS,
    FREQUENCY,
    TIME,
)

Metres = Annotated[float, LENGTH]
MetresPerSecond = Annotated[float, SPEED]
MetresPerSecondSquared = Annotated[float, ACCELERATION]
Radians = Annotated[float, ANGLE]
RadiansPerSecond = Annotated[float, TURN_SPEED]
Newtons = Annotated[float, FORCE]
NewtonMetres = Annotated[float, TORQUE]
NewtonsPerMetre = Annotated[float, STIFFNESS]
NewtonMetresPerRadian = Annotated[float, TURN_STIFFNESS]
Kilograms = Annotated[float, MASS]
Hertz = Annotated[float, FREQUENCY]
Seconds = Annotated[float, TIME]

ValueT = TypeVar("ValueT")
Triple = tuple[ValueT, ValueT, ValueT]
"""A vector of three, written as a list: `Triple[Metres]`."""
