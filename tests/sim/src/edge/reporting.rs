//! Handing in outcomes, until each is accepted or refused for good: the meaning of the SDK's `worker/reporting.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use fulcrum_sdk::lease::LeaseToken;
use tokio::sync::mpsc;

use super::bench::Bench;
use super::worker::News;
use crate::cluster::call::{Call, Outcome, Refusal, Said};
use crate::stage::sometimes::Sometimes;

/// Reports in one call.
const BATCH_MAX: usize = 4;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hands in what comes, for as long as the worker lives.
pub async fn report(
    bench: Bench,
    mut outlet: mpsc::Receiver<(LeaseToken, Outcome)>,
    news: mpsc::Sender<News>,
) {
    let mut queue: VecDeque<(LeaseToken, Outcome)> = VecDeque::new();
    loop {
        if queue.is_empty() {
            match outlet.recv().await {
                Some(report) => queue.push_back(report),
                None => return,
            }
        }
        while let Ok(report) = outlet.try_recv() {
            queue.push_back(report);
        }
        let batch: Vec<_> = queue.drain(..queue.len().min(BATCH_MAX)).collect();
        let call = Call::Report {
            worker: bench.worker,
            reports: batch
                .iter()
                .map(|(lease, outcome)| (lease.0.clone(), outcome.clone()))
                .collect(),
        };
        let heard = bench.wire.ask(call, PATIENCE).await;
        bench.gate.pass().await;
        let mut settled = Vec::new();
        let mut again = Vec::new();
        match heard {
            Ok(Ok(Said::Reports(results))) => {
                for ((lease, outcome), result) in batch.into_iter().zip(results) {
                    match result {
                        Err(Refusal::Later(_)) => again.push((lease, outcome)),
                        Err(Refusal::Never(text)) => {
                            bench
                                .stage
                                .problem(format_args!("a report is refused for good: {text}"));
                            settled.push(lease);
                        }
                        Err(refusal) => {
                            bench
                                .stage
                                .note(bench.name, format_args!("a report is refused: {refusal:?}"));
                            bench.stage.saw(Sometimes::LateReportRefused);
                            settled.push(lease);
                        }
                        Ok(()) => settled.push(lease),
                    }
                }
            }
            Ok(_) | Err(_) => again = batch,
        }
        if !settled.is_empty() && news.send(News::Reported(settled)).await.is_err() {
            return;
        }
        if !again.is_empty() {
            for report in again.into_iter().rev() {
                queue.push_front(report);
            }
            bench.wire.turn_elsewhere();
            tokio::time::sleep(bench.dice.span_ms(50, 600)).await;
            bench.gate.pass().await;
        }
    }
}
