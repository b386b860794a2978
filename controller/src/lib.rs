//! The Fulcrum controller: engine shell, dispatch, loops, gRPC, identity.
