//! The Fulcrum command line: the operator's local control plane.
