"""Text towers against the libraries' own, on small checkpoints that the libraries have saved."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch.nn import functional

from medvlm_tui.cli import main
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.text_specs import TextSpec, TokenizerSpec
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.text.loading import load_text_encoder, locate_text, text_key
from medvlm_tui.errors import MissingInputError, UsageError, WeightsError
from tests.made.models import local, pixels_of, save_clip

TEXTS = ["a photo of a glioma.", "Chest X-Ray &amp; CT", "", "naïve “ﬁbrosis”", "word " * 90]
LAYERS = {"width": 32, "heads": 2, "layers": 2}
WORDS = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "pneumonia", "chest", "##s", "a", "of", "photo", "evidence",
    "x", "-", "ray", ".", ",", "5", "mm",
)  # fmt: skip


def text_encoder(spec, path, folder=""):
    return load_text_encoder(locate_text(spec, str(path), str(folder), FileDigests()), "cpu", "fp32")


def largest(ours, theirs):
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@pytest.fixture
def saved_clip(tmp_path):
    """A folder in open_clip's layout, and the model that was saved in it."""
    return tmp_path, save_clip(tmp_path)


def test_zero_shot_of_an_open_clip_folder_is_open_clips_own(saved_clip, images):
    folder, model = saved_clip
    encoder = text_encoder(resolve_model(f"local:{folder}", {}), "")
    with torch.no_grad():
        ids = open_clip.tokenize(TEXTS)
        features = model.encode_text(ids)
        pixels = pixels_of(local(folder), images)
        theirs = (model.encode_image(pixels, normalize=True) @ model.encode_text(ids, normalize=True).T).mul(
            model.logit_scale.exp()
        )
    tokens = encoder.tokens(TEXTS)
    assert np.array_equal(tokens.ids, ids[:, : tokens.ids.shape[1]].numpy())
    assert tokens.cut.tolist() == [False, False, False, False, True]
    assert largest(encoder.encode_texts(TEXTS), features) < 1e-5
    images_in_space = functional.normalize(encoder.join(local(folder).encode(pixels), "image"), dim=-1)
    ours = encoder.scale.factor * images_in_space @ functional.normalize(encoder.encode_texts(TEXTS), dim=-1).T
    assert largest(ours.softmax(dim=-1), theirs.softmax(dim=-1)) < 1e-5


def test_a_saved_folder_through_the_front_door(saved_clip, tmp_path, images):
    folder, model = saved_clip
    paths = []
    for number, image in enumerate(images[:2]):
        paths.append(tmp_path / f"{number}.png")
        image.save(paths[-1])
    listed = tmp_path / "texts.json"
    listed.write_text(json.dumps(TEXTS))
    line = ["encode", f"local:{folder}", *map(str, paths), "--texts", str(listed), "--out", str(tmp_path / "F.npz")]
    assert main([*line, "--device", "cpu", "--workspace", str(tmp_path / "workspace")]) == 0
    with np.load(tmp_path / "F.npz") as made:
        assert made["texts"].tolist() == TEXTS
        assert made["token_ids"].dtype == np.int64
        assert made["text_features"].shape == (5, 16)
        assert float(made["logit_scale"]) == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)
        unit = [
            made[name] / np.linalg.norm(made[name], axis=1, keepdims=True) for name in ("features", "text_features")
        ]
        assert np.allclose(made["cosines"], unit[0] @ unit[1].T, atol=1e-6)
        with torch.no_grad():
            pixels = pixels_of(local(folder), images[:2])
            assert largest(torch.from_numpy(made["features"]), model.encode_image(pixels)) < 1e-5


