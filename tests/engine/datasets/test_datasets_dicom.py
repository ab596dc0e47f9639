"""DICOM: the right grey levels against values computed from the raw data, or a named refusal."""

from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.intensity_windows import parse_window
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import ImageError, UsageError
from tests.made.shared import DATA

pydicom = pytest.importorskip("pydicom", reason="DICOM needs pydicom")
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402

from tests.made.images import dicom as made  # noqa: E402

REFUSED = {
    "has no DICOM header": "JLSL_RGB_ILV0 JLSL_RGB_ILV1 JLSL_RGB_ILV2 JLSN_RGB_ILV0 OT-PAL-8-face ExplVR_BigEndNoMeta "
    "ExplVR_LitEndNoMeta no_meta rtstruct",
    "cannot be decoded": "JLSL_08_07_0_1F liver_deflate liver_nonbyte_aligned_deflate liver_nonbyte_aligned_rle "
    "liver_rle JPEG-lossy JPEG2000-embedded-sequence-delimiter JPGExtended MR_truncated badVR",
    "holds no image": "emri_small_jpeg_2k_lossless_too_short UN_sequence empty_charset_LEI no_meta_group_length "
    "priv_SQ reportsi reportsi_with_empty_number_tags rtplan rtplan_truncated test-SR waveform_ecg",
    "does not say how large": "meta_missing_tsyntax nested_priv_SQ",
}


def shown(path: Path, window: str = "", frame: str = "") -> np.ndarray:
    image = read_sample(Sample(path.name, path, "", frame=frame), window)
    assert image.mode == "RGB"
    return np.asarray(image)


