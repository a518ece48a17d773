//! How many descriptors may be open: a namespace takes up to six while it is changed, and those of a run are open together.

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// The limit raised as far as it goes; put back in the end, because a command may inherit it.
pub(super) struct Descriptors {
    before: Option<(rlim_t, rlim_t)>,
}

impl Descriptors {
    pub(super) fn raise_limits() -> Self {
        let before = getrlimit(Resource::RLIMIT_NOFILE).ok();
        if let Some((_, most)) = before {
            // Without it there are fewer namespaces at a time; the error would say so.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
        }
        Self { before }
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        if let Some((soft, most)) = self.before {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, most);
        }
    }
}
