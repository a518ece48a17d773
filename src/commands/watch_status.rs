//! `nsnat status --watch`.

use super::status::Seen;
use crate::error::Result;
use crate::kernel::{Events, event_log::Reader, wait_for};
use crate::model::Name;
use crate::report;
use crate::ui::Ui;
use std::time::Duration;

/// Bytes and processes are counted anew this often: nothing announces them.
const COUNTED: Duration = Duration::from_secs(2);
/// One change is followed by others.
const SETTLED: Duration = Duration::from_millis(150);

/// Shows the namespaces again whenever that shows something else.
pub(super) fn run(ui: &Ui<'_>, name: Option<&Name>) -> Result<()> {
    // Whoever may not listen to the kernel sees changes a little later.
    let mut events = Events::listen().ok();
    let mut record = Reader::from_now()?;
    let mut shown = String::new();
    loop {
        let all = Seen::now(ui)?.statuses(ui, name, false)?;
        let text = if ui.json() { report::json(&all).to_string() } else { report::text(&all, ui.colour) };
        if text != shown {
            ui.page(text.trim_end())?;
            shown = text;
        }
        let kernel = events.iter().flat_map(Events::descriptors);
        let heard = kernel.chain([record.descriptor()]).collect::<Vec<_>>();
        if wait_for(&heard, COUNTED)? {
            std::thread::sleep(SETTLED);
        }
        events.as_mut().map(Events::take).transpose()?;
        record.take()?;
    }
}
