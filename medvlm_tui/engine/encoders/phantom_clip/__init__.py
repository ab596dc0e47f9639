"""The SYNTHETIC vision-language model of the built-in phantom: its captions, its training, its weights.

`python -m medvlm_tui.engine.encoders.phantom_clip.train FOLDER` writes `model.safetensors`, `vocab.txt` and
`training.log`; those of the release lie here. The model has seen drawings only and says nothing about images of
patients.
"""
