//! A list of topics of which a good token opens some. It is refused whole, and subscribes nothing (contract,
//! section 3): not the topic that the token does not open, and not those that it opens either.

use khala_evidence::record::{BadToken, Place, Record, Request, Sink, Step, TokenAnswer};
use khala_plan::schedule::Identity;
use khala_wire::message::event;
use khala_wire::payload::{Empty, Subscribe};
use khala_wire::topic::TopicId;

use super::{Asides, Who, other_scopes};
use crate::clock::micros;
use crate::said;
use crate::talk::{Answer as Said, Talk};

impl<S: Sink> Asides<S> {
    /// Subscribes to the client's topics and to one more that its token does not open, and hears for the
    /// settle bound what comes of either. Whether the target answered.
    pub(super) async fn mixed_list(&self, who: &Who, identity: &Identity) -> bool {
        let Some(topics) = mixed(&who.topics, &who.scopes) else { return true };
        let Some(token) = self.mint(who, identity, &who.scopes).await else { return false };
        let Ok(_permit) = self.permits.acquire().await else { return false };
        let (client, start, kind) = (who.client, self.now(), BadToken::WrongScope);
        let Ok(socket) = self.dial(who, &token).await else { return false };
        let mut talk = Talk::new(socket, self.around.plan.target.request_timeout);
        // Good so far: what does not get here says nothing of the list.
        let joined = (Request::TriedJoin, event::JOIN);
        if self.ask(who, &mut talk, joined, &Empty {}).await != Said::Ok {
            return false;
        }
        let subscribe = Subscribe { topics, resume_after: None, replay_batch_size: Some(1) };
        let asked = (Request::TriedSubscribe, event::SUBSCRIBE);
        let step = Step::Subscribe;
        let answer = match self.ask(who, &mut talk, asked, &subscribe).await {
            Said::Ok => TokenAnswer::Accepted,
            Said::Error(code) => {
                self.word(who, Place::Subscribe, code);
                TokenAnswer::Refused { step }
            }
            Said::Ended => TokenAnswer::Refused { step },
            Said::None => TokenAnswer::None { step },
        };
        self.record(Record::TokenTried { client, start, at: self.now(), kind, answer });
        if matches!(answer, TokenAnswer::Refused { .. }) {
            let until = self.now() + micros(self.around.plan.oracle.settle_within);
            let heard = talk.batches(self.around.clock.instant(until)).await;
            for (topic, seq) in heard {
                let (at, topic) = (self.now(), said::word(&topic));
                self.record(Record::Unasked { client, at, topic, seq: Some(seq) });
            }
        }
        !matches!(answer, TokenAnswer::None { .. })
    }
}

/// The topics with one that the scopes do not open; `None` where they open all that there are.
fn mixed(topics: &[TopicId], scopes: &[String]) -> Option<Vec<String>> {
    let forbidden = other_scopes(topics).into_iter().find(|topic| !scopes.contains(topic))?;
    let allowed = topics.iter().map(|topic| topic.name().to_owned());
    Some(allowed.chain([forbidden]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixed_list_has_what_the_token_opens_and_one_topic_more() {
        let scopes = ["runtime.codex_worker_events".to_owned()];
        let list = mixed(&[TopicId::WORKER_EVENTS], &scopes).expect("there are other topics");
        assert_eq!(list.len(), 2);
        assert_eq!(list[0], scopes[0]);
        assert!(!scopes.contains(&list[1]));
    }

    #[test]
    fn who_may_open_everything_has_no_mixed_list() {
        let scopes = other_scopes(&[]);
        assert_eq!(mixed(&[TopicId::WORKER_EVENTS], &scopes), None);
    }
}
