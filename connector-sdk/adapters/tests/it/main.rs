//! The adapters against the real thing: HTTP servers, databases, processes, a mail server's side of the conversation.

mod config;
mod connector;
mod files;
mod http;
mod mail;
mod manual;
mod reference;
mod script;
mod smtp_server;
mod sql;
mod starting;
