"""Photos inside archives, tables and object stores are read as if they were files."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.systems import needs_odd_names

from hierpets.auditing.images.image_stats import file_stamp, measure_image
from hierpets.data import addresses
from hierpets.data.addresses import Address, parse_address, photo_suffix
from hierpets.data.content import content_key
from hierpets.data.photos import Limits, read_photo
from hierpets.errors import ConfigError, ImageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def jpeg(n: int) -> bytes:
    _, content = cv2.imencode(".jpg", read_photo(f"demo:dog/pug/{n}")[..., ::-1])
    return content.tobytes()


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return [jpeg(n) for n in range(5)]


@pytest.fixture
def shard(tmp_path, contents) -> Path:
    file = tmp_path / "train-0.tar"
    with tarfile.open(file, "w") as archive:
        for n, content in enumerate(contents):
            member = tarfile.TarInfo(f"some/{n}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


@pytest.fixture
def table(tmp_path, contents) -> Path:
    file = tmp_path / "rows.parquet"
    nested = [{"bytes": content, "path": None} for content in contents]
    pq.write_table(pa.table({"image": nested, "raw": contents}), file, row_group_size=2)
    return file


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a.tar:b/c.jpg", Address("a.tar", "tar", "b/c.jpg")),
        ("C:\\x\\a.tar:b.jpg", Address("C:\\x\\a.tar", "tar", "b.jpg")),
        ("s3://bucket/a.parquet:image:7", Address("s3://bucket/a.parquet", "parquet", "image:7")),
        ("s3://bucket/a.jpg", Address("s3://bucket/a.jpg")),
        ("a.tar:b.tar:c.jpg", Address("a.tar", "tar", "b.tar:c.jpg")),
        ("photos/a.jpg", None),
        ("C:\\photos\\a.jpg", None),
        ("demo:dog/pug/1", None),
        ("a.tar", None),
    ],
)
def test_parse_address(path, address):
    assert parse_address(path) == address


@needs_odd_names
def test_a_file_whose_name_looks_like_an_address_is_a_file(tmp_path, contents):
    file = tmp_path / "a.tar:b.jpg"
    file.write_bytes(contents[0])
    assert parse_address(str(file)) is None
    np.testing.assert_array_equal(read_photo(str(file)), read_photo(contents[0]))


def test_read_photo_of_a_member_and_of_rows(shard, table, contents):
    for n, content in enumerate(contents):
        expected = read_photo(content)
        for path in (f"{shard}:some/{n}.jpg", f"{table}:image:{n}", f"{table}:raw:{n}"):
            np.testing.assert_array_equal(read_photo(path), expected)
            assert content_key(path) == content_key(f"{shard}:some/{n}.jpg")


def test_read_photo_of_an_object_store(shard, table, contents, tmp_path):
    (tmp_path / "one.jpg").write_bytes(contents[1])
    for path in (
        (tmp_path / "one.jpg").as_uri(),
        f"{shard.as_uri()}:some/1.jpg",
        f"{table.as_uri()}:raw:1",
    ):
        np.testing.assert_array_equal(read_photo(path), read_photo(contents[1]))


def test_a_row_may_name_a_file_beside_its_table(tmp_path, contents):
    (tmp_path / "x.jpg").write_bytes(contents[0])
    file = naming(tmp_path / "rows.parquet", "x.jpg")
    np.testing.assert_array_equal(read_photo(f"{file}:image:0"), read_photo(contents[0]))


def naming(file, path):
    """A table of one row, which has no photo but names one."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array([{"bytes": None, "path": path}], kind)}), file)
    return file


def test_a_table_names_no_file_for_a_row_that_has_its_bytes(table):
    assert list(addresses.files_named(str(table))) == []


def test_a_missing_file_beside_a_table_is_named(tmp_path):
    file = naming(tmp_path / "rows.parquet", "gone.jpg")
    with pytest.raises(ImageError, match=r"no such file: .*gone\.jpg, which the table names$"):
        read_photo(f"{file}:image:0")


