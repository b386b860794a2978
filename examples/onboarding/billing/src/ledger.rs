//! The invoices: an append-only file, synced before an invoice is acknowledged.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a customer is billed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) contact: i64,
    pub(crate) plan: Plan,
}

/// What can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Plan {
    Starter,
    Pro,
    Enterprise,
}

impl Plan {
    fn amount_cents(self) -> u64 {
        match self {
            Self::Starter => 1_900,
            Self::Pro => 4_900,
            Self::Enterprise => 49_900,
        }
    }
}

/// One invoice, as it stands in the file and goes to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) amount_cents: u64,
    pub(crate) key: String,
    pub(crate) order: Order,
}

/// All invoices.
pub(crate) struct Ledger {
    file: File,
    invoices: Vec<Invoice>,
    by_key: HashMap<String, usize>,
}

/// An order that is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("this Idempotency-Key was used for another order")]
    KeyReused,
    #[error("cannot write the ledger: {0}")]
    Io(#[from] io::Error),
}

impl Ledger {
    /// Opens the file at `path`. A last line without an end was never acknowledged and is cut off.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut ledger = Self {
            file,
            invoices: Vec::new(),
            by_key: HashMap::new(),
        };
        for line in text[..whole].lines() {
            ledger.remember(serde_json::from_str(line)?);
        }
        Ok(ledger)
    }

    /// The invoice for `order`: a new one, or the one that was made with `key` before. Blocks until it is on disk.
    pub(crate) fn bill(&mut self, key: &str, order: Order) -> Result<Invoice, LedgerError> {
        if let Some(known) = self.by_key.get(key) {
            let invoice = &self.invoices[*known];
            return match invoice.order == order {
                true => Ok(invoice.clone()),
                false => Err(LedgerError::KeyReused),
            };
        }
        let invoice = Invoice {
            id: format!("inv_{:05}", self.invoices.len() + 1),
            amount_cents: order.plan.amount_cents(),
            key: key.to_owned(),
            order,
        };
        let mut line = serde_json::to_string(&invoice).map_err(io::Error::from)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.remember(invoice.clone());
        Ok(invoice)
    }

    pub(crate) fn invoices(&self) -> &[Invoice] {
        &self.invoices
    }

    /// How many customers were billed; less than the invoices if one was billed twice.
    pub(crate) fn customers(&self) -> usize {
        let customers = self
            .invoices
            .iter()
            .map(|invoice| invoice.order.customer.as_str());
        customers.collect::<BTreeSet<_>>().len()
    }

    fn remember(&mut self, invoice: Invoice) {
        self.by_key.insert(invoice.key.clone(), self.invoices.len());
        self.invoices.push(invoice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(customer: &str) -> Order {
        Order {
            customer: customer.to_owned(),
            contact: 1,
            plan: Plan::Pro,
        }
    }

    #[test]
    fn a_key_bills_once_and_for_one_order_only() {
        let directory = tempfile::tempdir().expect("tempdir");
        let mut ledger = Ledger::open(&directory.path().join("l")).expect("open");
        let first = ledger.bill("k", order("ada")).expect("billed");
        assert_eq!(ledger.bill("k", order("ada")).expect("the same"), first);
        assert!(matches!(
            ledger.bill("k", order("bob")),
            Err(LedgerError::KeyReused)
        ));
        assert_eq!(ledger.invoices().len(), 1);
    }

    #[test]
    fn invoices_survive_and_half_a_line_does_not() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("l");
        let invoice = Ledger::open(&path)
            .expect("open")
            .bill("k", order("ada"))
            .expect("billed");
        let mut text = std::fs::read_to_string(&path).expect("read");
        text.push_str("{\"id\": \"inv_0");
        std::fs::write(&path, text).expect("write");

        let mut ledger = Ledger::open(&path).expect("open again");
        assert_eq!(ledger.invoices(), [invoice]);
        ledger.bill("k2", order("bob")).expect("billed");
        assert_eq!(Ledger::open(&path).expect("open").invoices().len(), 2);
    }
}
