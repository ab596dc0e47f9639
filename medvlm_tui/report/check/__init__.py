"""The data check in the report: a section of the page."""