def test_a_table_makes_no_request_to_another_host(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        host = f"127.0.0.1%3A{listening.getsockname()[1]}"
        named = f"s3://a:b@bucket/a.jpg?scheme=http&region=x&endpoint_override={host}"
        file = naming(tmp_path / "rows.parquet", named)
        with pytest.raises(ImageError, match="a photo is read beside its table, or in the table's own object store"):
            read_photo(f"{file}:image:0")
        with pytest.raises(TimeoutError):
            listening.accept()
    assert list(addresses.files_named(str(file))) == []


def test_a_table_in_a_store_may_name_photos_of_that_store(tmp_path, contents):
    (tmp_path / "x.jpg").write_bytes(contents[0])
    file = naming(tmp_path / "rows.parquet", (tmp_path / "x.jpg").as_uri())
    np.testing.assert_array_equal(read_photo(f"{file.as_uri()}:image:0"), read_photo(contents[0]))


@pytest.mark.parametrize("write", ["new_stream", "new_file"])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_an_arrow_table_is_read_unless_it_unpacks_to_too_much(tmp_path, contents, write, compression, monkeypatch):
    file, rows = tmp_path / "rows.arrow", pa.table({"image": contents, "label": pa.array("ababa").dictionary_encode()})
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with getattr(pa.ipc, write)(file, rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=2)
    np.testing.assert_array_equal(read_photo(f"{file}:image:3"), read_photo(contents[3]))
    monkeypatch.setattr("hierpets.plugin.arrow.MAX_UNPACKED", sum(map(len, contents)))
    addresses._arrow.cache_clear()
    if compression is None:  # it is mapped, and takes no memory of its own
        read_photo(f"{file}:image:3")
    else:
        with pytest.raises(ImageError, match=r"cannot be read: unpacked, it takes .* GB, above the limit of"):
            read_photo(f"{file}:image:3")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("train-0.tar:some/9.jpg", r"no file 'some/9\.jpg' in this archive"),
        ("nowhere.tar:some/1.jpg", r"no such file: .*nowhere\.tar"),
        ("rows.parquet:image:99", "no row 99 in this table"),
        ("rows.parquet:picture:0", "cannot be read: .*picture"),
        ("rows.parquet:image", "expected the address of a row"),
        ("rows.parquet:image:-1", "expected the address of a row"),
        ("text.tar:a.jpg", "cannot be read: "),
        ("text.parquet:image:0", "cannot be read: "),
        ("text.arrow:image:0", "cannot be read: "),
    ],
)
def test_read_photo_says_what_is_wrong_with_an_address(shard, table, tmp_path, place, message):
    for kind in ("tar", "parquet", "arrow"):
        (tmp_path / f"text.{kind}").write_text("neither an archive nor a table, but long enough to be looked at" * 20)
    path = str(tmp_path / place)
    with pytest.raises(ImageError, match=message) as caught:
        read_photo(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count("\n") == 0


def test_limits_hold_inside_archives_and_tables(shard, table, monkeypatch):
    small = Limits(max_bytes=100)
    for path in (f"{shard}:some/1.jpg", f"{table}:image:1", shard.as_uri()):
        with pytest.raises(ImageError, match="above the limit of"):
            read_photo(path, limits=small)
    monkeypatch.setattr(addresses, "MAX_GROUP_BYTES", 10)
    monkeypatch.setattr(addresses, "_ROW_GROUPS", addresses._RowGroups())
    with pytest.raises(ImageError, match=r"a row group of .* fewer rows a group"):
        read_photo(f"{table}:image:0")


def test_a_truncated_archive_is_reported(shard, contents):
    path = f"{shard}:some/{len(contents) - 1}.jpg"
    read_photo(path)
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size // 3)
    with pytest.raises(ImageError):
        read_photo(path)


def test_a_changed_archive_is_read_anew(shard, contents):
    path = f"{shard}:some/0.jpg"
    read_photo(path)
    with tarfile.open(shard, "w") as archive:
        member = tarfile.TarInfo("some/0.jpg")
        member.size = len(contents[3])
        archive.addfile(member, io.BytesIO(contents[3]))
    np.testing.assert_array_equal(read_photo(path), read_photo(contents[3]))


@pytest.fixture
def groups_read(monkeypatch):
    """The groups of rows that are read from here on."""
    found = []
    read = addresses._read_group
    monkeypatch.setattr(addresses, "_ROW_GROUPS", addresses._RowGroups())
    monkeypatch.setattr(addresses, "_read_group", lambda *key: (found.append(key[-1]), read(*key))[1])
    return found


def test_many_threads_read_a_table_once(table, contents, groups_read):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read_photo, [f"{table}:image:{n % 2}" for n in range(32)]))
    assert len(groups_read) == 1
    for n, photo in enumerate(found):
        np.testing.assert_array_equal(photo, read_photo(contents[n % 2]))


