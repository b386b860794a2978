//! What the tests ask of the machine: network namespaces, packet filters, control groups, false clocks, small disks.
//!
//! All of it needs root, and some of it a Debian package. A test that cannot have it says so loudly; where `CI` or the
//! full scale asks for everything, it fails instead.
