//! The example `examples/onboarding` on processes of its own: 200 customers, and what must be true once each of them was
//! welcomed, whatever happened meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use fulcrum_proto::review::v1::Decision;
use fulcrum_proto::workflow::v1::{Event, RunStatus};
use serde_json::{Value, json};

use crate::api::{is_closed, spec};
use crate::program::{self, Program};
use crate::stack::Stack;
use crate::{ports, process, timeline, wait};

/// The example, running.
pub struct Onboarding {
    /// The billing service.
    pub billing: Program,
    /// One connector for each controller, on one CRM and one outbox.
    pub connectors: Vec<Program>,
    /// One executor for each controller.
    pub executors: Vec<Program>,
    /// What they work for.
    pub stack: Stack,
    customers: Vec<Customer>,
}

struct Customer {
    email: String,
    name: String,
    plan: String,
}

impl Onboarding {
    /// Starts the example's services and workers, and applies its workflows.
    pub async fn start(stack: Stack) -> anyhow::Result<Self> {
        let edge = stack.dir().join("edge");
        std::fs::create_dir_all(&edge)?;
        let address = ports::free()?;
        let ledger = edge.join("invoices.jsonl");
        let mut billing = Program::new("billing", stack.dir(), "onboarding-billing")?.args([
            "--listen",
            &address.to_string(),
            "--ledger",
            ledger.to_str().context("a path")?,
        ]);
        billing.start()?;
        program::listening(address).await;

        let config = example("connector.yaml")?
            .replace("127.0.0.1:7410", &address.to_string())
            .replace("path: crm.db", &format!("path: {}/crm.db", edge.display()))
            .replace(
                "directory: outbox",
                &format!("directory: {}/outbox", edge.display()),
            );
        let (mut connectors, mut executors) = (Vec::new(), Vec::new());
        for at in 0..stack.controllers.len() {
            connectors.push(
                stack
                    .connector(&format!("connector-{at}"), at, &config)
                    .await?,
            );
            executors.push(stack.executor(&format!("executor-{at}"), at, None).await?);
        }
        for file in ["onboarding.yaml", "check.yaml"] {
            stack.api.apply(&example(file)?).await?;
        }
        Ok(Self {
            billing,
            connectors,
            executors,
            stack,
            customers: customers()?,
        })
    }

    /// Starts a run for each customer.
    pub async fn begin(&self) -> anyhow::Result<Vec<String>> {
        let spec = |customer: &Customer| {
            let Customer { email, name, plan } = customer;
            spec(
                "onboarding",
                &json!({ "email": email, "name": name, "plan": plan }),
                email,
            )
        };
        // To each controller its share: a run's work goes first to the workers of the controller that got it.
        let mut runs = Vec::with_capacity(self.customers.len());
        let share = self.customers.len().div_ceil(self.stack.controllers.len());
        for (controller, customers) in self.customers.chunks(share).enumerate() {
            let api = self.stack.api.only(controller);
            let specs = customers.iter().map(spec).collect();
            runs.extend(api.start_many(specs).await?);
        }
        Ok(runs)
    }

    /// Waits until so many runs are closed, approving what they ask; gives how many are.
    pub async fn closed(&self, at_least: usize) -> usize {
        wait::until(&format!("{at_least} runs closed"), || async {
            for review in self.stack.api.open_reviews().await? {
                self.stack
                    .api
                    .decide(&review, Decision::Approve, None)
                    .await?;
            }
            let runs = self.stack.api.runs().await?;
            let closed = runs.iter().filter(|run| is_closed(run.status())).count();
            anyhow::ensure!(closed >= at_least, "{closed} are");
            Ok(closed)
        })
        .await
    }

    /// How many customers there are.
    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    /// Once all runs are closed: each customer is in the CRM, was billed once and welcomed once, and every timeline tells
    /// so and holds. Gives how often each kind of event happened.
    pub async fn check(&self, runs: &[String]) -> anyhow::Result<BTreeMap<String, usize>> {
        let api = &self.stack.api;
        anyhow::ensure!(runs.len() == self.customers.len());
        let mut happened = BTreeMap::new();
        for (run_id, customer) in runs.iter().zip(&self.customers) {
            let run = api.run(run_id).await?;
            anyhow::ensure!(
                run.status() == RunStatus::Completed,
                "{}: {run:#?}",
                customer.email
            );
            let events = api.events(run_id).await?;
            timeline::verify(run_id, &events)?;
            let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
            let asked = usize::from(customer.plan == "enterprise");
            let told = [
                count("RunStarted"),
                count("ReviewDecided"),
                count("RunCompleted"),
            ];
            anyhow::ensure!(
                told == [1, asked, 1],
                "{}: {:?}",
                customer.email,
                kinds(&events)
            );
            anyhow::ensure!(
                events
                    .last()
                    .is_some_and(|last| last.kind == "RunCompleted"),
                "{run_id} goes on"
            );
            for event in events {
                *happened.entry(event.kind).or_default() += 1;
            }
        }

        let emails: BTreeSet<&str> = self
            .customers
            .iter()
            .map(|customer| customer.email.as_str())
            .collect();
        let ledger = std::fs::read_to_string(self.edge().join("invoices.jsonl"))?;
        let invoices: Vec<Value> = ledger
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let billed: BTreeSet<&str> = invoices
            .iter()
            .filter_map(|invoice| invoice["order"]["customer"].as_str())
            .collect();
        anyhow::ensure!(billed == emails, "not everybody was billed");
        anyhow::ensure!(
            invoices.len() == emails.len(),
            "{} invoices for {} customers",
            invoices.len(),
            emails.len()
        );

        let mails = self.recipients()?;
        let welcomed: BTreeSet<&str> = mails.iter().map(String::as_str).collect();
        anyhow::ensure!(welcomed == emails, "not everybody was welcomed");
        anyhow::ensure!(
            mails.len() == emails.len(),
            "{} mails for {} customers",
            mails.len(),
            emails.len()
        );

        let check = api.start("onboarding-check", &Value::Null).await?;
        let counts = api.output(&check).await;
        for name in ["contacts", "invoices", "billed_customers"] {
            anyhow::ensure!(counts[name] == emails.len(), "{name}: {counts}");
        }
        Ok(happened)
    }

    /// To whom mails went, one entry for each mail.
    fn recipients(&self) -> anyhow::Result<Vec<String>> {
        let mut recipients = Vec::new();
        for entry in std::fs::read_dir(self.edge().join("outbox"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                let mail = std::fs::read_to_string(&path)?;
                let to = mail.lines().find_map(|line| line.strip_prefix("To: "));
                let to = to.with_context(|| format!("{} has no recipient", path.display()))?;
                recipients.push(to.trim_matches(['<', '>']).to_owned());
            }
        }
        Ok(recipients)
    }

    fn edge(&self) -> PathBuf {
        self.stack.dir().join("edge")
    }
}

/// A file of the example.
pub fn example(file: &str) -> anyhow::Result<String> {
    let path = process::repository().join("examples/onboarding").join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn customers() -> anyhow::Result<Vec<Customer>> {
    let text = example("customers.csv")?;
    let rows = text
        .lines()
        .skip(1)
        .map(|line| match line.split(',').collect::<Vec<_>>()[..] {
            [email, name, plan] => Ok(Customer {
                email: email.to_owned(),
                name: name.to_owned(),
                plan: plan.to_owned(),
            }),
            _ => anyhow::bail!("`{line}` is not email,name,plan"),
        });
    rows.collect()
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}
