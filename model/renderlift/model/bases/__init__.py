"""The pretrained bases: what each one is (`facts`), how it is opened (`opening`), and how each paints a clip."""
