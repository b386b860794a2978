//! The Fulcrum executor: templates and model access as capabilities.
