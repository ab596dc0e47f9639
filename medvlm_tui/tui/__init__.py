"""The screens. The only part that imports textual."""
