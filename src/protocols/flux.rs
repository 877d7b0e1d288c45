//! Flux channels: a client follows channels by name and broadcasts to them; everybody else who follows gets the message.
//!
//! ```text
//! client ─ subscribe ─► Action::Subscribe ─► … ─► answered ─► "subscribed"
//! client ─ broadcast ─► Envelope ─► the broker ─► every instance ─► FLUX_MESSAGE, once per shard ─► "message"
//! ```
//!
//! What crosses the broker is an envelope, so that senders are known on all instances. Errors are frames and end no
//! connection, except that of a client that will not slow down.

mod envelope;
mod frames;
mod members;
mod pages;
mod request;

use super::ProtocolSettings;
use super::news::News;
use crate::ear::wall_clock_ms;
use crate::engine::message::Origin;
use crate::engine::placement::Placement;
use crate::engine::protocol::{
    Action, Actions, Admission, Answer, ClientMessage, Encoding, Notice, Pace, Protocol, PublishError, Seat, SlowPolicy,
};
use crate::engine::topic::{Topic, TopicHasher};
use crate::http::{Access, Decline, Family, Refusal, Request};
use crate::wire::close::CloseCode;
use crate::wire::resp::glob;
use bytes::Bytes;
use frames::ErrorCode;
use request::{Asked, Complaint};
use std::net::SocketAddr;
use uuid::Uuid;

/// What may differ between deployments.
#[derive(Clone, Debug)]
pub struct FluxSettings {
    /// What all paths of the family begin with, for example `/flux`.
    pub base_path: String,
    /// What stands in front of a channel in the broker's channels, for example `flux:`.
    pub prefix: String,
    /// Whether clients may broadcast; else only publishers at the broker are heard.
    pub broadcast_is_open: bool,
    /// Patterns of the channels that clients may name.
    pub channels: Vec<String>,
    /// Longest event that the broker takes, in bytes.
    pub event_bytes_max: usize,
    /// What becomes of messages for clients that read too slowly.
    pub slow_policy: SlowPolicy,
}

/// What holds for all clients of a shard.
struct Rules {
    settings: FluxSettings,
    hasher: TopicHasher,
}

/// One client's side of the conversation.
struct Flux {
    client: Uuid,
    news: News,
    rules: &'static Rules,
}

/// A flux `message`, made from an envelope or from bare JSON.
static FLUX_MESSAGE: Encoding = Encoding { name: "flux_message", seal: envelope::seal };

/// The family as the table knows it.
#[expect(clippy::unnecessary_wraps, reason = "a line of the table: other families may be left out")]
pub(super) fn family(settings: &ProtocolSettings, hasher: TopicHasher) -> Option<Family> {
    let settings = settings.flux.clone();
    let base = settings.base_path.clone();
    // The rules of a shard live as long as the process, and a client holds no more than their address.
    let rules: &'static Rules = Box::leak(Box::new(Rules { settings, hasher }));
    Some(Family {
        name: "flux",
        path: format!("{base}/ws"),
        prefix: Some(rules.settings.prefix.clone()),
        access: Access::Everyone,
        pages: pages::under(&base),
        admit: Box::new(move |request| admit(request, rules)),
    })
}

fn admit(request: &Request<'_>, rules: &'static Rules) -> Result<Admission, Decline> {
    let refuse = |error: &dyn ToString| Refusal::bad_request(error.to_string(), "the only parameter is meta=1");
    let query = request.query().map_err(|error| refuse(&error))?;
    let meta = query.unique("meta").map_err(|error| refuse(&error))?;
    let protocol = Box::new(Flux { client: Uuid::new_v4(), news: News::of(meta.as_deref()), rules });
    Ok(Admission { protocol, placement: Placement::Anywhere })
}

