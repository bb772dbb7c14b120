"""The key index: the codes of a plain dictionary, whatever the keys look like, however they came, whatever becomes of its files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.keys import UNKNOWN, extend_keys, key_type, keys_table, load_keys
from featurestore.compute.search import block_digests, hot_copy, key_index
from featurestore.compute.search.hot_copy import copy_damage
from featurestore.compute.search.key_hash import key_hash
from featurestore.compute.search.key_index import KeyIndex, extended_codes, renew_index
from featurestore.errors import StoreError
from featurestore.lake.layout import Layout, create_or_open
from tests.compute.search.key_workers import build_until_killed, codes_after_start
from tests.test_readers import without_power

INTEGERS = [0, 1, -1, 255, 2**15, -(2**15) - 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
TEXTS = [
    "",
    "\x00",
    "\x00\x00",
    "a",
    "a\x00",
    "a\x00b",
    " a",
    "café",
    "cafe\u0301",
    "中文",
    "it's",
    '"',
    "x" * 7,
    "x" * 8,
    "x" * 9,
]
TEXTS += ["prefix of eight and more" + "z" * n for n in (0, 1, 8, 300)] + ["12345678" * 2, "12345678"]
POOLS = {"int64": INTEGERS, "string": TEXTS}
TYPES = [("int64",), ("string",), ("int64", "string"), ("string", "string", "int64"), ("int64", "int64")]
Keys = list[tuple]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store")


def arrays(keys: Keys, types: tuple[str, ...]) -> list[pa.Array]:
    return [pa.array([key[i] for key in keys], key_type(kind)) for i, kind in enumerate(types)]


def drawn(rng: np.random.Generator, types: tuple[str, ...], rows: int, *, nulls: float = 0.0) -> Keys:
    def part(kind: str) -> object:
        if rng.random() < nulls:
            return None
        if rng.random() < 0.5:
            return POOLS[kind][int(rng.integers(len(POOLS[kind])))]
        number = int(rng.integers(-60, 60))
        return number if kind == "int64" else f"user-{number}" * int(rng.integers(1, 4))

    return [tuple(part(kind) for kind in types) for _ in range(rows)]


def extended(layout: Layout, types: tuple[str, ...], keys: Keys, oracle: dict[tuple, int]) -> None:
    """Give codes to keys that have none, in the dictionary and in a plain one."""
    for key in sorted(set(keys) - oracle.keys()):
        oracle[key] = len(oracle)
    if len(oracle) % 3:
        extend_keys(layout.keys("user"), types, arrays(keys, types))
    else:
        given = extended_codes(layout, "user", types, arrays(keys, types))
        assert given.tolist() == expected(oracle, keys)


def found(layout: Layout, types: tuple[str, ...], keys: Keys) -> list[int]:
    return KeyIndex.open(layout, "user", types).codes(arrays(keys, types)).tolist()


def expected(oracle: dict[tuple, int], keys: Keys) -> list[int]:
    return [oracle.get(key, UNKNOWN) for key in keys]


def forget() -> None:
    """Do as if this process had read nothing yet."""
    key_index._NEWEST._kept.clear()
    block_digests._CHECKED.clear()


def files(layout: Layout) -> list[Path]:
    return sorted(layout.hot_keys("user").glob("*.arrow"))


@pytest.mark.parametrize("sizes", [(60,), (40, 1, 1, 1, 1, 1, 1, 1), (3,) * 9, (30, 20, 1, 10, 1)], ids=str)
@pytest.mark.parametrize("types", TYPES, ids=str)
def test_codes_are_those_of_a_plain_dictionary_whatever_the_keys_and_however_they_came(layout, types, sizes) -> None:
    rng, oracle = np.random.default_rng(len(sizes)), {}
    for size in sizes:
        extended(layout, types, drawn(rng, types, size), oracle)
        asked = drawn(rng, types, 80, nulls=0.1)
        assert found(layout, types, [*asked, *asked[:9]]) == expected(oracle, [*asked, *asked[:9]])
    assert found(layout, types, list(oracle)) == list(range(len(oracle)))
    assert found(layout, types, []) == []
    forget()
    assert found(layout, types, list(oracle)) == list(range(len(oracle)))


@pytest.mark.parametrize("types", TYPES, ids=str)
def test_an_entity_without_keys_knows_none_and_writes_nothing(layout, types) -> None:
    keys = drawn(np.random.default_rng(1), types, 20, nulls=0.2)
    assert found(layout, types, keys) == [UNKNOWN] * 20
    assert not layout.hot_keys("user").exists()


@pytest.mark.parametrize("bits", [0, 1, 3])
@pytest.mark.parametrize("types", [("int64",), ("string",), ("int64", "string")], ids=str)
def test_keys_of_one_hash_are_told_apart_by_themselves(layout, monkeypatch, types, bits: int) -> None:
    monkeypatch.setattr(key_index, "key_hash", lambda keys: key_hash(keys) & np.uint64((1 << bits) - 1))
    monkeypatch.setattr(key_index, "FENCE_ROWS", 8)
    rng, oracle = np.random.default_rng(bits), {}
    for size in (50, 10, 5):
        extended(layout, types, drawn(rng, types, size), oracle)
        asked = [*drawn(rng, types, 60, nulls=0.05), *oracle]
        assert found(layout, types, asked) == expected(oracle, asked)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 16, 17, 1000])
def test_a_key_on_a_fence_is_found(layout, monkeypatch, rows: int) -> None:
    monkeypatch.setattr(key_index, "FENCE_ROWS", 8)
    oracle = dict[tuple, int]()
    extended(layout, ("int64",), [(key,) for key in range(rows)], oracle)
    asked = [(key,) for key in range(-5, rows + 5)]
    assert found(layout, ("int64",), asked) == expected(oracle, asked)


def test_hashes_depend_on_values_alone_and_not_on_how_arrow_lays_them_out() -> None:
    whole = pa.array(["skipped", *TEXTS, None, "after"], pa.large_string())
    alone = [key_hash([pa.array([text], pa.large_string())])[0] for text in TEXTS]
    assert key_hash([whole.slice(1, len(TEXTS))]).tolist() == alone
    assert key_hash([whole.cast(pa.string()).slice(1, len(TEXTS))]).tolist() == alone
    assert len(set(alone)) == len(set(TEXTS))
    assert len(key_hash([whole.slice(3, 0)])) == len(key_hash([pa.array([], pa.large_string())])) == 0
    pairs = [(one, other) for one in TEXTS for other in TEXTS]
    assert len(set(key_hash([pa.array(part, pa.large_string()) for part in zip(*pairs, strict=True)]).tolist())) == len(pairs)


def test_what_hashes_are_is_written_to_files_and_must_not_change() -> None:
    texts = pa.array(["", "a", "12345678", "123456789"], pa.large_string())
    assert [f"{each:016x}" for each in key_hash([pa.array([0, 1, -1, 2**40])])] == NUMBERS
    assert [f"{each:016x}" for each in key_hash([texts])] == HASHED
    assert [f"{each:016x}" for each in key_hash([pa.array([0, 1, -1, 2**40]), texts])] == PAIRS


NUMBERS = ["a706dd2f4d197e6f", "5e41ab087439611e", "5dc20aa7b2a27137", "3329f979f9a0baa4"]
HASHED = ["a706dd2f4d197e6f", "c65453bac8da37f7", "92df3520c5d00ece", "7a81dedea0936cca"]
PAIRS = ["a7f72697a2731486", "72f372fdf9db28cb", "a2771b60e030c525", "857a60020ae34c54"]


# Extensions


def segments(layout: Layout, types: tuple[str, ...]) -> list[int]:
    return [segment.rows for segment in KeyIndex.open(layout, "user", types)._segments]


def test_a_days_new_keys_sort_those_of_the_days_before_and_not_all(layout) -> None:
    made = []
    for day in range(12):
        before = set(files(layout))
        first = 1000 * (day > 0) + day
        extend_keys(layout.keys("user"), ("int64",), [pa.array(range(first, first + (1 if day else 1000)))])
        assert sum(segments(layout, ("int64",))) == 1000 + day
        made.append([file.stat().st_size for file in sorted({*files(layout)} - before)])
    assert all(len(sizes) == 1 for sizes in made)
    assert max(size for sizes in made[1:] for size in sizes) < made[0][0] / 4


def test_a_dictionary_of_many_small_extensions_has_two_segments(layout) -> None:
    for day in range(15):
        extend_keys(layout.keys("user"), ("int64",), [pa.array([2 * day, 2 * day + 1])])
        assert len(segments(layout, ("int64",))) <= 2
    assert found(layout, ("int64",), [(key,) for key in range(32)]) == [*range(30), UNKNOWN, UNKNOWN]


def test_renewing_writes_what_is_missing_and_deletes_what_no_one_needs(layout) -> None:
    for day in range(8):
        extend_keys(layout.keys("user"), ("int64",), [pa.array([day])])
        KeyIndex.open(layout, "user", ("int64",))
    assert len(files(layout)) > 2
    renew_index(layout, "user", ("int64",))
    left = files(layout)
    assert len(left) <= 2
    for file in left:
        file.unlink()
    renew_index(layout, "user", ("int64",))
    assert files(layout) == left
    assert found(layout, ("int64",), [(7,), (8,)]) == [7, UNKNOWN]


def test_renewing_writes_what_lies_in_memory_alone_since_it_could_not_be_written(layout, monkeypatch) -> None:
    extend_keys(layout.keys("user"), ("int64",), [pa.array([5, 6])])

    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(hot_copy, "write_hot", full)
        assert found(layout, ("int64",), [(6,), (7,)]) == [1, UNKNOWN]
        assert not files(layout)
    assert found(layout, ("int64",), [(6,), (7,)]) == [1, UNKNOWN]
    renew_index(layout, "user", ("int64",))
    assert len(files(layout)) == 1
    assert found(layout, ("int64",), [(6,), (7,)]) == [1, UNKNOWN]


def test_a_dictionary_that_was_made_again_with_other_codes_is_not_answered_from_the_old_index(layout) -> None:
    extend_keys(layout.keys("user"), ("int64",), [pa.array([1])])
    extend_keys(layout.keys("user"), ("int64",), [pa.array([0])])
    assert found(layout, ("int64",), [(0,), (1,)]) == [1, 0]
    table = keys_table(layout.keys("user"), ("int64",))
    for file in sorted(table.parent.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    extend_keys(layout.keys("user"), ("int64",), [pa.array([0, 1])])
    assert found(layout, ("int64",), [(0,), (1,)]) == [0, 1]


# Several at once


def test_threads_that_look_up_while_keys_are_added_never_see_a_wrong_code(layout) -> None:
    asked = [(key,) for key in range(40)]
    seen = list[list[int]]()

    def add(key: int) -> None:
        extend_keys(layout.keys("user"), ("int64",), [pa.array([key])])

    def look_up(_: int) -> None:
        seen.append(found(layout, ("int64",), asked))

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(work, key) for key in range(12) for work in (add, look_up, look_up, look_up)]
        for each in running:
            each.result()
    final = found(layout, ("int64",), asked)
    assert sorted(code for code in final if code != UNKNOWN) == list(range(12))
    assert all(code in (UNKNOWN, known) for codes in seen for code, known in zip(codes, final, strict=True))


def test_writers_that_number_keys_at_once_never_give_one_code_twice(layout) -> None:
    rng = np.random.default_rng(1)
    wanted = [rng.integers(0, 40, int(rng.integers(1, 12))) for _ in range(16)]
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda keys: extended_codes(layout, "user", ("int64",), [pa.array(keys)]), wanted))
    known = load_keys(layout.keys("user"), ("int64",)).columns[0].to_pylist()
    assert sorted(known) == sorted({int(key) for keys in wanted for key in keys})
    assert [[known[code] for code in codes] for codes in given] == [keys.tolist() for keys in wanted]


def test_processes_that_build_at_once_find_the_same(layout) -> None:
    keys = [(f"user-{i}",) for i in range(500)]
    extend_keys(layout.keys("user"), ("string",), arrays(keys, ("string",)))
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    with context.Pool(2, initializer=_keep, initargs=(start,)) as pool:
        both = pool.starmap(codes_after_start, [(str(layout.root), [key[0] for key in keys])] * 2, chunksize=1)
    assert both[0] == both[1] == sorted_codes(keys)
    assert len(files(layout)) == 1
    assert not list(layout.hot_keys("user").glob(".*"))


def _keep(start: object) -> None:
    from tests.compute.search import key_workers

    key_workers.START = start


def sorted_codes(keys: Keys) -> list[int]:
    order = {key: code for code, key in enumerate(sorted(keys))}
    return [order[key] for key in keys]


@pytest.mark.parametrize("function", ["hot_copy.write_hot", "hot_copy.append_digests", "derived_files.atomic_file"])
def test_a_builder_that_is_killed_leaves_nothing_that_is_read(layout, function: str) -> None:
    extend_keys(layout.keys("user"), ("int64",), [pa.array(range(50))])
    process = multiprocessing.get_context("spawn").Process(target=build_until_killed, args=(str(layout.root), function))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not files(layout)
    assert found(layout, ("int64",), [(49,), (50,)]) == [49, UNKNOWN]


# Damages


def in_its_place(file: Path, content: bytes) -> None:
    """Put other bytes under a name: those who have the file mapped keep the old ones."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def in_place(file: Path, content: bytes) -> None:
    """Change the bytes of a file: those who have it mapped see the new ones."""
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate(len(content))
    os.utime(file)