def test_photos_of_a_table_in_random_order_cost_each_group_once_where_it_can_be_kept(
    contents, groups_read, tmp_path, monkeypatch
):
    file = tmp_path / "pets.parquet"
    pq.write_table(pa.table({"image": contents * 4}), file, row_group_size=2)
    groups = 2 * len(contents)
    order = np.random.default_rng(0).permutation(4 * len(contents))
    for row in order:
        np.testing.assert_array_equal(read_photo(f"{file}:image:{row}"), read_photo(contents[row % len(contents)]))
    assert len(groups_read) == groups
    monkeypatch.setattr(addresses, "MAX_KEPT_BYTES", 1)  # the last two, as for photos in their order
    for row in range(4 * len(contents)):
        read_photo(f"{file}:image:{row}")
    assert len(groups_read) <= 2 * groups


def test_the_audit_measures_photos_in_shards_and_tables(shard, table, contents):
    member, row = measure_image(f"{shard}:some/1.jpg"), measure_image(f"{table}:image:1")
    assert member.content == row.content
    assert (member.size, member.format, member.error) == (len(contents[1]), "JPEG", None)
    assert not member.misnamed
    assert not row.misnamed, "a row has no name that could be wrong"
    assert photo_suffix(row.path) is None
    assert file_stamp(member.path) == file_stamp(str(shard))
    assert "no file" in (measure_image(f"{shard}:nothing.jpg").error or "")


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'hierpets\[data\]'"):
        read_photo("s3://bucket/photo.jpg")


def test_a_file_system_that_pyarrow_does_not_know():
    with pytest.raises(ConfigError, match=r"nonsense://bucket/a\.jpg: cannot be opened"):
        read_photo("nonsense://bucket/a.jpg")


@pytest.mark.skipif(os.name != "posix", reason="system: needs named pipes")
def test_content_key_of_what_is_no_photo_reads_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(2**31)
    assert len({content_key(str(tmp_path / name)) for name in ("pipe.jpg", "huge.jpg", "missing.jpg")}) == 3


def test_endings_in_capitals_are_addresses_too(shard, table, contents):
    archive, rows = shard.rename(shard.with_name("A.TAR")), table.rename(table.with_name("B.PARQUET"))
    for path in (f"{archive}:some/2.jpg", f"{rows}:raw:2"):
        np.testing.assert_array_equal(read_photo(path), read_photo(contents[2]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="system: needs named pipes")
def test_a_table_reads_regular_files_alone(tmp_path):
    """A device or a pipe has no end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "photo.jpg").write_bytes(jpeg(0))
    rows = [{"bytes": None, "path": path} for path in ("/dev/zero", "pipe", "photo.jpg")]
    pq.write_table(pa.table({"image": rows}), tmp_path / "rows.parquet")
    for row in (0, 1):
        with pytest.raises(ImageError, match="is not a regular file"):
            read_photo(f"{tmp_path}/rows.parquet:image:{row}")
    np.testing.assert_array_equal(read_photo(f"{tmp_path}/rows.parquet:image:2"), read_photo(tmp_path / "photo.jpg"))


def test_a_value_that_all_rows_share_is_not_read_for_each(tmp_path, monkeypatch):
    file, photo = tmp_path / "rows.parquet", jpeg(0)
    pq.write_table(pa.table({"image": [photo] * 500}), file)  # one value and 500 numbers
    stored = pq.read_metadata(file).row_group(0).total_byte_size
    assert stored < 10 * len(photo)
    read = read_photo(f"{file}:image:400")
    np.testing.assert_array_equal(read, read_photo(photo))
    monkeypatch.setattr(addresses, "_ROW_GROUPS", addresses._RowGroups())
    monkeypatch.setattr(addresses, "MAX_GROUP_BYTES", 20 * len(photo))
    with pytest.raises(ImageError, match=r"a row group of .* GB, above the limit"):
        read_photo(f"{file}:image:400")
