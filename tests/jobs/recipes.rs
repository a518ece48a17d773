//! docs/recipes.md, run.