def spoiled(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content)))
    flipped = bytes([content[at] ^ (1 << int(rng.integers(8)))])
    return {
        "flip": content[:at] + flipped + content[at + 1 :],
        "zeros": (content[:at] + bytes(4096) + content[at + 4096 :])[: len(content)],
        "cut": content[:at],
        "empty": b"",
        "longer": content + content[at:],
        "moved": content[at:] + content[:at],
    }[kind]


@pytest.mark.parametrize("put", [in_its_place, in_place], ids=lambda put: put.__name__)
@pytest.mark.parametrize("kind", ["flip", "zeros", "cut", "empty", "longer", "moved", "swapped"])
@pytest.mark.parametrize("types", [("int64",), ("int64", "string")], ids=str)
def test_damage_never_gives_a_wrong_code_and_is_mended(layout, monkeypatch, types, kind: str, put: Callable) -> None:
    monkeypatch.setattr(block_digests, "BLOCK_BYTES", 512)
    monkeypatch.setattr(key_index, "FENCE_ROWS", 32)
    rng, oracle = np.random.default_rng(3), {}
    for size in (300, 20):
        extended(layout, types, drawn(rng, types, size), oracle)
    for _ in range(4):
        few = [*drawn(rng, types, 3), *list(oracle)[::50]]
        assert found(layout, types, few) == expected(oracle, few)
        first, last = files(layout)
        content = {file: file.read_bytes() for file in (first, last)}
        for file, other in ((first, last), (last, first)):
            wrong = content[other] if kind == "swapped" else spoiled(content[file], kind, rng)
            if wrong != content[file]:
                put(file, wrong)
        asked = [*drawn(rng, types, 20, nulls=0.1), *oracle]
        assert found(layout, types, asked) == expected(oracle, asked)
        assert found(layout, types, asked) == expected(oracle, asked)
        assert [copy_damage(file) for file in files(layout)] == [None, None]


