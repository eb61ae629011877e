"""What is drawn. A widget takes values and posts messages; it never touches a disk or a model."""
