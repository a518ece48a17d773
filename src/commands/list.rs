//! `nsnat list`.

use super::config;
use crate::error::Result;
use crate::ui::Ui;
use serde_json::json;

pub(super) fn run(ui: &Ui<'_>) -> Result<()> {
    let config = config::open(ui)?;
    if ui.json() {
        let names: Vec<_> = config.namespaces.keys().collect();
        return ui.print_json(&json!({ "version": 1, "namespaces": names }));
    }
    for name in config.namespaces.keys() {
        ui.print(name)?;
    }
    Ok(())
}
