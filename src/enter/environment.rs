//! The variables that a command gets.

use super::session;
use super::user::Account;
use crate::model::Name;

/// Says which namespace it is in, and whose it is where that changes.
pub(super) fn set(name: &Name, account: Option<&Account>) {
    let set = |key: &str, value: &std::ffi::OsStr| {
        // SAFETY: this process has a single thread; exec happens before any runtime is made.
        unsafe { std::env::set_var(key, value) };
    };
    set("NSNAT_NAMESPACE", name.as_str().as_ref());
    if let Some(account) = account {
        set("HOME", account.home.as_os_str());
        set("SHELL", account.shell.as_os_str());
        set("USER", account.name.as_ref());
        set("LOGNAME", account.name.as_ref());
        for (key, value) in session::variables(account.ids.user.as_raw(), &account.name) {
            match value {
                Some(value) => set(key, &value),
                // SAFETY: as above.
                None => unsafe { std::env::remove_var(key) },
            }
        }
    }
}