def test_zero_shot_of_a_transformers_clip_is_that_librarys_own(tmp_path, images):
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 614, "eos_token_id": 613, "max_position_embeddings": 77},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    vocabulary = clip_vocabulary()
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary[0], merges=vocabulary[1])
    tokenizer.save_pretrained(tmp_path)
    encoder = text_encoder(resolve_model(f"local:{tmp_path}", {}), "")
    given = tokenizer(TEXTS, padding=True, truncation=True, max_length=77, return_tensors="pt")
    pixels = pixels_of(local(tmp_path), images)
    with torch.no_grad():
        theirs = model(**given, pixel_values=pixels)
    assert np.array_equal(encoder.tokens(TEXTS).ids, given["input_ids"].numpy())
    texts = functional.normalize(encoder.encode_texts(TEXTS), dim=-1)
    ours = encoder.scale.factor * functional.normalize(local(tmp_path).encode(pixels), dim=-1) @ texts.T
    assert largest(texts, theirs.text_embeds) < 1e-5
    assert largest(ours.softmax(dim=-1), theirs.logits_per_image.softmax(dim=-1)) < 1e-5


def clip_vocabulary():
    from open_clip.tokenizer import SimpleTokenizer

    known = SimpleTokenizer()
    pieces = [*list(known.encoder)[:512], *("".join(pair) for pair in list(known.bpe_ranks)[:100])]
    entries = [*pieces, "<|startoftext|>", "<|endoftext|>"]
    return {entry: number for number, entry in enumerate(entries)}, list(known.bpe_ranks)[:100]


def test_a_sigmoid_model_attends_to_its_padding(tmp_path, images):
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.SiglipConfig(
        text_config={**small, "vocab_size": 40, "max_position_embeddings": 12, "projection_size": 32},
        vision_config={**small, "image_size": 32, "patch_size": 16},
    )
    model = transformers.SiglipModel(config).eval()
    with torch.no_grad():
        model.logit_scale.fill_(1.5)
        model.logit_bias.fill_(-3.0)
    model.save_pretrained(tmp_path)
    write_unigram(tmp_path / "tokenizer.json")
    encoder = text_encoder(resolve_model(f"local:{tmp_path}", {}), "")
    texts = ["A photo", "chest: X-ray!", "no/photo <chest>", "a </s> photo", ""]
    # By hand: lower case, punctuation off, then whole words, 1 for the end and the padding. Behind a special entry
    # there is no blank, so that "photo" is spelt without one there.
    by_hand = [[8, 9], [10, 11], [12, 10], [8, 1, 13], []]
    ids = torch.tensor([[*row, *[1] * (12 - len(row))] for row in by_hand])
    assert torch.equal(torch.from_numpy(encoder.tokens(texts).ids), ids)
    pixels = pixels_of(local(tmp_path), images)
    with torch.no_grad():
        theirs = model(input_ids=ids, pixel_values=pixels)
    vectors = functional.normalize(encoder.encode_texts(texts), dim=-1)
    ours = encoder.scale.factor * functional.normalize(local(tmp_path).encode(pixels), dim=-1) @ vectors.T
    assert encoder.scale.bias == pytest.approx(-3.0)
    assert largest(vectors, theirs.text_embeds) < 1e-5
    assert largest(torch.sigmoid(ours + encoder.scale.bias), torch.sigmoid(theirs.logits_per_image)) < 1e-5


def write_unigram(path):
    words = ["▁a", "▁photo", "▁chest", "▁xray", "▁nophoto", "photo"]
    entries = ["<pad>", "</s>", "<unk>", "▁", "x", "y", "z", "q", *words]
    entries[8:] = words
    scores = dict.fromkeys(words, -1.0)
    content = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "post_processor": None,
        "decoder": None, "normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram", "unk_id": 2, "byte_fallback": False,
            "vocab": [[entry, scores.get(entry, -9.0)] for entry in entries],
        },
    }  # fmt: skip
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def bert():
    """A small BERT, its vocabulary, and the texts that its towers are tried with."""
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=64, num_hidden_layers=4, num_attention_heads=1, intermediate_size=96,
        max_position_embeddings=32,
    )  # fmt: skip
    model = transformers.BertModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return model


SENTENCES = ["No evidence of pneumonia.", "pneumonia", "chests X-ray, 5 mm of a photo", "unheard [MASK] words"]


