"""Numbers with units: what is read, what is refused, and what is proposed instead."""

import contextlib
import json
import math
from typing import Annotated

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from skillcore import quantities
from skillcore.config import ANGLE, FORCE, LENGTH, TIME, Metres, Quantity, StrictModel, Triple


class Options(StrictModel):
    step_m: Annotated[float, LENGTH.within(1e-4, 0.05)] = 0.004
    turn_rad: Annotated[float, ANGLE.within(0.01, 1.5)] = 0.2
    where_m: Triple[Metres] = (0.0, 0.0, 0.0)


def fault_of(quantity: Quantity, value: object) -> tuple[str, str]:
    with pytest.raises(PydanticCustomError) as caught:
        quantity.read(value)
    context = caught.value.context
    assert context is not None
    ((field, reason, cure),) = context["faults"]
    assert field == ""
    return reason, cure


@pytest.mark.parametrize(
    ("quantity", "text", "si"),
    [
        (LENGTH, "4 mm", 0.004),
        (LENGTH, "4mm", 0.004),
        (LENGTH, "  -1.5e1 cm ", -0.15),
        (LENGTH, "3 \u00b5m", 3e-6),
        (LENGTH, "3 \u03bcm", 3e-6),
        (quantities.SPEED, "100 mm/s", 0.1),
        (quantities.ACCELERATION, "500 mm/s^2", 0.5),
        (ANGLE, "180 deg", math.pi),
        (ANGLE, "90\u00b0", math.pi / 2),
        (quantities.TURN_SPEED, "60 rpm", math.tau),
        (FORCE, "40 N", 40.0),
        (quantities.TORQUE, "20 mNm", 0.02),
        (quantities.STIFFNESS, "2 N/mm", 2000.0),
        (quantities.TURN_STIFFNESS, "1 Nm/deg", 180.0 / math.pi),
        (quantities.MASS, "1200 g", 1.2),
        (quantities.FREQUENCY, "10 Hz", 10.0),
        (TIME, "250 ms", 0.25),
        (TIME, ".5 min", 30.0),
    ],
)
def test_a_unit_is_converted_to_si(quantity: Quantity, text: str, si: float) -> None:
    assert quantity.read(text) == pytest.approx(si, rel=1e-12)


def test_a_plain_number_is_si_and_an_int_will_do() -> None:
    assert LENGTH.read(2) == 2.0
    assert isinstance(LENGTH.read(2), float)


@pytest.mark.parametrize("quantity", quantities.KINDS, ids=lambda quantity: quantity.noun)
def test_every_kind_reads_its_own_example_and_units(quantity: Quantity) -> None:
    assert math.isfinite(quantity.read(quantity.example))
    assert quantity.units[quantity.si] == 1.0
    assert set(quantity.names) <= set(quantity.units)
    for unit, size in quantity.units.items():
        assert quantity.read(f"2 {unit}") == pytest.approx(2.0 * size)


def test_units_mean_one_thing_only() -> None:
    known = [unit for kind in quantities.KINDS for unit in kind.units]
    assert len(known) == len(set(known))


def test_a_unit_of_another_kind_is_refused_with_the_units_that_fit() -> None:
    assert fault_of(LENGTH, "4 kg") == ("'4 kg' is a mass, and a length is needed", "units that fit: m, cm, mm, um")


def test_an_unknown_unit_is_answered_with_the_nearest() -> None:
    reason, cure = fault_of(quantities.FREQUENCY, "10 hz")
    assert reason == "'hz' is not a unit of a frequency"
    assert cure.startswith("did you mean Hz")


def test_a_number_in_quotes_is_no_number() -> None:
    reason, cure = fault_of(LENGTH, "0.004")
    assert reason == "'0.004' has no unit"
    assert "without quotes" in cure


def test_a_decimal_comma_is_explained() -> None:
    assert fault_of(LENGTH, "0,004 m")[1] == "write the decimals behind a point"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1e999 m", 10**400])
def test_what_is_not_finite_is_refused(value: object) -> None:
    assert fault_of(LENGTH, value)[0] == "must be a finite number"


@pytest.mark.parametrize("value", [True, None, [1.0], {"m": 1}, ""])
def test_what_is_no_number_is_refused(value: object) -> None:
    assert fault_of(LENGTH, value)[0].startswith("must be a length")


@pytest.mark.parametrize(
    ("quantity", "value", "reason", "cure"),
    [
        (
            LENGTH.within(1e-4, 0.05),
            4,
            "4 m is more than the 0.05 m allowed",
            "write 0.004 or '4 mm' if you meant millimetres",
        ),
        (
            ANGLE.within(0.01, 1.5),
            10,
            "10 rad is more than the 1.5 rad allowed",
            "write 0.174533 or '10 deg' if you meant degrees",
        ),
        (
            TIME.within(0.001, 5.0),
            250,
            "250 s is more than the 5 s allowed",
            "write 0.25 or '250 ms' if you meant milliseconds",
        ),
        (
            LENGTH.within(1e-4, 0.05),
            "4 m",
            "'4 m' is more than the 0.05 m allowed",
            "write a length from 0.0001 to 0.05 m, such as 0.004 or '4 mm'",
        ),
        (
            LENGTH.within(1e-4, 0.05),
            0,
            "0 m is less than the 0.0001 m needed",
            "write a length from 0.0001 to 0.05 m, such as 0.004 or '4 mm'",
        ),
    ],
)
def test_an_implausible_number_is_answered_with_what_was_meant(
    quantity: Quantity, value: object, reason: str, cure: str
) -> None:
    assert fault_of(quantity, value) == (reason, cure)


def test_the_ends_of_a_range_belong_to_it() -> None:
    quantity = LENGTH.within(0.1, 0.2)
    assert quantity.read(0.1) == 0.1
    assert quantity.read("20 cm") == 0.2


def test_python_code_is_held_to_the_same() -> None:
    assert Options(step_m=0.01).step_m == 0.01
    with pytest.raises(ValidationError):
        Options(step_m=4.0)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for quantity in (LENGTH, TIME.within(0.0, 1.0)):
        with contextlib.suppress(PydanticCustomError):
            assert math.isfinite(quantity.read(text))


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(sorted(LENGTH.units)))
def test_a_number_with_a_unit_is_the_number_times_the_unit(number: float, unit: str) -> None:
    expected = number * LENGTH.units[unit]
    if math.isfinite(expected):
        assert LENGTH.read(f"{number!r} {unit}") == expected


def test_a_long_text_is_refused_fast_and_shown_short() -> None:
    reason, _ = fault_of(LENGTH, "1" + " " * 500_000 + "x" + " " * 100_000)
    assert len(reason) < 100
    reason, _ = fault_of(LENGTH, "x" * 900_000)
    assert len(reason) < 150


def test_the_schema_takes_numbers_and_texts_with_units() -> None:
    schema = Options.model_json_schema()
    json.dumps(schema)
    for good in ({"step_m": 0.01}, {"step_m": "4 mm"}, {"where_m": [0, "1 cm", -0.5]}, {"turn_rad": "10 deg"}):
        jsonschema.validate(good, schema)
    for bad in ({"step_m": 4}, {"step_m": "4 kg"}, {"step_m": "4"}, {"where_m": [0, 0]}, {"turn_rad": True}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
