-- One plan for every completion, by primary keys: choosing it anew cost more than a small batch itself.
alter function public.complete_jobs(uuid[], int[], jsonb[]) set plan_cache_mode = force_generic_plan;
alter function public.complete_jobs(uuid[], int[], jsonb[]) set enable_seqscan = off;
alter function public.complete_jobs(uuid[], int[], jsonb[]) set enable_hashjoin = off;
alter function public.complete_jobs(uuid[], int[], jsonb[]) set enable_mergejoin = off;
alter function public.claim_jobs(int, text[], uuid) set plan_cache_mode = force_generic_plan;
