"""UMAP: grids of maps, their scores, clusters and examples."""
