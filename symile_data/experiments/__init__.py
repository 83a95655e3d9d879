"""The paper's experiments without the code that runs them: points, published numbers, tables and figures."""
