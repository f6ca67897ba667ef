"""YAML files and strict models: every fault says file, line, field, what is wrong, and what would be right."""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from skillcore.config import (
    LENGTH,
    Metres,
    MetresPerSecond,
    StrictModel,
    Triple,
    all_wrong,
    check,
    load_yaml,
    parse_yaml,
    validate,
    validate_options,
    wrong,
)
from skillcore.errors import ConfigError, Fault


class Color(Enum):
    red = "red"
    blue = "blue"


class Round(StrictModel):
    kind: Literal["round"]
    radius_m: Metres = 1.0


class Square(StrictModel):
    kind: Literal["square"]
    count: int = 1


class Motion(StrictModel):
    speed: MetresPerSecond
    turns: float = 0.0


class Options(StrictModel):
    step_m: Annotated[float, LENGTH.within(1e-4, 0.05)] = 0.004
    name: str = "a"
    count: int = 3
    flag: bool = False
    place_m: Triple[Metres] = (0.0, 0.0, 0.0)
    path: Path | None = None
    color: Color = Color.red
    shape: Annotated[Round | Square, Field(discriminator="kind")] = Round(kind="round")
    amount: int | Literal["auto"] = "auto"
    maybe: Round | Square | None = None
    motions: dict[str, Motion] = Field(default_factory=dict)
    motion: Motion | None = None
    factor: float = Field(default=1.0, gt=0, le=10)
    items: list[int] = Field(default=[1], min_length=1)
    code: str = Field(default="a1", pattern="^a")
    aliased: int = Field(default=1, alias="as")


def read(text: str | bytes, model: type[StrictModel] = Options) -> Any:
    return validate(parse_yaml(text, "options.yaml"), model)


def faults(text: str | bytes, model: type[StrictModel] = Options) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, model)
    assert caught.value.exit_code == 2
    for fault in caught.value.faults:
        assert fault.file == "options.yaml"
        assert str(fault) in str(caught.value)
    return caught.value.faults


def fault(text: str | bytes, model: type[StrictModel] = Options) -> Fault:
    (only,) = faults(text, model)
    return only


# --- what is read ------------------------------------------------------------------------------------------------


def test_a_good_file_is_read() -> None:
    options = read(
        "step_m: 4e-3\n"
        "name: yes it is\n"
        "place_m: [1, 2 mm, -3 cm]\n"
        "path: some/where\n"
        "color: blue\n"
        "shape: {kind: square, count: 4}\n"
        "amount: 0x10\n"
        "motions: {a: {speed: 3 m/s}}\n"
        "factor: 2\n"
        "as: 1_000\n"
    )
    assert options.step_m == 0.004
    assert options.name == "yes it is"
    assert options.place_m == (1.0, 0.002, -0.03)
    assert options.path == Path("some/where")
    assert options.color is Color.blue
    assert options.shape == Square(kind="square", count=4)
    assert options.amount == 16
    assert options.motions == {"a": Motion(speed=3.0)}
    assert isinstance(options.factor, float)
    assert options.aliased == 1000


def test_load_yaml_reads_a_file_with_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: b\r\ncount: 5\r\n")
    assert load_yaml(path, Options).count == 5
    assert load_yaml(str(path), Options).name == "b"


def test_anchors_and_merges_are_read() -> None:
    options = read("motions:\n  a: &a {speed: 1, turns: 2}\n  b: {<<: *a, turns: 3}\n  c: *a\n")
    assert options.motions["b"] == Motion(speed=1.0, turns=3.0)
    assert options.motions["c"] == options.motions["a"]


def test_texts_stay_texts() -> None:
    class Texts(StrictModel):
        texts: list[str]

    assert read("texts: [2024-01-01, '010', \"4e3\", =, a:b]", Texts).texts == ["2024-01-01", "010", "4e3", "=", "a:b"]


