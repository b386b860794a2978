//! The network between everybody and the controllers: it loses, repeats, delays and reorders.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::call::{Answer, Call};
use super::host::Host;
use crate::Stage;
use crate::stage::dice::{Dice, PerMille};
use crate::stage::sometimes::Sometimes;

/// No answer came: it was lost, nobody was there, or it took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unheard;

/// The network of a world.
pub struct Network {
    stage: Arc<Stage>,
    hosts: Vec<Arc<Host>>,
    dice: Dice,
}

/// Somebody's end of the network.
#[derive(Clone)]
pub struct Wire {
    network: Arc<Network>,
    name: &'static str,
    cut: Arc<std::sync::atomic::AtomicBool>,
    sent: Arc<AtomicU64>,
    arrived: Arc<AtomicU64>,
    turn: Arc<AtomicU64>,
}

impl Network {
    /// A network to these hosts.
    #[must_use]
    pub fn to(stage: Arc<Stage>, hosts: Vec<Arc<Host>>) -> Arc<Self> {
        let dice = Dice::of(stage.seed, "network");
        Arc::new(Self { stage, hosts, dice })
    }

    /// A new end of it.
    #[must_use]
    pub fn wire(self: &Arc<Self>, name: &'static str) -> Wire {
        Wire {
            network: Arc::clone(self),
            name,
            cut: Arc::default(),
            sent: Arc::default(),
            arrived: Arc::default(),
            turn: Arc::new(AtomicU64::new(self.dice.number())),
        }
    }
}

impl Wire {
    /// Cuts it, or mends it.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    /// Goes to another controller from here on, as clients do when one does not answer.
    pub fn turn_elsewhere(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks a controller and waits at most `patience` for its answer.
    pub async fn ask(&self, call: Call, patience: Duration) -> Result<Answer, Unheard> {
        let network = &self.network;
        let (stage, dice) = (&network.stage, &network.dice);
        let rates = stage.storm.rates();
        let n = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let turn = self.turn.load(Ordering::Relaxed);
        let host = &network.hosts[usize::try_from(turn).unwrap_or(0) % network.hosts.len()];
        let label = format!("{}#{n} to {}", call.name(), host.name());
        let lost = dice.happens(rates.request_lost);
        let twice = dice.happens(rates.duplicated);
        let delays = [self.delay(), self.delay()];
        if self.cut.load(Ordering::Relaxed) || lost {
            if lost {
                stage.saw(Sometimes::RequestLost);
            }
            stage.note(self.name, format_args!("{label} is lost"));
            tokio::time::sleep(patience).await;
            return Err(Unheard);
        }
        let (mut reply, answer) = oneshot::channel();
        let tells = dice.happens(PerMille(500));
        if twice {
            let again = self.clone();
            let (host, call, label) = (Arc::clone(host), call.clone(), format!("{label} again"));
            tokio::spawn(async move {
                again.network.stage.saw(Sometimes::DuplicateDelivered);
                let _nobody_waits = again.deliver(&host, call, n, delays[1], &label).await;
            });
        }
        let (this, host) = (self.clone(), Arc::clone(host));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                // Sometimes the other side learns that nobody waits any more.
                () = reply.closed(), if tells => {
                    this.network.stage.saw(Sometimes::CallDropped);
                    this.network.stage.note(this.name, format_args!("{label} is dropped"));
                }
                said = this.deliver(&host, call, n, delays[0], &label) => {
                    if let Ok(said) = said {
                        let _gone = reply.send(said);
                    }
                }
            }
        });
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Unheard),
        }
    }

    async fn deliver(
        &self,
        host: &Host,
        call: Call,
        n: u64,
        delay: Duration,
        label: &str,
    ) -> Result<Answer, Unheard> {
        let network = &self.network;
        let (stage, dice) = (&network.stage, &network.dice);
        tokio::time::sleep(delay).await;
        if self.arrived.fetch_max(n, Ordering::Relaxed) > n {
            stage.saw(Sometimes::CallsReordered);
        }
        let Some(process) = host.process() else {
            stage.note(self.name, format_args!("{label} finds nobody"));
            return Err(Unheard);
        };
        let is_report = matches!(call, Call::Report { .. });
        stage.note(self.name, format_args!("{label} arrives"));
        let said = process.serve(call).await;
        let lost = dice.happens(stage.storm.rates().reply_lost);
        let back = self.delay();
        let Some(said) = said else {
            stage.note(self.name, format_args!("{label} dies with the controller"));
            return Err(Unheard);
        };
        tokio::time::sleep(back).await;
        if lost || self.cut.load(Ordering::Relaxed) {
            stage.note(self.name, format_args!("{label}: the answer is lost"));
            stage.saw(Sometimes::ReplyLost);
            if is_report {
                stage.saw(Sometimes::ReportUnheard);
            }
            return Err(Unheard);
        }
        Ok(said)
    }

    fn delay(&self) -> Duration {
        let dice = &self.network.dice;
        if dice.happens(self.network.stage.storm.rates().slow) {
            dice.span_ms(100, 4_000)
        } else {
            dice.span_ms(0, 8)
        }
    }
}
