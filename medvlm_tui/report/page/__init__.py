"""report.html: everything that a run leaves behind on one page, in one file."""
