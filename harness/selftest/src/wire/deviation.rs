//! What a deviation may do: it is asked at each place where something passes the proxy, and answers with
//! what is sent instead. Where it has no opinion, things pass as they came.

use std::time::Duration;

use super::frame::Frame;
use super::http::{Answer, Head, Purpose, Request};
use super::message::Message;

/// Something to do towards the harness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send bytes.
    Send(Vec<u8>),
    /// Wait.
    Wait(Duration),
    /// End the connection in good order, after what was sent.
    Finish,
    /// Break it off: what the other side gets is a reset.
    Reset,
}

impl From<Frame> for Step {
    fn from(frame: Frame) -> Self {
        Self::Send(frame.bytes())
    }
}

impl From<&Message> for Step {
    fn from(message: &Message) -> Self {
        Frame::text(message.text()).into()
    }
}

/// Bytes so many at a time, this far apart.
pub fn drip(bytes: &[u8], at_once: usize, apart: Duration) -> Vec<Step> {
    bytes.chunks(at_once).flat_map(|part| [Step::Send(part.to_vec()), Step::Wait(apart)]).collect()
}

/// What a deviation knows of a socket, and may keep of it.
#[derive(Debug, Default)]
pub struct Socket {
    /// How many sockets of the run's clients came before it.
    pub number: u32,
    /// Frames that have come from the target, the one in hand included.
    pub frames: u32,
    /// Whether the client has sent its close frame.
    pub closing: bool,
    /// For the deviation's own use: how far it is.
    pub stage: u32,
    /// For the deviation's own use: a message kept back.
    pub held: Option<Message>,
    /// For the deviation's own use: both pushes of a batch kept back.
    pub pair: Option<(Message, Message)>,
    /// For the deviation's own use: messages kept, some in hand at most.
    pub kept: Vec<Message>,
}

/// In place of an upgrade's request: an answer. `None` passes it.
pub type OnUpgrade = fn(&Socket) -> Option<Vec<Step>>;
/// In place of the target's 101.
pub type OnAccepted = fn(Head) -> Vec<Step>;
/// In place of a frame from the target. `None` passes it.
pub type OnFrame = fn(&mut Socket, &Frame) -> Option<Vec<Step>>;
/// In place of a message from the target, for deviations that do not look below it.
pub type OnMessage = fn(&mut Socket, Message) -> Option<Vec<Step>>;
/// In place of a message from the client. `None` passes it.
pub type OnClient = fn(&mut Socket, Message) -> Option<Vec<Message>>;
/// In place of a request: an answer. `None` passes it.
pub type OnRequest = fn(&Request) -> Option<Vec<Step>>;
/// In place of the target's answer to a request. `None` passes it.
pub type OnAnswer = fn(&Request, Answer) -> Option<Vec<Step>>;

/// One way to deviate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deviation {
    pub on_upgrade: Option<OnUpgrade>,
    pub on_accepted: Option<OnAccepted>,
    pub on_frame: Option<OnFrame>,
    pub on_message: Option<OnMessage>,
    pub on_client: Option<OnClient>,
    pub on_request: Option<OnRequest>,
    pub on_answer: Option<OnAnswer>,
    /// Sockets are cut when nothing passes for so long.
    pub idle: Option<Duration>,
    /// Every other socket goes to a second runtime that knows nothing of the first.
    pub split: bool,
    /// Whether it meets the harness's own first look at the target, too.
    pub from_the_start: bool,
    /// Connections of requests stay for the next request, until they are idle for so long.
    pub keep_alive: Option<Duration>,
    /// Requests of this purpose are sent to the target twice, every fourth of them.
    pub repeated: Option<Purpose>,
    /// The first answer to a request of this purpose is the answer to all of them.
    pub cached: Option<Purpose>,
    /// The requests for which it is the same answer; all of them without.
    pub cached_by: Option<fn(&Head) -> String>,
}

impl Deviation {
    const NONE: Self = Self {
        on_upgrade: None,
        on_accepted: None,
        on_frame: None,
        on_message: None,
        on_client: None,
        on_request: None,
        on_answer: None,
        idle: None,
        split: false,
        from_the_start: false,
        keep_alive: None,
        repeated: None,
        cached: None,
        cached_by: None,
    };

    /// Everything passes.
    pub const fn none() -> Self {
        Self::NONE
    }

    /// Upgrades are answered in the target's place.
    pub const fn upgrade(act: OnUpgrade) -> Self {
        Self { on_upgrade: Some(act), ..Self::NONE }
    }

    /// The target's 101 is changed.
    pub const fn accepted(act: OnAccepted) -> Self {
        Self { on_accepted: Some(act), ..Self::NONE }
    }

    /// Frames of the target are changed.
    pub const fn frame(act: OnFrame) -> Self {
        Self { on_frame: Some(act), ..Self::NONE }
    }

    /// Messages of the target are changed.
    pub const fn message(act: OnMessage) -> Self {
        Self { on_message: Some(act), ..Self::NONE }
    }

    /// Messages of the client are changed.
    pub const fn client(act: OnClient) -> Self {
        Self { on_client: Some(act), ..Self::NONE }
    }

    /// Requests share connections, which end when they are idle for so long.
    pub const fn keep_alive(idle: Duration) -> Self {
        Self { keep_alive: Some(idle), ..Self::NONE }
    }

    /// Every fourth request of a purpose is sent twice.
    pub const fn repeated(purpose: Purpose) -> Self {
        Self { repeated: Some(purpose), ..Self::NONE }
    }

    /// Requests of a purpose are answered with the first one's answer.
    pub const fn cached(purpose: Purpose) -> Self {
        Self { cached: Some(purpose), ..Self::NONE }
    }

    /// The same of requests that have something in common.
    pub const fn cached_by(purpose: Purpose, by: fn(&Head) -> String) -> Self {
        Self { cached_by: Some(by), ..Self::cached(purpose) }
    }

    /// Requests are answered in the target's place.
    pub const fn request(act: OnRequest) -> Self {
        Self { on_request: Some(act), ..Self::NONE }
    }

    /// The target's answers are changed.
    pub const fn answer(act: OnAnswer) -> Self {
        Self { on_answer: Some(act), ..Self::NONE }
    }

    /// Silent sockets are cut.
    pub const fn idle(after: Duration) -> Self {
        Self { idle: Some(after), ..Self::NONE }
    }

    /// Sockets are shared out between two runtimes.
    pub const fn split() -> Self {
        Self { split: true, ..Self::NONE }
    }

    /// The same from the harness's first connection on.
    pub const fn also_preflight(self) -> Self {
        Self { from_the_start: true, ..self }
    }

    /// What is sent in place of a frame from the target.
    pub fn down(&self, socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
        if let Some(act) = self.on_frame {
            return act(socket, frame);
        }
        self.on_message.and_then(|act| act(socket, Message::parse(&frame.payload)?))
    }

    /// What is sent to the target in place of a frame from the client; `None` passes it.
    pub fn up(&self, socket: &mut Socket, frame: &Frame) -> Option<Vec<Message>> {
        self.on_client.and_then(|act| act(socket, Message::parse(&frame.payload)?))
    }
}
