//! A proxy before the server that breaks one connection at its commit: at the word, or at the call that is all of a
//! transaction, told by a run that it writes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::database::server_address;

/// When to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// The server never sees the COMMIT.
    Before = 1,
    /// The server has answered it; the answer gets lost.
    After = 2,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    armed: Arc<AtomicU8>,
    needle: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Arc::new(AtomicU8::new(0));
        let shared = Arc::clone(&armed);
        let needle = Arc::new(Mutex::new(Vec::new()));
        let sought = Arc::clone(&needle);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (armed, needle) = (Arc::clone(&shared), Arc::clone(&sought));
                tokio::spawn(async move {
                    let server = TcpStream::connect(server_address()).await.unwrap();
                    // Either side may go away at any time.
                    let _ = relay(client, server, &armed, &needle).await;
                });
            }
        });
        Self {
            address,
            armed,
            needle,
        }
    }

    /// Breaks the connection that commits next.
    pub(crate) fn arm(&self, when: Break) {
        self.arm_at(when, b"COMMIT");
    }

    /// Breaks the connection that sends these bytes next.
    pub(crate) fn arm_at(&self, when: Break, bytes: &[u8]) {
        *self.needle.lock().unwrap() = bytes.to_vec();
        self.armed.store(when as u8, Ordering::SeqCst);
    }

    /// Whether nothing has been broken since it was armed.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst) != 0
    }
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    armed: &AtomicU8,
    needle: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let sent = &up[..read?];
                if sent.is_empty() {
                    return Ok(());
                }
                let needle = needle.lock().unwrap().clone();
                if !needle.is_empty() && sent.windows(needle.len()).any(|bytes| bytes == needle) {
                    match armed.swap(0, Ordering::SeqCst) {
                        1 => return Ok(()),
                        2 => {
                            server.write_all(sent).await?;
                            let answered = server.read(&mut down).await?;
                            assert!(answered > 0, "the server goes away without an answer");
                            return Ok(());
                        }
                        _ => {}
                    }
                }
                server.write_all(sent).await?;
            }
            read = server.read(&mut down) => {
                let sent = &down[..read?];
                if sent.is_empty() {
                    return Ok(());
                }
                client.write_all(sent).await?;
            }
        }
    }
}