@pytest.mark.parametrize("put", [in_its_place, in_place], ids=lambda put: put.__name__)
@pytest.mark.parametrize("kind", ["flip", "zeros", "cut"])
def test_no_key_gets_a_second_code_because_the_index_was_damaged(layout, monkeypatch, kind: str, put: Callable) -> None:
    monkeypatch.setattr(block_digests, "BLOCK_BYTES", 512)
    monkeypatch.setattr(key_index, "FENCE_ROWS", 32)
    types = ("int64", "string")
    rng, oracle = np.random.default_rng(8), {}
    extended(layout, types, drawn(rng, types, 200), oracle)
    for _ in range(6):
        renew_index(layout, "user", types)
        for file in files(layout):
            put(file, spoiled(file.read_bytes(), kind, rng))
        keys = [*drawn(rng, types, 5), *list(oracle)[::7]]
        for key in sorted(set(keys) - oracle.keys()):
            oracle[key] = len(oracle)
        assert extended_codes(layout, "user", types, arrays(keys, types)).tolist() == expected(oracle, keys)
    forget()
    assert found(layout, types, list(oracle)) == list(range(len(oracle)))
    known = load_keys(layout.keys("user"), types)
    assert list(zip(*(column.to_pylist() for column in known.columns), strict=True)) == list(oracle)


