delete from controllers where controller_id = $1
