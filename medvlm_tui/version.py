"""The version of this release: the only place in the package that says it."""

VERSION = "0.2.0"