def test_a_block_that_is_damaged_after_the_index_was_opened_is_noticed_when_it_is_read(layout, monkeypatch) -> None:
    monkeypatch.setattr(block_digests, "BLOCK_BYTES", 512)
    monkeypatch.setattr(key_index, "FENCE_ROWS", 32)
    types, keys = ("string",), [(f"user-{i:04}",) for i in range(400)]
    extend_keys(layout.keys("user"), types, arrays(keys, types))
    renew_index(layout, "user", types)
    (file,) = files(layout)
    sound = file.read_bytes()
    for at in range(2048, len(sound) - 4096, 501):
        forget()
        index = KeyIndex.open(layout, "user", types)
        with file.open("r+b") as opened:
            opened.seek(at)
            opened.write(bytes(255 - byte for byte in sound[at : at + 64]))
        assert index.codes(arrays(keys, types)).tolist() == list(range(400))
        assert found(layout, types, keys) == list(range(400))


# Rights

LOOK_UP = """
import sys
import pyarrow as pa
from featurestore.compute.search.key_index import KeyIndex
from featurestore.lake.layout import create_or_open
layout = create_or_open(sys.argv[1])
for _ in range(2):
    print(KeyIndex.open(layout, "user", ("int64",)).codes([pa.array([5, 99, 100_000, None])]).tolist())
"""


@pytest.mark.parametrize("state", ["missing", "sound", "flipped", "cut"])
def test_who_may_not_write_gets_the_same_codes_whatever_lies_there(layout, state: str) -> None:
    prefix = without_power()
    extend_keys(layout.keys("user"), ("int64",), [pa.array(range(100_000))])
    if state != "missing":
        renew_index(layout, "user", ("int64",))
        (file,) = files(layout)
        content = file.read_bytes()
        middle = len(content) * 5 // 8  # of the codes: not read when the file is opened
        broken = {"sound": content, "cut": content[:middle]}
        file.write_bytes(broken.get(state, content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]))
    places = [layout.root, *layout.root.rglob("*")]
    for place in places:
        place.chmod(stat.S_IMODE(place.stat().st_mode) & 0o555)
    try:
        command = [*prefix, sys.executable, "-c", LOOK_UP, str(layout.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    finally:
        for place in places:
            place.chmod(stat.S_IMODE(place.stat().st_mode) | 0o200)
    assert done.stdout.splitlines() == ["[5, 99, -1, -1]"] * 2, done.stderr
