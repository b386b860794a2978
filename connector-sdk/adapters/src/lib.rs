//! Fulcrum's adapters: http, sql, script, mail, files; and the fulcrum-connector binary.
