"""The paper's experiments, apart from running them: their points, the published numbers, tables and figures."""
