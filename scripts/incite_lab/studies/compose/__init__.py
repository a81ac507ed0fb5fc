"""What `incite compose` can do with modules of LeNet-5 models: docs/compose.md."""