def test_instances_are_frozen_and_strict_in_python_too() -> None:
    options = Options()
    with pytest.raises(ValidationError):
        options.count = 4
    with pytest.raises(ValidationError):
        Options(count="4")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Options(flag=1)  # type: ignore[arg-type]


def test_context_reaches_the_validators() -> None:
    class Limited(StrictModel):
        count: int

        @model_validator(mode="after")
        def _limit(self, info: Any) -> "Limited":
            if self.count > info.context["most"]:
                raise wrong("too many", f"at most {info.context['most']}", field="count")
            return self

    document = parse_yaml("\ncount: 5", "options.yaml")
    assert validate(document, Limited, context={"most": 5}).count == 5
    with pytest.raises(ConfigError) as caught:
        validate(document, Limited, context={"most": 4})
    assert caught.value.faults == (Fault("options.yaml", 2, "count", "too many", "at most 4"),)


# --- faults of single fields -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field", "reason", "cure"),
    [
        ("nam: b", "nam", "is not a field", "did you mean name?"),
        ("motion: {sped: 1, speed: 1}", "motion.sped", "is not a field of motion", "did you mean speed?"),
        ("motion: {}", "motion.speed", "is missing", "add `speed:` with a speed, such as 0.1 or '100 mm/s'"),
        ("motions: {a: {}}", "motions.a.speed", "is missing", "add `speed:` with a speed"),
        ("aliased: 1", "aliased", "is not a field", ""),
        ("as_: 1", "as_", "is not a field", "did you mean as"),
        ("as: x", "as", "must be a whole number, and is the text 'x'", ""),
        ("step_m: 4", "step_m", "4 m is more than the 0.05 m allowed", "write 0.004 or '4 mm'"),
        ("step_m: 4 kg", "step_m", "'4 kg' is a mass, and a length is needed", "units that fit: m, cm, mm"),
        ("step_m: .nan", "step_m", "must be a finite number", ""),
        ("step_m:", "step_m", "must be a length", ""),
        ("name: no", "name", "must be text, and is false", "put quotes around it"),
        ("name: [a]", "name", "must be text, and is a list of 1", ""),
        ("count: 3.0", "count", "must be a whole number, and is the number 3.0", ""),
        ("count: '3'", "count", "must be a whole number, and is the text '3'", ""),
        ("count: true", "count", "must be a whole number, and is true", ""),
        ("flag: 1", "flag", "must be true or false, and is the number 1", ""),
        ("flag: 'yes'", "flag", "must be true or false, and is the text 'yes'", ""),
        ("place_m: [1, 2]", "place_m", "must be a list of 3, each a length", ""),
        ("place_m: [1, 2, 3, 4]", "place_m", "holds 4 items", "at most 3 are needed"),
        ("place_m: 3", "place_m", "must be a list of 3, each a length", ""),
        ("place_m: [0, 1 kg, 0]", "place_m[1]", "'1 kg' is a mass", "units that fit"),
        ("path: 3", "path", "must be a path, and is the number 3", ""),
        ("color: bleu", "color", "the text 'bleu' is not one of the choices", "did you mean blue?"),
        ("shape: {kind: squar}", "shape.kind", "'squar' is not one of the choices", "did you mean square?"),
        ("shape: {count: 1}", "shape.kind", "is missing; it says which kind this is", "one of: round, square"),
        ("shape: {kind: square, cont: 1}", "shape.cont", "is not a field of shape", "did you mean count?"),
        ("shape: {kind: square, radius_m: 1}", "shape.radius_m", "is not a field of shape", "one of: count, kind"),
        ("shape: 3", "shape", "must be a section with kind, radius_m or a section with kind, count", ""),
        ("amount: foo", "amount", "must be a whole number or one of auto, and is the text 'foo'", ""),
        ("maybe: {kind: square, count: x}", "maybe.count", "must be a whole number", ""),
        ("maybe: {kind: round, count: 1}", "maybe.count", "is not a field of maybe", ""),
        ("maybe: 3", "maybe", "must be a section with kind", ""),
        ("motions: []", "motions", "must be a section of names, and is a list of 0", ""),
        ("motions: {a: 1}", "motions.a", "must be a section with speed, turns, and is the number 1", ""),
        ("factor: -1", "factor", "the number -1 is out of range", "write more than 0"),
        ("factor: 11", "factor", "the number 11 is out of range", "write at most 10"),
        ("factor: .inf", "factor", "must be a finite number", ""),
        ("items: []", "items", "holds 0 items", "at least 1 are needed"),
        ("items: [1, x]", "items[1]", "must be a whole number", ""),
        ("code: b", "code", "does not have the form that is needed", "write text of the form ^a"),
    ],
)
def test_a_fault_names_line_field_reason_and_cure(text: str, field: str, reason: str, cure: str) -> None:
    found = fault(f"# a comment\n\n{text}\n")
    assert (found.line, found.field) == (3, field)
    assert reason in found.reason
    assert cure in found.cure
    assert str(found).startswith(f"options.yaml:3: {field}: ")