def write_bert(folder, model, prefix, projection, extra):
    state = {f"module.{prefix}{name}": value for name, value in model.state_dict().items()}
    state |= {f"module.{projection}{name}": value for name, value in extra.items()}
    state |= {
        "module.logit_scale": torch.tensor(2.0),
        f"module.{prefix}embeddings.position_ids": torch.arange(32)[None],
        "module.visual.conv1.weight": torch.zeros(4, 3, 2, 2),
    }
    torch.save({"state_dict": state}, folder / "weights.pt")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder / "weights.pt"


def states_of(model, sentences):
    """All hidden states of each sentence alone, by transformers' own tokenizer and BERT."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = transformers.BertTokenizer(vocab=vocabulary, do_lower_case=True)
    with torch.no_grad():
        return [
            model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states for text in sentences
        ]


POOLED = {
    "cls": lambda states: states[-1][0, 0],
    "sep": lambda states: states[-1][0, -1],
    "mean": lambda states: states[-1][0].mean(dim=0),
    "layers": lambda states: (states[1][0].mean(0) + states[2][0].mean(0) + states[-1][0].mean(0)) / 3,
}


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("mask", ["ids", "lengths"])
def test_each_way_to_pool_a_bert(tmp_path, bert, catalog, pooling, mask):
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(2))
    bias = torch.linspace(-1, 1, 8)
    extra = {"weight": weight} if pooling == "layers" else {"weight": weight, "bias": bias}
    path = write_bert(tmp_path, bert, "text.bert.", "text.head.", extra)
    options = {"prefix": "text.bert.", "projection": "text.head.", "pooling": pooling, "mask": mask}
    text = TextSpec(
        "text_bert", 8, 32, TokenizerSpec("wordpiece"), {"image": ""}, options={**options, "bias": "bias" in extra}
    )
    encoder = text_encoder(replace(catalog["biomedclip"], text=text, tensors=0), path)
    pooled = torch.stack([POOLED[pooling](states) for states in states_of(bert, SENTENCES)])
    expected = pooled @ weight.T + (0 if pooling == "layers" else bias)
    if pooling == "layers":
        expected = functional.normalize(expected, dim=-1)
    assert largest(encoder.encode_texts(SENTENCES), expected) < 1e-5
    assert encoder.scale.factor == pytest.approx(np.exp(2.0))
    together = encoder.encode(encoder.tokens(SENTENCES))
    # Padding enters FLAIR's mean, and no other vector.
    assert (largest(together, expected) < 1e-5) == (pooling != "layers")


def test_the_two_layers_of_a_projection(tmp_path, bert, catalog):
    draw = torch.Generator().manual_seed(3)
    extra = {"0.weight": torch.randn(36, 64, generator=draw), "2.weight": torch.randn(8, 36, generator=draw)}
    path = write_bert(tmp_path, bert, "text.transformer.", "text.proj.", extra)
    spec = catalog["biomedclip"]
    spec = replace(spec, text=replace(spec.text, dim=8, context=32), tensors=0)
    states = torch.stack([found[-1][0, 0] for found in states_of(bert, SENTENCES)])
    expected = functional.gelu(states @ extra["0.weight"].T) @ extra["2.weight"].T
    assert largest(text_encoder(spec, path).encode_texts(SENTENCES), expected) < 1e-4


def test_what_is_missing_is_named(tmp_path, bert, catalog):
    path = write_bert(tmp_path, bert, "text.transformer.", "text.proj.", {})
    spec = catalog["biomedclip"]
    spec = replace(spec, text=replace(spec.text, dim=8, context=32), tensors=0)
    with pytest.raises(WeightsError, match="missing"):
        text_encoder(spec, path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS[:-1]) + "\n")
    with pytest.raises(WeightsError, match="missing"):
        text_encoder(spec, path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(MissingInputError) as caught:
        text_encoder(spec, path)
    assert "hf download microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract vocab.txt" in caught.value.hint
    with pytest.raises(UsageError, match="has no text tower that shares a space with its images"):
        locate_text(catalog["dinov2_s"], "", "", None)
    with pytest.raises(UsageError, match="Mistral 7B"):
        locate_text(catalog["llava_med"], "", "", None)


def test_another_vocabulary_than_the_networks_is_refused(tmp_path, bert, catalog):
    extra = {"weight": torch.randn(8, 64), "bias": torch.zeros(8)}
    path = write_bert(tmp_path, bert, "text_encoder.text_encoder.", "text_projection.projection.", extra)
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, "more"]) + "\n")
    spec = replace(catalog["cxr_clip"], text=replace(catalog["cxr_clip"].text, dim=8))
    with pytest.raises(WeightsError, match="entries"):
        text_encoder(spec, path)


def test_the_key_follows_weights_and_tokenizer(tmp_path, bert, catalog):
    extra = {"weight": torch.randn(8, 64), "bias": torch.zeros(8)}
    path = write_bert(tmp_path, bert, "text_encoder.text_encoder.", "text_projection.projection.", extra)
    spec = replace(catalog["cxr_clip"], text=replace(catalog["cxr_clip"].text, dim=8))
    first = text_key(locate_text(spec, str(path), "", FileDigests()), "fp32")
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS[:-1], "cm"]) + "\n")
    second = text_key(locate_text(spec, str(path), "", FileDigests()), "fp32")
    assert first.weights_digest == second.weights_digest
    assert first.preprocess_digest != second.preprocess_digest
    write_bert(
        tmp_path, bert, "text_encoder.text_encoder.", "text_projection.projection.", {**extra, "bias": torch.ones(8)}
    )
    third = text_key(locate_text(spec, str(path), "", FileDigests()), "fp32")
    assert third.weights_digest != second.weights_digest


def test_the_adapter_on_vectors_of_a_language_model(tmp_path, catalog):
    draw = torch.Generator().manual_seed(4)
    width, hidden, dim = 12, 20, 6
    state = {}
    for block in range(4):
        top = f"text.text_adaptor.{block}."
        state |= {
            f"{top}ln.weight": torch.rand(width, generator=draw),
            f"{top}ln.bias": torch.rand(width, generator=draw),
        }
        state |= {
            f"{top}fn.0.weight": torch.randn(hidden, width, generator=draw),
            f"{top}fn.0.bias": torch.zeros(hidden),
        }
        state |= {
            f"{top}fn.3.weight": torch.randn(width, hidden, generator=draw),
            f"{top}fn.3.bias": torch.zeros(width),
        }
    state |= {"text.text_adaptor.4.weight": torch.ones(width), "text.text_adaptor.4.bias": torch.zeros(width)}
    state |= {"text.text_adaptor.5.weight": torch.randn(dim, width, generator=draw)}
    state |= {"text.text_adaptor.5.bias": torch.ones(dim), "logit_scale": torch.tensor(3.0)}
    save_file(state, tmp_path / "model.safetensors")
    spec = catalog["llm2clip_l14_336"]
    spec = replace(spec, text=replace(spec.text, dim=dim), tensors=0)
    encoder = text_encoder(spec, tmp_path)
    vectors = torch.randn(3, width, generator=draw) * 5
    value = vectors / vectors.norm(dim=1, keepdim=True)
    for block in range(4):
        get = {name.removeprefix(f"text.text_adaptor.{block}."): tensor for name, tensor in state.items()}
        inner = functional.layer_norm(value, (width,), get["ln.weight"], get["ln.bias"])
        value = value + functional.gelu(inner @ get["fn.0.weight"].T) @ get["fn.3.weight"].T
    expected = functional.layer_norm(value, (width,)) @ state["text.text_adaptor.5.weight"].T + 1
    assert largest(encoder.encode_vectors(vectors), expected) < 1e-4
    assert encoder.scale.factor == pytest.approx(np.exp(3.0))
    with pytest.raises(UsageError, match="Llama 3 8B"):
        encoder.tokens(["a photo"])
    with pytest.raises(UsageError, match="12 numbers"):
        encoder.encode_vectors(torch.zeros(1, 4))
