//! Sends the shares of a plan to agents, lets all begin together, gathers what they found out.

use super::merge::{merge, samples};
use super::message::{Message, program};
use super::share;
use crate::tester::crew::Crew;
use crate::tester::outcome::{Outcome, Sample};
use crate::tester::plan::Plan;
use crate::tester::run::{Refusal, Surroundings};
use crate::tester::scenario;
use crate::tester::target::resolve;
use crate::tester::verdict;
use crate::tester::watch::{Reading, Readings};
use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long an agent may take to answer at all.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// How long agents that were interrupted may take to say what they have, beside the plan's patience.
const ENDING_PATIENCE: Duration = Duration::from_secs(20);

/// Time between two looks at whether somebody wants the end.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Between an agent's last client and its first event; what the server needs to become quiet.
const SETTLING: Duration = Duration::from_millis(300);

/// Numbers of runs of one test: an agent's number is the last two digits of its topics' first number.
const RUNS_OF_A_TEST: u16 = 0x100;

/// What an agent said, or why it says nothing more.
type Heard = (usize, Result<Message, String>);

/// Several tester processes.
pub struct Agents<'a> {
    surroundings: Surroundings<'a>,
    /// Each with its address.
    members: Vec<(String, TcpStream)>,
    heard: Receiver<Heard>,
}

/// How far the agents are with one run.
#[derive(Default)]
struct Stand {
    connected: Vec<u64>,
    is_seated: Vec<bool>,
    seconds: Vec<Vec<Sample>>,
    shown: usize,
    /// What each found out, or why it did not.
    ended: Vec<Option<Result<Outcome, String>>>,
    /// Whoever failed before the others.
    failed_first: Option<usize>,
    interrupted_at: Option<Instant>,
    /// The server, where it runs beside the conductor.
    server: Readings,
    /// When all began.
    gone_at: Option<Instant>,
}

impl<'a> Agents<'a> {
    /// Connects to them: `host:port` each.
    ///
    /// # Errors
    /// One sentence, for the first that does not answer or is another version of this program.
    pub fn connect(addresses: &[String], surroundings: Surroundings<'a>) -> Result<Self, String> {
        if addresses.len() > usize::from(RUNS_OF_A_TEST) {
            return Err(format!("--agents: {} are more than {RUNS_OF_A_TEST}", addresses.len()));
        }
        let (sender, heard) = mpsc::channel();
        let connect = |(number, address): (usize, &String)| {
            let stream = greet(address).map_err(|reason| format!("agent {address}: {reason}"))?;
            let reading = stream.try_clone().map_err(|error| error.to_string())?;
            let sender = sender.clone();
            thread::spawn(move || forward(number, reading, &sender));
            Ok((address.clone(), stream))
        };
        let members = addresses.iter().enumerate().map(connect).collect::<Result<_, String>>()?;
        Ok(Self { surroundings, members, heard })
    }

    fn send(&self, message: &Message) {
        // Who is gone is noticed by its silence.
        self.members.iter().for_each(|(_, stream)| drop(message.send(stream)));
    }

    fn begin(&self, plan: &Plan) -> Result<(), Refusal> {
        let count = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        share::check(plan, count)?;
        if !scenario::find(&plan.scenario).is_some_and(|scenario| scenario.is_divisible) {
            return Err(format!("{} has no --agents: its acts would not begin together", plan.scenario).into());
        }
        let run = fastrand::u16(..) / RUNS_OF_A_TEST * RUNS_OF_A_TEST;
        for (number, (address, stream)) in (0..count).zip(&self.members) {
            let message = Message::Run(Box::new(share::share(plan, number, count, run)));
            message.send(stream).map_err(|error| Refusal(format!("agent {address}: {error}")))?;
        }
        Ok(())
    }

