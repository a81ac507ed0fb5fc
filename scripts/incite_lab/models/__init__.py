"""The sample models of models/ and the paper's networks: architectures, data and training."""
