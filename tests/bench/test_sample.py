import pytest

from hierpets.bench.sample import choose_photos
from hierpets.data.photos import read_photo
from hierpets.errors import DataError


def test_choose_photos_without_a_folder_writes_synthetic_jpegs(tmp_path):
    sample = choose_photos(None, 5, scratch=tmp_path)
    assert len(set(sample.paths)) == 5
    assert "synthetic" in sample.what
    assert all(read_photo(path).shape == (500, 500, 3) for path in sample.paths)


def test_choose_photos_takes_them_evenly_and_leaves_out_unreadable_ones(tmp_path):
    drawn = choose_photos(None, 12, scratch=tmp_path)
    (tmp_path / "6.jpg").write_bytes(b"nothing")
    some = choose_photos(str(tmp_path), 4, scratch=tmp_path)
    every = choose_photos(str(tmp_path), 100, scratch=tmp_path)
    ranked = sorted(drawn.paths)
    assert set(some.paths) == {ranked[n] for n in (0, 3, 6, 9)} - {str(tmp_path / "6.jpg")}
    assert set(every.paths) == {*ranked} - {str(tmp_path / "6.jpg")}
    assert "of the 12 photos" in every.what


@pytest.mark.parametrize(("content", "said"), [({}, "no photos"), ({"a.jpg": b"x"}, "can be read")])
def test_choose_photos_refuses_a_folder_without_a_readable_photo(tmp_path, content, said):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=said):
        choose_photos(str(tmp_path), 3, scratch=tmp_path)
