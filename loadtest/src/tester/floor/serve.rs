//! The floor server: the least a server could do on this kernel, in a process of its own.
//!
//! It lets in as many clients as it was told to expect, then its publishers, and from then on reads and sends: no event
//! loop, no queues, no pings, no limits. What it costs is what the kernel costs.

use super::handshake::welcome;
use super::inlet::{Event, Inlet};
use super::mode::Mode;
use super::outlet::Outlet;
use super::patient::patiently;
use super::topics::Topics;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use socket2::{Domain, Socket, Type};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// What the kernel keeps waiting; it takes `somaxconn` where that is less.
const BACKLOG: i32 = 4096;

/// How to serve.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// How to send.
    #[arg(long, value_enum, default_value = "send")]
    pub mode: Mode,
    /// Clients to let in before anything is published.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub clients: u32,
    /// Publishers to let in after them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub publishers: u32,
    /// The core to run on; any where none is given.
    #[arg(long, value_name = "CORE")]
    pub core: Option<usize>,
}

/// Serves until the last publisher has gone. Prints the address for clients and the one for publishers first.
pub fn serve(options: &Serve) -> io::Result<()> {
    // Whoever started it may be killed, and nobody would end it then.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Some(core) = options.core {
        super::cores::pin(&[core])?;
    }
    let (clients, publishers) = (listen()?, listen()?);
    println!("{} {}", clients.local_addr()?, publishers.local_addr()?);
    io::stdout().flush()?;
    let topics = let_in(&clients, options.clients)?;
    let outlet = Outlet::new(options.mode, &topics)?;
    let inlets = (0..options.publishers).map(|_| Inlet::new(publishers.accept()?.0)).collect::<io::Result<_>>()?;
    let mut floor = Floor { topics, outlet, inlets, events: Vec::new(), readable: Vec::new() };
    while !floor.inlets.is_empty() {
        floor.pass()?;
    }
    Ok(())
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn let_in(listener: &TcpListener, clients: u32) -> io::Result<Topics> {
    let accept = |_| {
        let (mut socket, _) = listener.accept()?;
        Ok((welcome(&mut socket)?, socket))
    };
    Ok(Topics::new((0..clients).map(accept).collect::<io::Result<_>>()?))
}

/// Everybody is here.
struct Floor {
    topics: Topics,
    outlet: Outlet,
    inlets: Vec<Inlet>,
    events: Vec<Event>,
    /// Numbers of inlets, falling.
    readable: Vec<usize>,
}

impl Floor {
    /// Reads once from every publisher that says something, and delivers that.
    fn pass(&mut self) -> io::Result<()> {
        self.wait()?;
        for &number in &self.readable {
            let inlet = &mut self.inlets[number];
            let goes_on = inlet.read(&self.topics, &mut self.events)?;
            self.outlet.deliver(&self.topics, inlet.bytes(), &mut self.events)?;
            if !goes_on {
                self.inlets.remove(number);
            }
        }
        Ok(())
    }

    /// A single publisher is waited for by the read itself.
    fn wait(&mut self) -> io::Result<()> {
        self.readable.clear();
        if self.inlets.len() == 1 {
            self.readable.push(0);
            return Ok(());
        }
        let mut places: Vec<PollFd> =
            self.inlets.iter().map(|inlet| PollFd::new(&inlet.socket, PollFlags::IN)).collect();
        patiently(|| Ok(poll(&mut places, None)?))?;
        let readable = places.iter().enumerate().rev().filter(|(_, place)| !place.revents().is_empty());
        self.readable.extend(readable.map(|(number, _)| number));
        Ok(())
    }
}
