//! Benchmarks: load, floors and figures in one sitting.