    /// Waits until all are done or gone.
    fn attend(&self, plan: &Plan, stand: &mut Stand) {
        while stand.ended.iter().any(Option::is_none) {
            match self.heard.recv_timeout(LOOK_AGAIN) {
                Ok((agent, Ok(message))) => self.take(plan, stand, agent, message),
                Ok((agent, Err(reason))) => stand.end(agent, Err(reason)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            let has_failed = stand.ended.iter().any(|ended| matches!(ended, Some(Err(_))));
            if (has_failed || self.is_interrupted()) && stand.interrupted_at.is_none() {
                stand.interrupted_at = Some(Instant::now());
                self.send(&Message::Interrupt);
            }
            if stand.gone_at.is_none() && stand.is_seated.iter().all(|is_seated| *is_seated) {
                self.go(plan, stand);
            }
            stand.watch(plan);
            let patience = ENDING_PATIENCE + Duration::from_secs_f64(plan.patience);
            if stand.interrupted_at.is_some_and(|at| at.elapsed() > patience) {
                let silent = stand.ended.iter_mut().filter(|ended| ended.is_none());
                silent.for_each(|ended| *ended = Some(Err("did not end in time".to_owned())));
            }
        }
    }

    /// All clients are in: lets the agents publish.
    fn go(&self, plan: &Plan, stand: &mut Stand) {
        if let Some(pid) = plan.server_pid {
            stand.server.connected = Reading::quick(pid).ok();
            thread::sleep(SETTLING);
            stand.server.with_clients = Reading::whole(pid).ok();
        }
        stand.gone_at = Some(Instant::now());
        self.send(&Message::Go);
        self.surroundings.progress.begin("all agents have their clients: publishing begins");
    }

    fn take(&self, plan: &Plan, stand: &mut Stand, agent: usize, message: Message) {
        match message {
            Message::Connected(count) => {
                stand.connected[agent] = count;
                self.surroundings.progress.connected(stand.connected.iter().sum(), plan.clients.into());
            }
            Message::Seated => stand.is_seated[agent] = true,
            Message::Second(sample) => {
                stand.seconds[agent].push(*sample);
                if let Some(sample) = stand.next_second() {
                    self.surroundings.progress.second(&sample, plan.seconds_in_all());
                }
            }
            Message::Done(share) => stand.end(agent, share.outcome().map_err(|error| error.to_string())),
            Message::Refusal(reason) => stand.end(agent, Err(reason)),
            Message::Hello(_) | Message::Run(_) | Message::Go | Message::Interrupt => {
                stand.end(agent, Err("spoke out of turn".to_owned()));
            }
        }
    }

    /// The whole, judged.
    fn gather(&self, plan: &Plan, stand: Stand) -> Result<Outcome, Refusal> {
        let addresses: Vec<&str> = self.members.iter().map(|(address, _)| address.as_str()).collect();
        let server = stand.server;
        let (parts, failures) = stand.parts_and_failures(&addresses);
        // Whoever was interrupted because another could not begin has nothing to tell.
        let (published, connected) =
            parts.iter().fold((0, 0), |sums, (_, part)| (sums.0 + part.published, sums.1 + part.connected));
        if let Some(reason) = failures.first().filter(|_| published == 0 && (connected == 0 || !plan.is_silent())) {
            return Err(Refusal(reason.clone()));
        }
        let outcomes: Vec<Outcome> = parts.iter().map(|(_, outcome)| outcome.clone()).collect();
        let mut outcome = merge(plan, &outcomes);
        let ended = server.ended.map(|(reading, _)| (reading, outcome.delivered));
        outcome.server = Readings { ended, ..server }.cost(outcome.connected);
        outcome.notes.push(format!(
            "{} agents ran this together, each with topics of its own that it published to and heard itself: \
             no latency compares two clocks; one username is one for each agent",
            self.members.len()
        ));
        outcome.notes.extend(outcomes.iter().filter_map(|part| part.notes.first()).take(1).cloned());
        verdict::judge_together(plan, &mut outcome, &parts, &failures);
        Ok(outcome)
    }
}

impl Crew for Agents<'_> {
    fn run(&self, plan: &Plan) -> Result<Outcome, Refusal> {
        let before = plan.server_pid.and_then(|pid| Reading::whole(pid).ok());
        self.begin(plan)?;
        self.surroundings.progress.begin(&format!(
            "connecting {} clients from {} agents",
            plan.clients,
            self.members.len()
        ));
        let mut stand = Stand::of(self.members.len());
        stand.server.before = before;
        self.attend(plan, &mut stand);
        self.surroundings.progress.end();
        self.gather(plan, stand)
    }

    fn is_interrupted(&self) -> bool {
        self.surroundings.interrupted.load(SeqCst)
    }

    fn announce(&self, part: &str) {
        self.surroundings.progress.begin(part);
    }
}

impl Stand {
    fn of(agents: usize) -> Self {
        Self {
            connected: vec![0; agents],
            is_seated: vec![false; agents],
            seconds: vec![Vec::new(); agents],
            ended: (0..agents).map(|_| None).collect(),
            ..Self::default()
        }
    }

