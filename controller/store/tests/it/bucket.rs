//! As much of S3 as blobs need: objects by key in one bucket, over plain HTTP, for whoever signs with the right key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const BUCKET: &str = "fulcrum";
pub(crate) const KEY_ID: &str = "somebody";

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// 503, whatever is asked.
    Failing,
    /// 404, whatever is asked.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) mood: Mood,
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Requests so far.
    pub(crate) asked: u32,
}

pub(crate) struct Bucket {
    pub(crate) address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    is_signed: bool,
    body: Vec<u8>,
}

impl Bucket {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Mutex::new(Shelf {
            mood: Mood::Well,
            objects: BTreeMap::new(),
            asked: 0,
        }));
        let served = Arc::clone(&shelf);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { address, shelf }
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }
}

async fn serve(stream: TcpStream, shelf: Arc<Mutex<Shelf>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let is_head = request.method == "HEAD";
        let (status, body) = shelf.lock().unwrap().answer(request);
        let head = format!(
            "HTTP/1.1 {status} -\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\n",
            body.len()
        );
        let mut answer = head.into_bytes();
        if !is_head {
            answer.extend(body);
        }
        if stream.get_mut().write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The next request, until there is none.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut is_signed) = (0, false);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => {
                let signature = format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/");
                is_signed = value.starts_with(&signature);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        is_signed,
        body,
    })
}

impl Shelf {
    fn answer(&mut self, request: Request) -> (u16, Vec<u8>) {
        self.asked += 1;
        match self.mood {
            Mood::Well => {}
            Mood::Failing => return (503, Vec::new()),
            Mood::Gone => return (404, Vec::new()),
        }
        if !request.is_signed {
            return (403, Vec::new());
        }
        let Some(key) = request.path.strip_prefix(&format!("/{BUCKET}")) else {
            return (404, Vec::new());
        };
        let key = key.trim_start_matches('/');
        match (request.method.as_str(), key) {
            ("GET", "") => (200, self.list(&request.query).into_bytes()),
            ("POST", "") => (200, self.delete(&request.body).into_bytes()),
            ("GET" | "HEAD", key) => match self.objects.get(key) {
                Some(object) => (200, object.clone()),
                None => (404, Vec::new()),
            },
            ("PUT", key) => {
                self.objects.insert(key.to_owned(), request.body);
                (200, Vec::new())
            }
            _ => (405, Vec::new()),
        }
    }

    fn list(&self, query: &str) -> String {
        let prefix = query
            .split('&')
            .find_map(|part| part.strip_prefix("prefix="))
            .unwrap_or_default()
            .replace("%2F", "/");
        let mut listed = "<ListBucketResult>".to_owned();
        for (key, object) in &self.objects {
            if key.starts_with(&prefix) {
                let size = object.len();
                let _ = write!(
                    listed,
                    "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-11-23T00:00:00.000Z</LastModified></Contents>"
                );
            }
        }
        listed + "</ListBucketResult>"
    }

    fn delete(&mut self, body: &[u8]) -> String {
        let body = String::from_utf8_lossy(body);
        let mut deleted = "<DeleteResult>".to_owned();
        for part in body.split("<Key>").skip(1) {
            let (key, _) = part.split_once("</Key>").unwrap();
            self.objects.remove(key);
            let _ = write!(deleted, "<Deleted><Key>{key}</Key></Deleted>");
        }
        deleted + "</DeleteResult>"
    }
}
