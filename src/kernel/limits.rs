//! How many descriptors may be open: those of namespaces are open together while they are changed ([`super::open_namespaces`]).

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// The limit raised as far as it goes; put back in the end, because a command may inherit it.
pub(super) struct Descriptors {
    before: Option<(rlim_t, rlim_t)>,
}

impl Descriptors {
    pub(super) fn raise_limits() -> Self {
        let before = getrlimit(Resource::RLIMIT_NOFILE).ok();
        if let Some((_, most)) = before {
            // Without it there are fewer namespaces at a time.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
        }
        Self { before }
    }

    /// How many may be open now.
    pub(super) fn most(&self) -> u64 {
        let now = getrlimit(Resource::RLIMIT_NOFILE).ok().or(self.before);
        now.map_or(0, |(soft, _)| soft)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        if let Some((soft, most)) = self.before {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, most);
        }
    }
}
