-- Why: controllers keep the contracts in force in memory. As with identities, one number tells whether they changed, so
-- that nobody reads them again and again. Builds that do not raise it are covered by a rare look at everything.
alter table installation add column catalogue_revision bigint not null default 0;
