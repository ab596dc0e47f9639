"""The scores screen: the table, a cell, ranks, export."""
