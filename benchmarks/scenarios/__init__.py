"""What is measured, one module each: ``run(bench)`` returns a Report."""
