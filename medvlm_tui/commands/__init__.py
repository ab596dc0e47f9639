"""The commands that answer a question and leave: one module each, imported when the command is given.

Each has `add_arguments(parser)` and `run(options, request, configuration) -> exit code`.
"""