def grey(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """The standard's LINEAR window, written out once more."""
    x = values.astype(np.float64)
    inside = ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return np.rint(
        np.where(x <= centre - 0.5 - (width - 1) / 2, 0, np.where(x > centre - 0.5 + (width - 1) / 2, 255, inside))
    )


@pytest.fixture(scope="module")
def corpus():
    files = {path.stem: path for path in (DATA / "dicom").glob("*/*.dcm")}
    if not files:
        pytest.skip(f"no DICOM files at {DATA / 'dicom'} (MEDVLM_TEST_DATA)")
    return files


def test_each_file_gives_pixels_or_the_named_refusal(corpus):
    expected = {name: reason for reason, names in REFUSED.items() for name in names.split()}
    for name, path in corpus.items():
        if name in expected:
            with pytest.raises(ImageError, match=expected[name]) as caught:
                shown(path)
            assert caught.value.hint
        else:
            assert shown(path).dtype == np.uint8, name
    assert set(expected) <= set(corpus)


@pytest.mark.parametrize(
    "family",
    [
        "MR_small MR_small_RLE MR_small_bigendian MR_small_expb MR_small_implicit MR_small_jp2klossless "
        "MR_small_jpeg_ls_lossless MR_small_padded",
        "emri_small emri_small_RLE emri_small_big_endian emri_small_jpeg_2k_lossless emri_small_jpeg_ls_lossless",
        "SC_rgb SC_rgb_expb SC_rgb_rle SC_rgb_16bit SC_rgb_32bit SC_rgb_rle_16bit SC_rgb_expb_32bit",
        "rtdose rtdose_expb rtdose_rle",
        "liver liver_expb liver_j2k",
        "693_UNCR 693_J2KR",
    ],
)
def test_one_picture_in_many_encodings_is_one_picture(corpus, family):
    first, *others = (shown(corpus[name]) for name in family.split())
    assert first.std() > 1
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_rescale_and_window_of_a_ct(corpus):
    path = corpus["693_UNCR"]
    dataset = pydicom.dcmread(path)
    hounsfield = dataset.pixel_array.astype(np.float64) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    own = grey(hounsfield, float(dataset.WindowCenter), float(dataset.WindowWidth))
    np.testing.assert_array_equal(shown(path)[..., 0], own)
    for name, centre, width in (("lung", -600, 1500), ("bone", 400, 1800), ("brain", 40, 80), ("soft_tissue", 50, 400)):
        np.testing.assert_array_equal(shown(path, name)[..., 0], grey(hounsfield, centre, width))
    assert not np.array_equal(shown(path, "lung"), shown(path, "bone"))


def test_monochrome1_is_inverted(corpus):
    path = corpus["RG3_J2KI"]
    dataset = pydicom.dcmread(path)
    window = [float(np.atleast_1d(v)[0]) for v in (dataset.WindowCenter, dataset.WindowWidth)]
    raw = dataset.pixel_array.astype(np.float64)
    linear = np.clip((raw - (window[0] - 0.5)) / (window[1] - 1) + 0.5, 0, 1)
    np.testing.assert_array_equal(shown(path)[..., 0], np.rint((1 - linear) * 255))
    assert np.corrcoef(raw.ravel(), shown(path)[..., 0].ravel())[0, 1] < -0.9


def test_twelve_bits_are_not_clipped(tmp_path):
    ramp = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
    path = made(tmp_path / "ramp.dcm", ramp, BitsStored=12, HighBit=11)
    pixels = shown(path)[..., 0]
    np.testing.assert_array_equal(pixels, np.rint(ramp / 4095 * 255))
    assert len(np.unique(pixels)) == 256
    assert len(np.unique(shown(path, "percentiles"))) == 256


def test_made_files(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(shown(made(tmp_path / "plain.dcm", ramp))[..., 0], ramp)
    inverted = made(tmp_path / "inverted.dcm", ramp, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(shown(inverted)[..., 0], 255 - ramp)
    colour = np.stack([ramp, 255 - ramp, ramp // 2], axis=-1)
    np.testing.assert_array_equal(shown(made(tmp_path / "rgb.dcm", colour)), colour)
    stack = np.stack([ramp // 4, ramp // 2, ramp])
    frames = made(tmp_path / "frames.dcm", stack)
    np.testing.assert_array_equal(shown(frames)[..., 0], stack[1], "the middle one")
    np.testing.assert_array_equal(shown(frames, frame="2")[..., 0], stack[2])
    with pytest.raises(ImageError):
        shown(frames, frame="3")


def test_a_real_voi_lut_is_applied(corpus):
    path = corpus["vlut_04"]
    dataset = pydicom.dcmread(path)
    table = dataset.VOILUTSequence[0]
    entries, first, bits = table.LUTDescriptor
    curve = np.asarray(table.LUTData, dtype=np.float64)
    raw = dataset.pixel_array.astype(int)
    assert len(curve) == entries
    expected = np.rint(curve[np.clip(raw - first, 0, entries - 1)] / (2**bits - 1) * 255)
    np.testing.assert_array_equal(shown(path)[..., 0], expected)


def test_signed_rescaled_values_in_a_fixed_window(tmp_path):
    stored = np.linspace(-1000, 1000, 256).astype(np.int16).reshape(16, 16)
    path = made(tmp_path / "ct.dcm", stored, Modality="CT", RescaleSlope="2", RescaleIntercept="-100")
    hounsfield = stored.astype(float) * 2 - 100
    np.testing.assert_array_equal(shown(path, "40/400")[..., 0], grey(hounsfield, 40, 400))
    np.testing.assert_array_equal(shown(path)[..., 0], grey(hounsfield, 50, 400), "no window: a CT's soft tissue")


def test_window_functions_lut_and_padding(tmp_path):
    values = np.linspace(0, 1000, 256).astype(np.uint16).reshape(16, 16)
    window = {"WindowCenter": "500", "WindowWidth": "200"}
    sigmoid = made(tmp_path / "s.dcm", values, VOILUTFunction="SIGMOID", **window)
    np.testing.assert_array_equal(shown(sigmoid)[..., 0], np.rint(255 / (1 + np.exp(-4 * (values - 500.0) / 200))))
    exact = made(tmp_path / "e.dcm", values, VOILUTFunction="LINEAR_EXACT", **window)
    np.testing.assert_array_equal(shown(exact)[..., 0], np.rint(np.clip((values - 500.0) / 200 + 0.5, 0, 1) * 255))
    table = Dataset()
    table.LUTDescriptor = [1001, 0, 8]
    curve = np.array([255 - v * 255 // 1000 for v in range(1001)], np.uint16)
    table.add_new("LUTData", "OW", curve.tobytes())
    lut = made(tmp_path / "l.dcm", values, VOILUTSequence=Sequence([table]), **window)
    np.testing.assert_array_equal(shown(lut)[..., 0], curve[values])
    padded = values.copy()
    padded[0] = 60000
    hidden = made(tmp_path / "p.dcm", padded, PixelPaddingValue=60000)
    low = padded[1:].min()
    np.testing.assert_array_equal(shown(hidden)[1:, :, 0], np.rint((padded[1:] - float(low)) / (1000 - low) * 255))


def test_windows_of_enhanced_frames(tmp_path):
    stack = np.stack([np.linspace(0, 1000, 256).astype(np.uint16).reshape(16, 16)] * 3)
    groups = []
    for centre in (200, 500, 800):
        window = Dataset()
        window.WindowCenter, window.WindowWidth = str(centre), "400"
        group = Dataset()
        group.FrameVOILUTSequence = Sequence([window])
        groups.append(group)
    path = made(tmp_path / "enhanced.dcm", stack, PerFrameFunctionalGroupsSequence=Sequence(groups))
    for frame, centre in enumerate((200, 500, 800)):
        np.testing.assert_array_equal(shown(path, frame=str(frame))[..., 0], grey(stack[0], centre, 400))


def test_refusals_do_not_name_the_patient(tmp_path):
    secret = "Doe^Jane"
    values = np.zeros((16, 16), np.uint16)
    path = made(tmp_path / "x.dcm", values, PatientName=secret, PatientID=secret, VOILUTFunction=secret)
    setattr_window = pydicom.dcmread(path)
    setattr_window.WindowCenter, setattr_window.WindowWidth = "1", "2"
    setattr_window.save_as(path)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:-100])
    for broken, window in ((path, ""), (path, "bone"), (cut, "")):
        with pytest.raises(ImageError) as caught:
            shown(broken, window)
        assert secret not in f"{caught.value.message} {caught.value.hint}"


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = made(tmp_path / "bomb.dcm", np.zeros((4, 4), np.uint8))
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 65000
    dataset.save_as(path)
    with pytest.raises(ImageError, match="declares 65000 x 65000"):
        shown(path)


@pytest.mark.parametrize("text", ["skull", "1", "1/", "1/0", "nan/5", "40/-3", "1/2/3"])
def test_windows_that_are_none(text):
    with pytest.raises(UsageError):
        parse_window(text)


def test_names_of_windows_are_canonical():
    assert str(parse_window("40.0/400")) == str(parse_window("40/400.0")) == "40/400"
    assert str(parse_window("")) == "file"
    assert str(parse_window("lung")) == "lung"


# -- folders labelled by tag ----------------------------------------------------------------------


@pytest.fixture
def export(tmp_path):
    """As a scanner writes it: numbered files without suffix in numbered folders, among other files."""
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for i in range(8):
        folder = tmp_path / "DICOM" / f"S{i // 4}"
        folder.mkdir(parents=True, exist_ok=True)
        tags = {"Modality": "CT" if i % 2 else "MR", "PatientID": f"Doe{i // 3}", "PatientName": "Doe^Jane"}
        made(folder / f"IM{i:04d}", pixels, **tags)
    made(tmp_path / "DICOM" / "plain.dcm", pixels)
    (tmp_path / "DICOM" / "DICOMDIR").write_bytes(b"\0" * 200)
    (tmp_path / "DICOM" / "README.txt").write_text("DICM")
    return tmp_path


def test_a_tag_labels_a_folder(export):
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders", root=export)
    dataset = open_dataset(spec, view="tag:Modality")
    assert {s.id: s.label for s in dataset.samples} == {
        f"DICOM/S{i // 4}/IM{i:04d}": "CT" if i % 2 else "MR" for i in range(8)
    }
    assert [s.group for s in dataset.samples] == [f"patient {1 + i // 3}" for i in range(8)]
    assert "Doe" not in repr(dataset)
    assert dataset.warnings == ("own: 1 of 9 DICOM files have no Modality",)
    assert np.asarray(read_sample(dataset.samples[0])).shape == (16, 16, 3)


@pytest.mark.parametrize("tag", ["PatientName", "PatientID", "StudyDate", "AccessionNumber", "NoSuchTag", ""])
def test_tags_that_identify_people_make_no_labels(export, tag):
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders", root=export)
    with pytest.raises(UsageError):
        open_dataset(spec, view=f"tag:{tag}")


def test_a_catalog_dataset_has_no_tag_views(tmp_path):
    with pytest.raises(UsageError):
        open_dataset(load_datasets()["brain_mr"], tmp_path, view="tag:Modality")
