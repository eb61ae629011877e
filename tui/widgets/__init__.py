"""The widgets. A widget takes values and posts messages; it never accesses a disk or a model."""
