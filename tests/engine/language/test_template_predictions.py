"""All templates in one matrix product choose the classes that each template alone chooses."""

import numpy as np
import pytest

from medvlm_tui.engine.language.scores import template_predictions


@pytest.mark.parametrize("per_class", [(1, 1, 1), (2, 3, 1)])
def test_each_row_is_the_choice_of_one_template(per_class):
    rng = np.random.default_rng(5)
    templates, images = 4, rng.normal(size=(20, 8))
    prompts = [rng.normal(size=(templates * count, 8)) for count in per_class]
    found = template_predictions(prompts, templates, images)
    for template in range(templates):
        means = []
        for of, count in zip(prompts, per_class, strict=True):
            own = of[template * count : (template + 1) * count]
            mean = (own / np.linalg.norm(own, axis=1, keepdims=True)).mean(axis=0)
            means.append(mean / np.linalg.norm(mean))
        assert found[template].tolist() == (images @ np.stack(means).T).argmax(axis=1).tolist()
