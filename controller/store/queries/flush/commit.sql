-- See the migrations that made them. What is committed leaves its leaf from level 3 on: by what the database says, since this
-- process may not have heard of it yet while another one does so already.
with written as materialized (
  select * from fulcrum_commit_3(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
  $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48,
  $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65, $66, $67, $68, $69, $70, $71, $72,
  $73, $74, $75, $76, $77, $78, $79, $80, $81, $82, $83, $84, $85, $86, $87, $88, $89, $90, $91, $92, $93, $94, $95, $96, $97, $98, $99, $100)
), logged as (
  insert into audit_inbox (body)
  select $101::bytea from written where committed and (select feature_level from versions) >= 3
)
select
  committed as "committed!", moment as "moment!: At", coalesce(xid, '') as "xid!", leased as "leased?",
  lease_seqs as "lease_seqs?", told as "told?", told_closed as "told_closed?", told_failed as "told_failed?"
from written
