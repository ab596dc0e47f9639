"""The record of each stage's result: what is stored beside its arrays, as classes that store, report and screens share.

A field has a default only where results of an earlier release lack it. `example()` gives a small, complete record.
"""
