"""Encoders of one published model each, with the network's code where no library has it."""
