//! What becomes of events for clients that read too slowly.

use std::fmt;

/// The rungs of the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowPolicy {
    /// A client whose queue is full is closed with 4001.
    #[default]
    Close,
    /// The oldest events give way.
    DropOldest,
    /// Of each topic only the newest event waits.
    Latest,
}

/// The policy of each protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlowPolicies {
    /// For those who listen as a username.
    pub workflow: SlowPolicy,
    /// For those who follow channels.
    pub flux: SlowPolicy,
}

impl SlowPolicy {
    const ALL: [Self; 3] = [Self::Close, Self::DropOldest, Self::Latest];

    /// As one types it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::DropOldest => "drop-oldest",
            Self::Latest => "latest",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.word() == text)
    }
}

impl SlowPolicies {
    /// One word for all protocols, or a comma list of `protocol=word`, each once.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(policy) = SlowPolicy::parse(text) {
            return Some(Self { workflow: policy, flux: policy });
        }
        let (mut workflow, mut flux) = (None, None);
        for entry in text.split(',') {
            let (protocol, word) = entry.trim().split_once('=')?;
            let place = match protocol {
                "workflow" => &mut workflow,
                "flux" => &mut flux,
                _ => return None,
            };
            if place.replace(SlowPolicy::parse(word)?).is_some() {
                return None;
            }
        }
        Some(Self { workflow: workflow.unwrap_or_default(), flux: flux.unwrap_or_default() })
    }
}

impl fmt::Display for SlowPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.workflow == self.flux {
            return f.write_str(self.workflow.word());
        }
        write!(f, "workflow={},flux={}", self.workflow.word(), self.flux.word())
    }
}

#[cfg(test)]
mod tests {
    use super::{SlowPolicies, SlowPolicy};

    #[test]
    fn a_policy_is_for_all_protocols_or_for_each() {
        let policies = |workflow, flux| Some(SlowPolicies { workflow, flux });
        let table = [
            ("close", policies(SlowPolicy::Close, SlowPolicy::Close)),
            ("latest", policies(SlowPolicy::Latest, SlowPolicy::Latest)),
            ("flux=latest", policies(SlowPolicy::Close, SlowPolicy::Latest)),
            ("workflow=drop-oldest, flux=latest", policies(SlowPolicy::DropOldest, SlowPolicy::Latest)),
            ("flux=latest,flux=close", None),
            ("echo=close", None),
            ("drop", None),
            ("flux=", None),
            ("", None),
        ];
        for (text, expected) in table {
            let parsed = SlowPolicies::parse(text);
            assert_eq!(parsed, expected, "{text}");
            assert!(parsed.is_none_or(|policies| SlowPolicies::parse(&policies.to_string()) == parsed), "{text}");
        }
    }
}
