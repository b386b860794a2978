//! A TCP connection with weather: bytes pass, come late, or stop while both ends believe that all is well.
//!
//! It copies bytes and understands none, so it can stand before PostgreSQL and under TLS alike. Unlike a dropped
//! packet, a byte held here was acknowledged by the kernel: timeouts of TCP itself are tested in a network namespace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

const BUFFER_BYTES: usize = 64 << 10;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They pass.
    Clear,
    /// Each read passes this much later, in both directions.
    Slow(Duration),
    /// Nothing passes; connections stay open, and new ones are accepted and held.
    Still,
    /// What the client sends is held; what the server sends passes.
    RequestsHeld,
    /// What the server sends is held; what the client sends passes.
    AnswersHeld,
    /// Every connection is broken, and new ones are refused at once.
    Cut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

impl Weather {
    fn holds(self, direction: Direction) -> bool {
        match self {
            Self::Clear | Self::Slow(_) | Self::Cut => false,
            Self::Still => true,
            Self::RequestsHeld => direction == Direction::Request,
            Self::AnswersHeld => direction == Direction::Answer,
        }
    }
}

/// Looks at what a client sent, before it goes on. The first argument is a memory of the connection's own.
pub type Inspect = Arc<dyn Fn(&mut String, &[u8]) -> Verdict + Send + Sync>;

/// Whether a client's bytes pass.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// They do.
    Pass,
    /// They do not, and the connection is broken.
    Break,
    /// They do, but nothing comes back any more on this connection. The token trips when something would have.
    PassAndHush(CancellationToken),
}

/// A listener on loopback in front of a server. Ends with the value.
pub struct Wire {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    route: watch::Sender<SocketAddr>,
    opened: Arc<AtomicU64>,
    inspect: watch::Sender<Option<Inspect>>,
    listener: JoinHandle<()>,
}

/// What a connection needs to know.
#[derive(Clone)]
struct Link {
    weather: watch::Receiver<Weather>,
    inspect: watch::Receiver<Option<Inspect>>,
    hushed: Arc<watch::Sender<Option<CancellationToken>>>,
    broken: CancellationToken,
}

impl Wire {
    /// A wire to this server, in clear weather.
    pub async fn to(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(fulcrum_e2e::ports::free()?).await?;
        let address = listener.local_addr()?;
        let (weather, route) = (
            watch::Sender::new(Weather::Clear),
            watch::Sender::new(server),
        );
        let opened = Arc::<AtomicU64>::default();
        let inspect = watch::Sender::new(None);
        let accepting = accept(
            listener,
            weather.subscribe(),
            route.subscribe(),
            inspect.subscribe(),
            Arc::clone(&opened),
        );
        Ok(Self {
            address,
            weather,
            route,
            opened,
            inspect,
            listener: tokio::spawn(accepting),
        })
    }

    /// Where clients connect instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, for open connections too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Leads new connections to another server; open ones stay where they are.
    pub fn lead_to(&self, server: SocketAddr) {
        self.route.send_replace(server);
    }

    /// Looks at what clients send from now on.
    pub fn inspect(&self, inspect: Inspect) {
        self.inspect.send_replace(Some(inspect));
    }

    /// Lets everything pass unread again.
    pub fn look_away(&self) {
        self.inspect.send_replace(None);
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn accept(
    listener: TcpListener,
    weather: watch::Receiver<Weather>,
    route: watch::Receiver<SocketAddr>,
    inspect: watch::Receiver<Option<Inspect>>,
    opened: Arc<AtomicU64>,
) {
    // Dropping the set, when the listener is aborted, breaks every connection.
    let mut links = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        opened.fetch_add(1, Ordering::Relaxed);
        let (weather, route) = (weather.clone(), route.clone());
        let link = Link {
            weather,
            inspect: inspect.clone(),
            hushed: Arc::new(watch::Sender::new(None)),
            broken: CancellationToken::new(),
        };
        links.spawn(carry(client, route, link));
        while links.try_join_next().is_some() {}
    }
}

/// Carries one connection until either end or the weather ends it.
async fn carry(client: TcpStream, route: watch::Receiver<SocketAddr>, mut link: Link) {
    let mut cut = link.weather.clone();
    let carrying = async {
        // In a stillness a connection is accepted by the kernel and led nowhere.
        let passes = |weather: &Weather| !weather.holds(Direction::Request);
        link.weather.wait_for(passes).await.ok()?;
        let server = *route.borrow();
        let server = TcpStream::connect(server).await.ok()?;
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let broken = link.broken.clone();
        tokio::select! {
            () = pump(from_client, to_server, Direction::Request, link.clone()) => {}
            () = pump(from_server, to_client, Direction::Answer, link) => {}
            () = broken.cancelled() => {}
        }
        Some(())
    };
    tokio::select! {
        _ended = carrying => {}
        _cut = cut.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut link: Link,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut memory = String::new();
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => &buffer[..read],
        };
        let passes = |weather: &Weather| !weather.holds(direction);
        let weather = match link.weather.wait_for(passes).await {
            Ok(weather) => *weather,
            Err(_) => return,
        };
        if let Weather::Slow(pause) = weather {
            tokio::time::sleep(pause).await;
        }
        if direction == Direction::Request {
            let inspect = link.inspect.borrow().clone();
            match inspect.map_or(Verdict::Pass, |inspect| inspect(&mut memory, read)) {
                Verdict::Pass => {}
                Verdict::Break => return link.broken.cancel(),
                Verdict::PassAndHush(came) => drop(link.hushed.send_replace(Some(came))),
            }
        } else if let Some(came) = link.hushed.borrow().as_ref() {
            came.cancel();
            continue;
        }
        if to.write_all(read).await.is_err() {
            return;
        }
    }
}
