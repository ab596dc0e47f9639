"""DICOM at the edges of its definitions: windows, tables whose descriptor lies, tags that break their type, marks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydicom", reason="DICOM needs pydicom")
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.images.file_kind import is_dicom
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.images.reading_version import reading_version
from medvlm_tui.errors import ImageError
from tests.made.images import dicom, dicom_dataset, palette_tags, png, pnm, tiff

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
BYTES = np.arange(256, dtype=np.uint8).reshape(16, 16)
TWELVE = {"BitsStored": 12, "HighBit": 11}


def shown(path, window=""):
    image = read_sample(Sample(path.name, path, ""), window)
    return np.asarray(image)


def grey(path, window=""):
    return shown(path, window)[..., 0]


def rounded(shares):
    return np.rint(np.clip(shares, 0, 1) * 255)


# -- windows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("top", "slope"), [(0.9130647131, "0.0002229706"), (1.0, "0.000244200244"), (1.5, "0.000366")])
def test_windows_over_fractions_are_exact(tmp_path, top, slope):
    window = {"WindowCenter": str(top / 2), "WindowWidth": str(top)}
    path = dicom(tmp_path / "q.dcm", RAMP, RescaleSlope=slope, RescaleIntercept="0", Modality="MR", **window, **TWELVE)
    expected = rounded(RAMP * float(slope) / top)
    np.testing.assert_array_equal(grey(path), expected)
    np.testing.assert_array_equal(grey(path, f"{top / 2}/{top}"), expected)


def test_a_width_of_one_over_whole_numbers_is_a_step(tmp_path):
    path = dicom(tmp_path / "s.dcm", RAMP, WindowCenter="2000", WindowWidth="1", **TWELVE)
    np.testing.assert_array_equal(grey(path), np.where(RAMP > 1999.5, 255, 0))


def test_a_wide_window_over_halves_stays_linear(tmp_path):
    tags = {"RescaleSlope": "0.5", "RescaleIntercept": "0", "WindowCenter": "1000", "WindowWidth": "500"}
    path = dicom(tmp_path / "h.dcm", RAMP, **tags, **TWELVE)
    np.testing.assert_array_equal(grey(path), rounded((RAMP * 0.5 - 999.5) / 499 + 0.5))


def test_the_first_window_with_a_width_is_taken(tmp_path):
    path = dicom(tmp_path / "w.dcm", RAMP, WindowCenter=["0", "1000", "9"], WindowWidth=["0", "500", "9"], **TWELVE)
    np.testing.assert_array_equal(grey(path), rounded((RAMP - 999.5) / 499 + 0.5))


@pytest.mark.parametrize("width", ["0", "-400"])
def test_a_window_that_means_nothing_is_refused_and_another_can_be_chosen(tmp_path, width):
    path = dicom(tmp_path / "n.dcm", RAMP, WindowCenter="40", WindowWidth=width, **TWELVE)
    with pytest.raises(ImageError, match="width is not above 0") as caught:
        shown(path)
    assert "--window percentiles" in caught.value.hint
    assert grey(path, "percentiles").std() > 50


@pytest.mark.parametrize("name", ["WindowCenter", "WindowWidth", "RescaleSlope"])
def test_empty_tags_are_not_there(tmp_path, name):
    tags = {"WindowCenter": "1000", "WindowWidth": "500", "RescaleSlope": "1", "RescaleIntercept": "0"} | {name: None}
    found = grey(dicom(tmp_path / "e.dcm", RAMP, **tags, **TWELVE))
    windowed = rounded((RAMP - 999.5) / 499 + 0.5)
    np.testing.assert_array_equal(found, windowed if name == "RescaleSlope" else rounded(RAMP / 4095))


def test_sigmoid_is_finite_at_any_width(tmp_path):
    tags = {"VOILUTFunction": "SIGMOID", "WindowCenter": "2000", "WindowWidth": "0.5"}
    with np.errstate(all="raise"):
        found = grey(dicom(tmp_path / "s.dcm", RAMP, **tags, **TWELVE))
    np.testing.assert_array_equal(found[RAMP < 1999], 0)
    np.testing.assert_array_equal(found[RAMP > 2001], 255)
    assert found[RAMP == 2000] == 128


def test_an_eight_bit_image_keeps_a_window_of_its_own_that_can_mean_its_levels(tmp_path):
    ultrasound = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"}
    path = dicom(tmp_path / "u.dcm", BYTES, WindowCenter="100", WindowWidth="100", **ultrasound)
    expected = rounded((BYTES - 99.5) / 99 + 0.5)
    for window in ("", "percentiles", "40/80", "lung"):
        np.testing.assert_array_equal(grey(path, window), expected)
    for centre, width in (("600", "1200"), ("40", "400"), ("-600", "100")):
        left_over = dicom(tmp_path / "l.dcm", BYTES, WindowCenter=centre, WindowWidth=width, **ultrasound)
        np.testing.assert_array_equal(grey(left_over), BYTES)


def test_an_identity_rescale_measures_nothing_of_eight_bits(tmp_path):
    tags = {"Modality": "CT", "RescaleSlope": "1", "RescaleIntercept": "0"}
    path = dicom(tmp_path / "i.dcm", BYTES, **tags)
    for window in ("", "soft_tissue", "40/80", "percentiles"):
        np.testing.assert_array_equal(grey(path, window), BYTES)


def test_values_in_hounsfield_units_are_known_by_their_unit(tmp_path):
    rescale = {"RescaleSlope": "1", "RescaleIntercept": "-1024"}
    soft = rounded((RAMP - 1024.0 - 49.5) / 399 + 0.5)
    named = dicom(tmp_path / "cone_beam.dcm", RAMP, Modality="XA", RescaleType="HU", **rescale, **TWELVE)
    np.testing.assert_array_equal(grey(named, "soft_tissue"), soft)
    for tags in ({"Modality": "MR", **rescale}, {"Modality": "CT"}, {"Modality": "CT", "RescaleType": "US", **rescale}):
        other = dicom(tmp_path / "other.dcm", RAMP, **tags, **TWELVE)
        with pytest.raises(ImageError, match="no Hounsfield units"):
            shown(other, "soft_tissue")
        np.testing.assert_array_equal(grey(other), rounded(RAMP / 4095))


def test_the_range_of_padding_is_left_out(tmp_path):
    values = RAMP.astype(np.int16)
    values[:2], values[2:4] = -2000, -1990
    path = dicom(tmp_path / "p.dcm", values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1980)
    least = 4 * 64
    np.testing.assert_array_equal(grey(path)[4:], rounded((RAMP[4:] - least) / (4095.0 - least)))


# -- tables ----------------------------------------------------------------------------------------


def test_palettes_begin_where_they_say_and_end_where_they_end(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 3), dtype=np.uint8)
    tables = tuple(column.tobytes() for column in colours.T)
    path = dicom(tmp_path / "p.dcm", BYTES, **palette_tags(tables, 40, 8, first=100))
    np.testing.assert_array_equal(shown(path), colours[np.clip(BYTES.astype(int) - 100, 0, 39)])


def test_a_palette_of_bytes_for_more_than_256_values(tmp_path):
    colours = np.random.default_rng(1).integers(0, 256, (4096, 3), dtype=np.uint8)
    path = dicom(tmp_path / "d.dcm", RAMP, **palette_tags(tuple(c.tobytes() for c in colours.T), 4096, 8), **TWELVE)
    np.testing.assert_array_equal(shown(path), colours[RAMP])


def test_a_segmented_palette(tmp_path):
    # A discrete segment of two entries, then a straight line over 254 more.
    table = np.array([0, 2, 7, 0, 1, 254, 254], np.uint8).tobytes()
    curve = np.concatenate([[7, 0], np.linspace(0, 254, 255)[1:]])
    path = dicom(tmp_path / "s.dcm", BYTES, **palette_tags((table, table, table), 256, 8, segmented=True))
    assert np.abs(grey(path).astype(int) - curve[BYTES]).max() <= 1


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_voi_tables_whose_descriptor_lies(tmp_path, bits):
    curve = np.round(255 * np.sqrt(np.arange(4096) / 4095)).astype(np.uint16)
    stored = curve if bits != 12 else curve * 16
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 16 if bits == 8 else 8 if bits == 16 else 12]
    item.add_new("LUTData", "OW", (stored * 257 if bits == 16 else stored).astype("<u2").tobytes())
    found = grey(dicom(tmp_path / "v.dcm", RAMP, VOILUTSequence=Sequence([item]), **TWELVE))
    full = {8: 255, 12: 4095, 16: 65535}[bits]
    np.testing.assert_array_equal(found, rounded((stored * (257 if bits == 16 else 1))[RAMP] / full))


def test_a_modality_table_gives_the_values(tmp_path):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4096, 0, 16], "US"
    curve = (np.arange(4096) ** 2 // 300).astype(np.uint16)
    item.add_new("LUTData", "OW", curve.astype("<u2").tobytes())
    path = dicom(tmp_path / "m.dcm", RAMP, ModalityLUTSequence=Sequence([item]), **TWELVE)
    np.testing.assert_array_equal(grey(path, "9000/8000"), rounded((curve[RAMP] - 8999.5) / 7999 + 0.5))


# -- tags that break their type --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "vr", "value"),
    [
        ("WindowCenter", "LO", "SECRET^PATIENT"),
        ("RescaleSlope", "LO", "SECRET^PATIENT"),
        ("RescaleSlope", "DS", "0"),
        ("RescaleIntercept", "LO", "nan"),
        ("VOILUTFunction", "LO", "SECRET^PATIENT"),
        ("Rows", "LO", "SECRET^PATIENT"),
        ("BitsStored", "LO", "SECRET^PATIENT"),
        ("RescaleSlope", "SQ", []),
        ("PhotometricInterpretation", "US", 7),
    ],
)
def test_a_tag_of_another_type_is_refused_by_its_name_or_read(tmp_path, name, vr, value, caplog, recwarn):
    dataset = dicom_dataset(RAMP, WindowCenter="1000", WindowWidth="500", **TWELVE)
    if name in dataset:
        del dataset[name]
    dataset.add_new(name, vr, value)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    caplog.clear()
    recwarn.clear()
    said = ""
    try:
        shown(tmp_path / "x.dcm")
    except ImageError as error:
        said = f"{error.message} {error.hint}"
    assert "SECRET" not in said + caplog.text + "".join(str(warning.message) for warning in recwarn)


# -- the mark --------------------------------------------------------------------------------------


def test_dicom_is_known_by_its_mark(tmp_path):
    root = tmp_path / "set"
    for n in range(8):
        folder = root / "ab"[n % 2]
        folder.mkdir(parents=True, exist_ok=True)
        dicom(folder / f"1.2.826.0.1.3680043.8.498.{1000 + n}", BYTES)
    (root / "a" / "DICOMDIR").write_bytes(dicom(tmp_path / "d", BYTES).read_bytes())
    (root / "a" / "notes.txt").write_text("no image")
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders", root=root)
    samples = open_dataset(spec).samples
    assert len(samples) == 8
    np.testing.assert_array_equal(grey(samples[0].path), BYTES)


def test_the_mark_counts_unless_the_file_is_what_its_suffix_says(tmp_path):
    marked = dicom(tmp_path / "a.7", BYTES).read_bytes()
    (tmp_path / "renamed.png").write_bytes(marked)
    assert is_dicom(tmp_path / "a.7")
    assert is_dicom(tmp_path / "renamed.png")
    both = tmp_path / "slide.tif"
    pages = tiff(tmp_path / "plain.tif", BYTES, 1).read_bytes()
    both.write_bytes(pages[:128] + b"DICM" + pages[132:])
    assert not is_dicom(both)
    png(tmp_path / "named.dcm", BYTES, 8, 0)
    assert not is_dicom(tmp_path / "named.dcm")
    np.testing.assert_array_equal(grey(tmp_path / "named.dcm"), BYTES)
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert is_dicom(tmp_path / "empty.dcm")


def test_only_files_that_are_read_otherwise_than_before_have_another_digest(tmp_path):
    deep = RAMP[..., None].repeat(3, 2)
    changed = [
        dicom(tmp_path / "a.dcm", BYTES),
        png(tmp_path / "b.png", deep, 16, 2),
        png(tmp_path / "c.png", BYTES // 64, 2, 0, transparent=b"\0\1"),
        tiff(tmp_path / "d.tif", deep, 2, order=">"),
        tiff(tmp_path / "e.tif", RAMP, 0),
        tiff(tmp_path / "f.tif", BYTES, 3, colour_map=np.arange(768, dtype=np.uint16).reshape(256, 3) % 256),
        pnm(tmp_path / "g.pgm", RAMP, 4095),
        pnm(tmp_path / "h.ppm", deep, 4095, plain=True),
    ]
    same = [
        png(tmp_path / "i.png", RAMP, 16, 0),
        png(tmp_path / "j.png", BYTES, 8, 0),
        tiff(tmp_path / "k.tif", RAMP, 1),
        tiff(tmp_path / "l.tif", BYTES[..., None].repeat(3, 2), 2),
        pnm(tmp_path / "m.pgm", BYTES, 255),
    ]
    Image.fromarray(BYTES).save(tmp_path / "n.jpg")
    (tmp_path / "o.tif").write_bytes(b"II*\0")
    assert [reading_version(path) for path in changed] == ["2"] * len(changed)
    assert [reading_version(path) for path in [*same, tmp_path / "n.jpg", tmp_path / "o.tif"]] == [""] * 7


def test_the_digest_moves_with_the_reading_and_no_other_digest_does(tmp_path):
    from medvlm_tui.core.digests import of_bytes, of_file

    for name in "ab":
        (tmp_path / name).mkdir()
        for n in range(2):
            png(tmp_path / name / f"{n}.png", BYTES + n, 8, 0)
            png(tmp_path / name / f"deep{n}.png", RAMP[..., None].repeat(3, 2) + n, 16, 2)
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders", root=tmp_path)
    for sample in open_dataset(spec).samples:
        plain = of_file(sample.path)
        assert sample.digest == (of_bytes(f"{plain}/reading 2".encode()) if "deep" in sample.id else plain)
