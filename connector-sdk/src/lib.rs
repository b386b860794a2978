//! The worker side of Fulcrum: enrolment, channel, lease machine, journal, capabilities.