    /// Reads the server when the measurement begins and as long as it goes on.
    fn watch(&mut self, plan: &Plan) {
        let Some((pid, gone_at)) = plan.server_pid.zip(self.gone_at) else { return };
        let begins = SETTLING + Duration::from_secs_f64(plan.warmup);
        if self.server.began.is_none() && gone_at.elapsed() >= begins {
            self.server.began = Reading::quick(pid).ok();
        }
        let is_over = self.ended.iter().all(Option::is_some);
        if let Some(reading) = Reading::quick(pid).ok().filter(|_| is_over) {
            self.server.ended = Some((reading, 0));
        }
    }

    /// What each agent brought, and what went wrong: first what went wrong first, for whose sake the others were
    /// interrupted.
    fn parts_and_failures(self, addresses: &[&str]) -> (Vec<(String, Outcome)>, Vec<String>) {
        let (mut parts, mut failures) = (Vec::new(), Vec::new());
        for (agent, (address, ended)) in addresses.iter().zip(self.ended).enumerate() {
            match ended {
                Some(Ok(outcome)) => parts.push(((*address).to_owned(), outcome)),
                Some(Err(reason)) => failures.push((agent, format!("agent {address}: {reason}"))),
                None => {}
            }
        }
        failures.sort_by_key(|(agent, _)| Some(*agent) != self.failed_first);
        (parts, failures.into_iter().map(|(_, failure)| failure).collect())
    }

    fn end(&mut self, agent: usize, ended: Result<Outcome, String>) {
        if ended.is_err() && self.ended[agent].is_none() {
            self.failed_first.get_or_insert(agent);
        }
        self.ended[agent].get_or_insert(ended);
        // Nobody waits for it any more.
        self.is_seated[agent] = true;
    }

    /// The next second that all agents have told of.
    fn next_second(&mut self) -> Option<Sample> {
        let seconds: Option<Vec<&[Sample]>> =
            self.seconds.iter().map(|seconds| seconds.get(self.shown..=self.shown)).collect();
        let together = samples(&seconds?).pop();
        self.shown += 1;
        together
    }
}

/// Connects and hears which program is there.
fn greet(address: &str) -> Result<TcpStream, String> {
    let resolved = resolve(address, 0)?;
    let stream = TcpStream::connect_timeout(&resolved, ANSWER_PATIENCE).map_err(|error| error.to_string())?;
    let prepare = || -> io::Result<Option<Message>> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        let greeting = Message::receive(&mut BufReader::with_capacity(1, &stream))?;
        stream.set_read_timeout(None)?;
        Ok(greeting)
    };
    match prepare() {
        Ok(Some(Message::Hello(name))) if name == program() => Ok(stream),
        Ok(Some(Message::Hello(name))) => Err(format!("it is {name}, this is {}", program())),
        Ok(_) => Err("it did not say what it is".to_owned()),
        Err(error) => Err(format!("it did not say what it is (it may serve another conductor): {error}")),
    }
}

/// Hands on what one agent says, until it leaves.
fn forward(number: usize, stream: TcpStream, sender: &Sender<Heard>) {
    let mut reader = BufReader::new(stream);
    loop {
        let heard = match Message::receive(&mut reader) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err("went away".to_owned()),
            Err(error) => Err(format!("went away: {error}")),
        };
        let is_end = heard.is_err();
        if sender.send((number, heard)).is_err() || is_end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_first_is_told_before_what_came_of_it() {
        let mut stand = Stand::of(3);
        stand.end(2, Err("no connection".to_owned()));
        stand.end(0, Err("interrupted".to_owned()));
        stand.end(1, Ok(Outcome::default()));
        let (parts, failures) = stand.parts_and_failures(&["a:1", "b:1", "c:1"]);
        assert_eq!((parts.len(), parts[0].0.as_str()), (1, "b:1"));
        assert_eq!(failures, ["agent c:1: no connection", "agent a:1: interrupted"]);
    }
}
