//! A text with a place for the topic's name: `workflow:events:{user}`.

use serde::{Deserialize, Serialize};

/// What stands for the topic: people think of usernames with one protocol and of channels with another.
const PLACEHOLDERS: [&str; 2] = ["{user}", "{channel}"];

/// Letters of `{user}` and `{channel}` are replaced, everything else stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub String);

impl Template {
    /// Whether it names the topic at all.
    pub fn has_place(&self) -> bool {
        PLACEHOLDERS.iter().any(|placeholder| self.0.contains(placeholder))
    }

    /// The text for one topic.
    pub fn fill(&self, topic: &str) -> String {
        PLACEHOLDERS.iter().fold(self.0.clone(), |text, placeholder| text.replace(placeholder, topic))
    }
}

/// The topic's name: hexadecimal run and number, so that two runs never share one and every protocol takes it.
pub fn topic_name(run: u16, topic: u32) -> String {
    format!("load-{run:04x}-{topic}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_placeholders_stand_for_the_topic() {
        let template = Template("/{channel}/x?u={user}".to_owned());
        assert_eq!((template.has_place(), template.fill("a").as_str()), (true, "/a/x?u=a"));
        assert!(!Template("/ws?username=alice".to_owned()).has_place());
        assert_eq!(topic_name(0xa1, 12), "load-00a1-12");
    }
}
