//! Bulk jobs: what `exec --report` says, and the recipes of docs/recipes.md, each with the real program.

mod recipes;
mod report;