def test_all_faults_are_told_at_once_in_the_order_of_lines() -> None:
    found = faults("step_m: 4\nnam: b\nmotion:\n  sped: 1\n  turns: x\ncount: a\n")
    assert [(each.line, each.field) for each in found] == [
        (1, "step_m"),
        (2, "nam"),
        (3, "motion.speed"),
        (4, "motion.sped"),
        (5, "motion.turns"),
        (6, "count"),
    ]


def test_a_missing_field_at_the_top_is_told_of_the_first_line() -> None:
    found = fault("# motion\nturns: 1\n", Motion)
    assert (found.line, found.field, found.reason) == (2, "speed", "is missing")


def test_a_fault_in_what_an_alias_repeats_is_told_where_it_is_written() -> None:
    found = faults("motions:\n  a: &a\n    speed: x\n  b:\n    <<: *a\n")
    assert [(each.line, each.field) for each in found] == [(3, "motions.a.speed"), (3, "motions.b.speed")]


def test_several_faults_of_one_validator() -> None:
    class Pair(StrictModel):
        low: Triple[float]
        high: Triple[float]

        @model_validator(mode="after")
        def _order(self) -> "Pair":
            raise all_wrong([("low.0", "is wrong", "x"), ("high", "is wrong too", ""), ("", "all is wrong", "")])

    class Holder(StrictModel):
        pair: Pair

    found = faults("pair:\n  low: [1, 2, 3]\n  high: [1, 2, 3]\n", Holder)
    assert [(each.line, each.field) for each in found] == [(1, "pair"), (2, "pair.low[0]"), (3, "pair.high")]


def test_a_plain_value_error_of_a_validator_keeps_its_words() -> None:
    class Odd(StrictModel):
        count: int

        @model_validator(mode="after")
        def _odd(self) -> "Odd":
            raise ValueError("must be odd {not even}")

    found = fault("count: 2", Odd)
    assert (found.line, found.reason) == (1, "must be odd {not even}")


def test_a_member_of_a_union_keeps_the_words_of_its_validator() -> None:
    class Even(StrictModel):
        count: int

        @model_validator(mode="after")
        def _even(self) -> "Even":
            if self.count % 2:
                raise ValueError("must be even")
            return self

    class Either(StrictModel):
        value: Even | str
        length: Metres | Literal["auto"] = "auto"

    assert fault("value: {count: 1}", Either).reason == "must be even"
    assert fault("value: 3", Either).reason == "must be a section with count or text, and is the number 3"
    assert fault("value: a\nlength: 4 kg", Either).reason == "'4 kg' is a mass, and a length is needed"


def test_a_part_of_a_document_without_what_belongs_to_others() -> None:
    document = parse_yaml("a:\n  driver: x\n  speed: 1\n  trns: 2\n", "options.yaml")
    made, found = check(document, Motion, at=("a",), without=("driver",))
    assert made is None
    assert [(each.line, each.field, each.cure) for each in found] == [(4, "a.trns", "did you mean turns?")]
    made, found = check(document, Motion, at=("b",))
    assert made is None
    assert "section" in found[0].reason


