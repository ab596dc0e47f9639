"""Every row of the packaged prompts, and the user's own."""

from __future__ import annotations

import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.prompts import load_words, prompt_sets
from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.errors import UsageError


def test_every_class_of_every_dataset_has_words() -> None:
    words = load_words().datasets
    for name, dataset in load_datasets().items():
        own = {*dataset.classes, *(cls for view in dataset.views.values() for cls in view.values())}
        assert own <= set(words[name].classes), name
        assert words[name].templates.source


def test_every_model_with_a_text_tower_has_templates() -> None:
    known = load_words().models
    towers = {name: spec.text.tokenizer.kind for name, spec in load_models().items() if spec.text is not None}
    reads = {name for name, kind in towers.items() if kind not in ("ranks", "vectors")}
    assert reads <= set(known)
    assert set(known) - {"any"} <= set(load_models())


def test_the_sets_of_a_model_on_a_dataset() -> None:
    sets, reason = prompt_sets(load_models()["biomedclip"], "brain_mr", ("glioma_tumor", "no_tumor"))
    assert reason == ""
    found = {each.name: each for each in sets}
    assert list(found) == ["bare", "single", "ensemble", "descriptors"]
    assert found["bare"].prompts == (("glioma tumor",), ("normal brain",))
    assert found["single"].prompts == (("this is a photo of glioma tumor",), ("this is a photo of normal brain",))
    assert found["ensemble"].prompts[0][:2] == ("a brain MRI showing glioma tumor", "a brain MRI showing glioma")
    assert [len(of) for of in found["ensemble"].prompts] == [6, 6]
    assert all(PromptSet.from_record(each.to_record()) == each for each in sets)


def test_a_class_without_words_goes_by_its_name_and_is_marked() -> None:
    sets, _ = prompt_sets(load_models()["clip_b16"], "unheard_of", ("some_class", "other"))
    assert sets[0].prompts == (("some class",), ("other",))
    assert sets[0].fallback == ("some_class", "other")
    assert [each.name for each in sets] == ["bare", "single", "ensemble"]


def test_learned_prompts_serve_their_own_grades_alone() -> None:
    spec = load_models()["clip_dr"]
    grades = load_datasets()["deepdrid"].classes
    (learned,), _ = prompt_sets(spec, "deepdrid", grades)
    assert learned.prompts == tuple((name,) for name in spec.text.options["ranks"])
    assert prompt_sets(spec, "breast_us", ("benign", "malignant"))[0] == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = 1", "unknown field 'x'"),
        ('[models.mine]\ntemplates = ["a photo"]', "no {} where the class stands"),
        ("[datasets.a.classes]\nb = { words = [] }", "unknown field 'words'"),
        ("[datasets.a.classes]\nb = []", "has no name"),
        ("[datasets.a.classes]\nb = [1]", "no list of texts"),
        ("not toml", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, content, said) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        load_words(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message
