"""The solver of the linear SVM: exact, on the CPU or a GPU."""