def test_options_that_come_from_no_file() -> None:
    assert validate_options({"speed": 1, "turns": 2.5}, Motion, where="here") == Motion(speed=1.0, turns=2.5)
    with pytest.raises(ConfigError, match="here: speed: must be a speed"):
        validate_options({"speed": None}, Motion, where="here")
    with pytest.raises(ConfigError, match="no configuration can hold"):
        validate_options({"speed": object()}, Motion, where="here")


# --- faults of the text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "field", "reason", "cure"),
    [
        ("a: 1\nb: 2\na: 3", 3, "a", "is given twice, on lines 1 and 3", "remove one"),
        ("motion:\n  speed: 1\n  speed: 2", 3, "motion.speed", "is given twice", "remove one"),
        ("on: 1", 1, "", "the key 'on' is read by YAML as true or false", 'write "on" in quotes'),
        ("\n3: 1", 2, "", "the key '3' is read by YAML as a number", 'write "3" in quotes'),
        ("? [a, b]\n: 1", 1, "", "a key must be text", ""),
        ("? !x a\n: 1", 1, "", "a key must be text", ""),
        ("a: 010", 1, "a", "unusual way to write a number", "quotes"),
        ("a: 1:30", 1, "a", "unusual way to write a number", "quotes"),
        ("a: " + "9" * 5000, 1, "a", "is too large a number", ""),
        ("a: !!int x", 1, "a", "unusual way to write a number", ""),
        ("a: !!python/object/apply:os.system [ls]", 1, "a", "the tag !!python/object/apply:os.system", "remove it"),
        ("a: !own {b: 1}", 1, "a", "the tag !own is not allowed", "remove it"),
        ("a: !!binary aGk=", 1, "a", "the tag !!binary is not allowed", "remove it"),
        ("a: !!set {b, c}", 1, "a", "the tag !!set is not allowed", "remove it"),
        ("a:\n\tb: 1", 2, "", "a tab stands where YAML wants spaces", "indent with spaces only"),
        ("a: b: c", 1, "", "a colon stands where none is expected", "check the indentation"),
        ("a: 1\nb\nc: 2", 3, "", "a key without a colon", "`key: value`"),
        ("a: [1, 2\nb: 3", 2, "", "is not YAML", "brackets"),
        ("a: 'x", 1, "", "is not YAML", "quotes"),
        ("a:\n    b: 1\n  c: 2", 3, "", "the indentation or a bracket is wrong", "one column"),
        ("a: *nothing", 1, "", "found undefined alias 'nothing'", "further up"),
        ("a: &a [1, *a]", 1, "a[1]", "holds itself", "write out"),
        ("a: {<<: 3}", 1, "a", "only a section can be merged in", ""),
        ("a: 1\n---\nb: 2", 2, "", "a second document begins here", "---"),
        ('a: "\\ud800"', 1, "a", "half of a character", ""),
        ('\na: "\\UFFFFFFFF"', 2, "", "cannot be read as YAML", ""),
        ("a: 1\nb: \x00", 2, "", "not text (code 0)", "remove it"),
        ("%YAML 3.0\n---\na: 1", 1, "", "is not YAML", ""),
        ("", None, "", "is empty", ""),
        ("# nothing\n", None, "", "is empty", ""),
        ("[1, 2]", 1, "", "must be a section of fields", ""),
        ("only text", 1, "", "must be a section of fields", ""),
        (b"a: 1\nb: \xff\xfe", 2, "", "is not UTF-8 text", "save the file as UTF-8"),
        ("a: 1\n" * 250_000, None, "", "is larger than 1 MB", "right file"),
        ("a: " + "[" * 100, 1, "", "nested deeper than 40 levels", "right file"),
        ("a:\n" + "- 1\n" * 30_000, 20_000, "", "too much content", "right file"),
    ],
)
def test_bad_yaml(text: str | bytes, line: int | None, field: str, reason: str, cure: str) -> None:
    found = fault(text)
    assert found.field == field
    assert found.line == pytest.approx(line, abs=2 if line is not None and line > 10 else 0)
    assert reason in found.reason
    assert cure in found.cure


