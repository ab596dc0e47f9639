"""The probe: linear SVM, kNN and few-shot classifiers on stored features."""
