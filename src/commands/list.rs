//! `nsnat list`.

use super::{Context, config};
use crate::error::Result;
use serde_json::json;

pub(super) fn run(context: &Context<'_>) -> Result<()> {
    let config = config::open(context)?;
    if context.json() {
        let names: Vec<_> = config.namespaces.keys().collect();
        return super::print_json(&json!({ "version": 1, "namespaces": names }));
    }
    for name in config.namespaces.keys() {
        super::print(name)?;
    }
    Ok(())
}
