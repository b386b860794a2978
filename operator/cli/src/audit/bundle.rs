//! The record in one file: JSON, a line each, so that it is written and read piece by piece.
//!
//! ```text
//! {"record":1,"verifier":"fulcrum/f-…+…","log_size_before":4711,"exported_at":"…"}
//! {"run":"run_…","namespace":"acme","closed":true,"last":true,"events":[{"seq":1,"kind":0,"schema":1,"body":"…","hash":"…"}, …]}
//! {"first_place":0,"edge":[],"leaves":["…"],"note":"fulcrum/f-…\n1\n…"}
//! {"end":true}
//! ```
//!
//! Timelines come first and the log after them, so that it knows all of their events. Bytes are base64.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fulcrum_audit::Verifier;
use fulcrum_proto::audit::v1::{ReadLogResponse, ReadTimelinesResponse, RecordedEvent};
use serde::{Deserialize, Serialize};

use super::Finding;
use super::judge::{Judge, Of, Tally};
use super::recorded::Recorded;
use crate::error::CliError;

/// The format's version.
const RECORD: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Begin(Begin),
    Run(RunPart),
    Log(LogPart),
    End { end: bool },
}

#[derive(Debug, Serialize, Deserialize)]
struct Begin {
    record: u32,
    verifier: String,
    log_size_before: u64,
    exported_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct RunPart {
    run: String,
    namespace: String,
    closed: bool,
    last: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
    events: Vec<EventPart>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EventPart {
    seq: u64,
    kind: u32,
    schema: u32,
    body: String,
    hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LogPart {
    first_place: u64,
    edge: Vec<String>,
    leaves: Vec<String>,
    note: String,
}

/// A file that is being written. It has its name only when it is whole.
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(
        path: &Path,
        verifier: &Verifier,
        log_size_before: u64,
        exported_at: jiff::Timestamp,
    ) -> Result<Self, CliError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file =
            File::create(&partial).map_err(|error| CliError::file("write", &partial, error))?;
        let mut writer = Self {
            path: path.to_owned(),
            partial,
            file: BufWriter::new(file),
        };
        writer.line(&Line::Begin(Begin {
            record: RECORD,
            verifier: verifier.to_string(),
            log_size_before,
            exported_at: exported_at.to_string(),
        }))?;
        Ok(writer)
    }

    /// Writes part of a timeline.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn timeline(&mut self, part: &ReadTimelinesResponse) -> Result<(), CliError> {
        let event = |event: &RecordedEvent| EventPart {
            seq: event.seq,
            kind: event.kind_number,
            schema: event.schema,
            body: STANDARD.encode(&event.body),
            hash: STANDARD.encode(&event.hash),
        };
        self.line(&Line::Run(RunPart {
            run: part.run_id.clone(),
            namespace: part.namespace.clone(),
            closed: part.closed,
            last: part.last,
            gone: part.gone,
            events: part.events.iter().map(event).collect(),
        }))
    }

    /// Writes part of the log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn log(&mut self, part: &ReadLogResponse) -> Result<(), CliError> {
        let text = |bytes: &[_]| bytes.iter().map(|bytes| STANDARD.encode(bytes)).collect();
        self.line(&Line::Log(LogPart {
            first_place: part.first_place,
            edge: text(&part.edge),
            leaves: text(&part.leaves),
            note: part.note.clone(),
        }))
    }

    /// Ends the file, and gives it its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> Result<(), CliError> {
        self.line(&Line::End { end: true })?;
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.partial, &self.path))
            .map_err(|error| CliError::file("write", &self.path, error))
    }

    fn line(&mut self, line: &Line) -> Result<(), CliError> {
        serde_json::to_writer(&mut self.file, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|error| CliError::file("write", &self.partial, error))
    }
}

/// What a file says.
#[derive(Debug)]
pub struct Checked {
    /// What was looked at.
    pub tally: Tally,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Entries of the log.
    pub size: u64,
    /// What checks its signatures, as the file says.
    pub verifier: Verifier,
    /// When it was written, as the file says.
    pub exported_at: String,
}

