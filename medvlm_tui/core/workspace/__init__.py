"""The workspace: its folders, the journal of runs, the newest results, the logs."""
