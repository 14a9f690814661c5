-- Predictions at a provider, as the holder of a claim writes them. The SQL functions are documented
-- in the migrations.

-- name: begin_generation^
select generation_id, status, model_id, version, prediction, provider_id, input::text as input,
       intended_at, intended_seconds, deadline_seconds, user_id, images_asked, outputs_made, outputs,
       given_files, provider, provider_url
from public.begin_generation(:job_id::uuid, :attempt);

-- name: replace_prediction^
select id as prediction, version, public.input_to_send(p)::text as input, created_at as at
from public.replace_prediction(:job_id::uuid, :attempt, :prediction::uuid, :status, :error) as p;

-- name: forget_provider_id$
select public.forget_provider_id(:job_id::uuid, :attempt, :prediction::uuid);

-- name: renew_intent$
select public.renew_intent(:job_id::uuid, :attempt, :prediction::uuid, :given_files::jsonb);

-- name: record_prediction$
select public.record_prediction(:job_id::uuid, :attempt, :provider_id, :prediction::uuid, :status);

-- name: adopt_prediction$
select public.adopt_prediction(:job_id::uuid, :attempt, :prediction::uuid, :provider_ids::text[]);

-- name: drop_intent!
select public.drop_intent(:prediction::uuid);

-- name: end_prediction$
select public.end_prediction(
    :job_id::uuid, :attempt, :prediction::uuid, :status, :error, :log, :predict_seconds, :progress,
    :outputs
);

-- name: record_output$
select public.record_output(
    :job_id::uuid, :attempt, :prediction::uuid, :index, :url, :storage_path, :media_type, :width, :height, :bytes,
    :thumbnail_path
);

-- name: missing_images_notice$
select public.missing_images_notice(:prediction::uuid, :stored);

-- name: unwanted_predictions
-- Marks them as cancelled. Columns: provider_id, provider, provider_url (null for most).
select provider_id, provider, provider_url from public.unwanted_predictions(:job_id::uuid);

-- name: note_uncancelled!
select public.note_uncancelled(:provider, :provider_id);

-- name: hold_claim$
select public.hold_claim(:job_id::uuid, :attempt);