impl Protocol for Flux {
    fn encoding(&self) -> &'static Encoding {
        &FLUX_MESSAGE
    }

    fn pace(&self) -> Pace {
        Pace::Warned
    }

    fn slow_policy(&self) -> SlowPolicy {
        self.rules.settings.slow_policy
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin(self.client.as_u128()))
    }

    fn opened(&mut self, peer: SocketAddr, _seat: &Seat<'_>, actions: &mut Actions) {
        tracing::info!(client = %self.client, remote = %peer, "connected");
        actions.push(Action::Send(frames::connected(self.client, wall_clock_ms())));
    }

    fn answered(&mut self, topic: &Topic, answer: Answer, actions: &mut Actions) {
        let channel = topic.key();
        actions.push(Action::Send(match answer {
            Answer::Subscribed => frames::acknowledgement("subscribed", &channel),
            Answer::Unsubscribed => frames::acknowledgement("unsubscribed", &channel),
            Answer::TooMany => {
                let message = "this connection follows as many channels as it may; unsubscribe from one first";
                frames::error(ErrorCode::TooManyChannels, message, Some(&channel))
            }
            Answer::NotSubscribed => {
                frames::error(ErrorCode::NotSubscribed, "this connection does not follow the channel", Some(&channel))
            }
        }));
    }

    fn unpublished(&mut self, topic: &Topic, error: PublishError, actions: &mut Actions) {
        let (code, message) = match error {
            PublishError::Unavailable => {
                (ErrorCode::Unavailable, "the broker is not connected: the message may not have been published")
            }
            PublishError::Overloaded => {
                (ErrorCode::Unavailable, "too many messages wait to be published: this one was not; send more slowly")
            }
            PublishError::Refused => (ErrorCode::Forbidden, "the broker refused the message"),
        };
        actions.push(Action::Send(frames::error(code, message, Some(&topic.key()))));
    }

    fn refused(&mut self, actions: &mut Actions) {
        let message = "too many messages per second: this one was ignored; send more slowly or be disconnected";
        actions.push(Action::Send(frames::error(ErrorCode::RateLimited, message, None)));
    }

    fn received(&mut self, message: ClientMessage<'_>, actions: &mut Actions) {
        let asked = match message {
            ClientMessage::Text(text) => request::parse(text),
            ClientMessage::Binary(_) => Err(Complaint::new(ErrorCode::InvalidJson, "send JSON in text frames")),
        };
        let action = asked.and_then(|asked| self.action(&asked));
        actions.push(action.unwrap_or_else(|complaint| Action::Send(complaint.into_frame())));
    }

    fn notice(&self, notice: &Notice) -> Option<Bytes> {
        self.news.frame(notice)
    }

    fn closed(&self, _seat: &Seat<'_>, code: CloseCode) {
        tracing::info!(client = %self.client, code = code.number(), "disconnected");
    }
}

impl Flux {
    fn action(&self, asked: &Asked<'_>) -> Result<Action, Complaint> {
        Ok(match asked {
            Asked::Ping => Action::Send(frames::pong(wall_clock_ms())),
            Asked::Subscribe { channel } => Action::Subscribe(self.topic(channel)?),
            Asked::Unsubscribe { channel } => Action::Unsubscribe(self.topic(channel)?),
            Asked::Broadcast { channel, payload } => {
                let topic = self.topic(channel)?;
                if !self.rules.settings.broadcast_is_open {
                    return Err(Complaint::about(channel, ErrorCode::Forbidden, "clients may not broadcast here"));
                }
                let payload = envelope::write(self.client, channel, payload, wall_clock_ms());
                if payload.len() > self.rules.settings.event_bytes_max {
                    let message =
                        "the payload is longer than the broker takes; the server's --max-event sets the limit";
                    return Err(Complaint::about(channel, ErrorCode::PayloadTooLarge, message));
                }
                Action::Publish { topic, payload }
            }
        })
    }

    fn topic(&self, channel: &str) -> Result<Topic, Complaint> {
        let patterns = &self.rules.settings.channels;
        if patterns.iter().any(|pattern| glob::matches(pattern.as_bytes(), channel.as_bytes())) {
            return Ok(self.rules.hasher.prefixed(&self.rules.settings.prefix, channel));
        }
        let message = "this server does not serve the channel; its --flux-channels lists those it does";
        Err(Complaint::about(channel, ErrorCode::InvalidChannel, message))
    }
}

#[cfg(test)]
mod tests;
