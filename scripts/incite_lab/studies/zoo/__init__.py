"""torchvision's models, decomposed and checked: docs/zoo.md."""
