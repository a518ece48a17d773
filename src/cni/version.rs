//! Versions of the specification.

/// A version that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.3.0, the first one with lists of plugins. Plugins of clusters still write it into their lists.
    V0_3_0,
    /// 0.3.1, which corrects the text of that.
    V0_3_1,
    /// 0.4.0, the first one with CHECK.
    V0_4,
    /// 1.0.0, whose addresses name no family.
    V1_0,
    /// 1.1.0, with GC and STATUS.
    V1_1,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::V0_3_0, Self::V0_3_1, Self::V0_4, Self::V1_0, Self::V1_1];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4 => "0.4.0",
            Self::V1_0 => "1.0.0",
            Self::V1_1 => "1.1.0",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.text() == text)
    }
}