def test_all_faults_of_the_text_are_told_at_once() -> None:
    found = faults("a: 1\na: 2\non: 3\nb: !x 1\nc: 1:30\n")
    assert [each.line for each in found] == [2, 3, 4, 5]


def test_a_bomb_of_aliases_is_refused_fast() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    found = fault("\n".join(levels))
    assert "repeats its parts too often" in found.reason


# --- faults of the file ------------------------------------------------------------------------------------------


def file_fault(path: Path) -> Fault:
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Options)
    (only,) = caught.value.faults
    assert only.file == str(path)
    assert only.line is None
    return only


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "station.yaml").write_text("name: a")
    found = file_fault(tmp_path / "sation.yaml")
    assert (found.reason, found.cure) == ("there is no such file", "did you mean station.yaml?")


def test_a_missing_folder(tmp_path: Path) -> None:
    found = file_fault(tmp_path / "no" / "a.yaml")
    assert "there is no folder" in found.cure


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert file_fault(tmp_path).cure == "it holds no YAML file"
    (tmp_path / "a.yaml").write_text("name: a")
    found = file_fault(tmp_path)
    assert "is a folder" in found.reason
    assert "a.yaml" in found.cure


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert file_fault(tmp_path / "pipe.yaml").reason == "is not a regular file"
    assert file_fault(Path("/dev/zero")).reason == "is not a regular file"


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    assert "cannot be read" in file_fault(tmp_path / ("x" * 5000)).reason
    assert file_fault(tmp_path / "a\0b.yaml").reason


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a")

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    found = file_fault(path)
    assert "Permission denied" in found.reason
    assert "permissions" in found.cure


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as stream:
        stream.truncate(10 * 1024**3)
    assert "larger than 1 MB" in file_fault(path).reason


# --- anything ----------------------------------------------------------------------------------------------------

YAML_TEXT = st.text(
    alphabet=st.sampled_from(list("abn:- \n\t[]{}&*!|>'\"%@`#,?<=~.0123456789eE_\\xuU\u2028\ud800\u00e9")), max_size=60
)


def told(read_it: Callable[[], object]) -> tuple[Fault, ...]:
    """The faults of what is read; none if it is read. Anything but a ConfigError ends the test."""
    try:
        read_it()
    except ConfigError as error:
        return error.faults or pytest.fail("a ConfigError without faults")
    return ()


@settings(max_examples=300, deadline=None)
@given(st.one_of(YAML_TEXT, st.text(max_size=60)))
def test_any_text_is_read_or_refused_with_faults(text: str) -> None:
    assert all(each.line is None or each.line >= 1 for each in told(lambda: read(text)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_faults(data: bytes) -> None:
    assert all(each.reason for each in told(lambda: read(data)))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*Options.model_fields, "other"]), PLAIN, max_size=6))
def test_any_values_are_read_or_refused_with_faults(values: dict[str, Any]) -> None:
    found = told(lambda: validate_options(values, Options, where="here"))
    assert all(each.field or "no configuration can hold" in each.reason for each in found)


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    """Whatever a careful writer puts into a file comes out the same, or is refused for a reason."""
    text = yaml.safe_dump({"value": value}, sort_keys=False)
    found = told(lambda: parse_yaml(text, "options.yaml"))
    if found:
        words = ("too large", "character", "read by YAML", "not YAML")
        assert all(any(word in each.reason for word in words) for each in found)
    else:
        assert repr(parse_yaml(text, "options.yaml").data) == repr({"value": value})
