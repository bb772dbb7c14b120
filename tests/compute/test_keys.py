"""The key dictionary: dense codes that never change, whatever the keys look like and whoever extends it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.keys import UNKNOWN, KeyDictionary, extend_keys, key_type, load_keys
from featurestore.errors import StoreError
from featurestore.lake.arrow_parquet import write_parquet
from featurestore.lake.table import commit, describe, stage

INTEGERS = [0, -1, 2**63 - 1, -(2**63), 7, 2**53 + 1]
TEXTS = ["", "it's", 'a "quoted" one', "café", "cafe\u0301", "Café", "中文", "a\x00b", " a", "a"]


def arrays(columns: list[list], types: tuple[str, ...]) -> list[pa.Array]:
    return [pa.array(column, key_type(kind)) for column, kind in zip(columns, types, strict=True)]


def drawn_keys(rng: np.random.Generator, types: tuple[str, ...], rows: int) -> list[list]:
    pools = {"int64": INTEGERS, "string": TEXTS}
    return [[pools[kind][int(i)] for i in rng.integers(0, len(pools[kind]), rows)] for kind in types]


@pytest.mark.parametrize(
    "types",
    [("int64",), ("string",), ("int64", "string"), ("string", "string", "int64"), ("int64", "int64", "string")],
    ids=str,
)
def test_codes_equal_a_python_dictionary_over_extreme_keys_in_any_number_of_columns(tmp_path, types) -> None:
    rng, oracle = np.random.default_rng(5), {}
    for _ in range(4):
        columns = drawn_keys(rng, types, 30)
        for key in sorted(set(zip(*columns, strict=True)) - oracle.keys()):
            oracle[key] = len(oracle)
        dictionary = extend_keys(tmp_path, types, arrays(columns, types))
        assert dictionary.codes(arrays(columns, types)).tolist() == [oracle[key] for key in zip(*columns, strict=True)]
    asked = drawn_keys(rng, types, 200)
    reopened = load_keys(tmp_path, types)
    found = reopened.codes(arrays(asked, types)).tolist()
    assert found == [oracle.get(key, UNKNOWN) for key in zip(*asked, strict=True)]
    assert list(zip(*(column.to_pylist() for column in reopened.columns), strict=True)) == list(oracle)


def test_a_null_in_any_part_is_no_key(tmp_path) -> None:
    types = ("int64", "string")
    dictionary = extend_keys(tmp_path, types, arrays([[1, 2], ["a", "b"]], types))
    assert dictionary.codes(arrays([[1, None, 1, None], ["a", "a", None, None]], types)).tolist() == [0, -1, -1, -1]


def test_an_empty_dictionary_knows_nothing(tmp_path) -> None:
    dictionary = load_keys(tmp_path, ("int64", "string"))
    assert len(dictionary) == 0
    assert dictionary.codes(arrays([[1, 2], ["a", None]], ("int64", "string"))).tolist() == [UNKNOWN, UNKNOWN]


def test_known_keys_commit_nothing(tmp_path) -> None:
    extend_keys(tmp_path, ("int64",), arrays([[3, 1]], ("int64",)))
    before = sorted(path.name for path in tmp_path.rglob("*"))
    extend_keys(tmp_path, ("int64",), arrays([[1, 3, 1]], ("int64",)))
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_writers_that_extend_at_once_never_give_one_code_twice(tmp_path) -> None:
    rng = np.random.default_rng(1)
    wanted = [rng.integers(0, 40, int(rng.integers(1, 12))).tolist() for _ in range(24)]
    with ThreadPoolExecutor(6) as pool:
        dictionaries = list(pool.map(lambda keys: extend_keys(tmp_path, ("int64",), arrays([keys], ("int64",))), wanted))
    final = load_keys(tmp_path, ("int64",))
    assert sorted(final.columns[0].to_pylist()) == sorted({key for keys in wanted for key in keys})
    for dictionary in dictionaries:
        assert final.columns[0].slice(0, len(dictionary)).equals(dictionary.columns[0])


def test_an_entity_whose_keys_change_their_types_gets_another_dictionary(tmp_path) -> None:
    extend_keys(tmp_path, ("int64",), arrays([[7]], ("int64",)))
    both = extend_keys(tmp_path, ("int64", "string"), arrays([[7], ["a"]], ("int64", "string")))
    assert len(both) == 1
    assert load_keys(tmp_path, ("int64",)).codes(arrays([[7]], ("int64",))).tolist() == [0]


def test_a_dictionary_with_a_code_twice_is_refused(tmp_path) -> None:
    extend_keys(tmp_path, ("int64",), arrays([[7]], ("int64",)))
    (folder,) = {path.parent for path in tmp_path.rglob("*.parquet")}
    file = stage(folder, {})
    write_parquet(pa.table({"code": [0], "key_0": [8]}), file)
    commit(folder, add=[describe(file, {})])
    with pytest.raises(StoreError, match="codes"):
        load_keys(tmp_path, ("int64",))


def test_keys_that_are_extended_keep_their_codes() -> None:
    first = KeyDictionary((pa.array(["b", "a"], pa.large_string()),))
    assert first.extended([pa.array(["c", "a", "c"], pa.large_string())]).columns[0].to_pylist() == ["b", "a", "c"]