/// Checks a file. It is read twice: for the log, and then for the timelines.
///
/// # Errors
/// When it cannot be read, is no such file, or is signed by another key than the one that is asked for.
pub fn check(path: &Path, asked: Option<&Verifier>) -> Result<Checked, CliError> {
    let mut findings = Vec::new();
    let mut recorded: Option<(Recorded, Verifier, String)> = None;
    let mut size_before = 0;
    let mut ended = false;
    read(path, |line| {
        match line {
            Line::Begin(_) if recorded.is_some() => return Err(not_one(path)),
            Line::Begin(begin) => {
                let verifier = verifier_of(path, &begin, asked)?;
                size_before = begin.log_size_before;
                let log = Recorded::until(size_before);
                recorded = Some((log, verifier, begin.exported_at));
            }
            Line::Log(part) => {
                let (log, verifier, _) = recorded.as_mut().ok_or_else(|| not_one(path))?;
                // After the first wrong entry no other can be right.
                if findings.is_empty()
                    && let Err(finding) = log.add(&log_part(path, &part)?, verifier)
                {
                    findings.push(finding);
                }
            }
            Line::Run(_) => {}
            Line::End { end } => ended = end,
        }
        Ok(())
    })?;
    let (log, verifier, exported_at) = recorded.ok_or_else(|| not_one(path))?;
    let size = log.size();
    if findings.is_empty() {
        findings.extend(log.reaches(size_before).err());
    }
    let mut judge = Judge::new(log);
    read(path, |line| {
        if let Line::Run(part) = line {
            judge.add(&run_part(path, part)?);
        }
        Ok(())
    })?;
    if !ended {
        judge.find(Finding::NoEnd);
    }
    let of = if findings.is_empty() && ended {
        Of::Everything
    } else {
        Of::PartOfTheLog
    };
    findings.into_iter().for_each(|finding| judge.find(finding));
    let (tally, findings) = judge.verdict(of);
    Ok(Checked {
        tally,
        findings,
        size,
        verifier,
        exported_at,
    })
}

fn verifier_of(path: &Path, begin: &Begin, asked: Option<&Verifier>) -> Result<Verifier, CliError> {
    if begin.record != RECORD {
        return Err(CliError::usage(
            format!("{} is of format {}", path.display(), begin.record),
            format!("this program reads format {RECORD}; use the one that wrote the file"),
        ));
    }
    let verifier: Verifier = begin.verifier.parse().map_err(|_| not_one(path))?;
    match asked {
        Some(asked) if *asked != verifier => Err(CliError::CheckFailed {
            message: format!("{} is signed by another key: {verifier}", path.display()),
            fix: "it is the record of another installation, or somebody else made it".to_owned(),
        }),
        _ => Ok(verifier),
    }
}

fn read(path: &Path, mut each: impl FnMut(Line) -> Result<(), CliError>) -> Result<(), CliError> {
    let file = File::open(path).map_err(|error| CliError::file("read", path, error))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| CliError::file("read", path, error))?;
        // A last line that was cut off is told by the missing end.
        match serde_json::from_str(&line) {
            Ok(line) => each(line)?,
            Err(error) if error.is_eof() => {}
            Err(_) => return Err(not_one(path)),
        }
    }
    Ok(())
}

fn run_part(path: &Path, part: RunPart) -> Result<ReadTimelinesResponse, CliError> {
    let event = |event: EventPart| {
        Ok(RecordedEvent {
            seq: event.seq,
            kind_number: event.kind,
            schema: event.schema,
            body: bytes(path, &event.body)?.into(),
            hash: bytes(path, &event.hash)?.into(),
        })
    };
    Ok(ReadTimelinesResponse {
        run_id: part.run,
        namespace: part.namespace,
        closed: part.closed,
        last: part.last,
        gone: part.gone,
        events: part
            .events
            .into_iter()
            .map(event)
            .collect::<Result<_, CliError>>()?,
    })
}

fn log_part(path: &Path, part: &LogPart) -> Result<ReadLogResponse, CliError> {
    let all = |texts: &[String]| {
        texts
            .iter()
            .map(|text| bytes(path, text).map(Into::into))
            .collect::<Result<_, CliError>>()
    };
    Ok(ReadLogResponse {
        first_place: part.first_place,
        edge: all(&part.edge)?,
        leaves: all(&part.leaves)?,
        note: part.note.clone(),
    })
}

fn bytes(path: &Path, text: &str) -> Result<Vec<u8>, CliError> {
    STANDARD.decode(text).map_err(|_| not_one(path))
}

fn not_one(path: &Path) -> CliError {
    CliError::usage(
        format!(
            "{} is not an exported record, or is damaged",
            path.display()
        ),
        "make one with `fulcrum audit export`",
    )
}
