//! A process that does its share of whatever a conductor sends.

use super::message::{Message, Share, program};
use crate::tester::alone;
use crate::tester::outcome::Sample;
use crate::tester::plan::Plan;
use crate::tester::progress::Progress;
use crate::tester::run::Surroundings;
use clap::Args;
use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How often a conductor hears at most how many clients are connected.
const TELL_AGAIN: Duration = Duration::from_millis(100);

/// Waits for conductors.
#[derive(Debug, Args)]
pub struct AgentArguments {
    /// Where conductors find this agent. Whoever reaches it can make it load any server: not for open networks
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,
}

/// Serves one conductor after another, until the process is ended.
///
/// # Errors
/// One sentence, where the address cannot be used.
pub fn serve(arguments: &AgentArguments) -> Result<(), String> {
    let listen = &arguments.listen;
    let listener = TcpListener::bind(listen).map_err(|error| format!("--listen {listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    eprintln!("waiting for conductors at {address}");
    for stream in listener.incoming() {
        let served = stream.and_then(|stream| attend(&stream));
        if let Err(error) = served {
            eprintln!("a conductor left: {error}");
        }
    }
    Ok(())
}

/// One conductor, until it leaves.
fn attend(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    Message::Hello(program()).send(stream)?;
    let orders = &Orders::default();
    let (plans, next_plan) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || listen(stream, orders, &plans));
        for plan in next_plan {
            let reporter = Reporter { stream, orders, told: Mutex::new(Instant::now()) };
            reporter.report(&plan)?;
        }
        Ok(())
    })
}

/// Takes what the conductor says; its leaving is an interruption.
fn listen(stream: &TcpStream, orders: &Orders, plans: &mpsc::Sender<Plan>) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(message)) = Message::receive(&mut reader) {
        match message {
            Message::Run(plan) => {
                orders.forget();
                drop(plans.send(*plan));
            }
            Message::Go => orders.go(),
            Message::Interrupt => orders.interrupt(),
            _ => break,
        }
    }
    orders.interrupt();
}

/// What the conductor wants of the run that goes on.
#[derive(Debug, Default)]
struct Orders {
    interrupted: AtomicBool,
    may_go: Mutex<bool>,
    changed: Condvar,
}

impl Orders {
    /// Another run begins, without orders.
    fn forget(&self) {
        self.interrupted.store(false, SeqCst);
        *self.may_go.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn go(&self) {
        *self.may_go.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn interrupt(&self) {
        self.interrupted.store(true, SeqCst);
        self.go();
    }

    fn wait(&self) {
        let may_go = self.may_go.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(may_go, |may_go| !*may_go));
    }
}

/// Tells the conductor how it goes.
struct Reporter<'a> {
    stream: &'a TcpStream,
    orders: &'a Orders,
    told: Mutex<Instant>,
}

impl Reporter<'_> {
    /// Does one run and says what came of it.
    fn report(&self, plan: &Plan) -> io::Result<()> {
        eprintln!("{} with {} clients", plan.scenario, plan.clients);
        let surroundings =
            Surroundings { progress: self, interrupted: &self.orders.interrupted, epoch: Instant::now() };
        let message = match alone::run(plan, &surroundings) {
            Ok(outcome) => Message::Done(Box::new(Share::of(outcome)?)),
            Err(refusal) => Message::Refusal(refusal.0),
        };
        message.send(self.stream)
    }

    /// A conductor that left is noticed by the thread that listens to it.
    fn tell(&self, message: &Message) {
        drop(message.send(self.stream));
    }
}

impl Progress for Reporter<'_> {
    fn begin(&self, _: &str) {}

    fn connected(&self, count: u64, total: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= TELL_AGAIN || count == total {
            *told = Instant::now();
            self.tell(&Message::Connected(count));
        }
    }

    fn seated(&self) {
        self.tell(&Message::Seated);
        self.orders.wait();
    }

    fn second(&self, sample: &Sample, _: f64) {
        self.tell(&Message::Second(Box::new(*sample)));
    }

    fn end(&self) {}
}
