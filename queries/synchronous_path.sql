-- For an application moving to the queue: which path a user takes, and the record of synchronous
-- generations.

-- name: use_async_for_user$
select public.use_async_for_user(:user_id::uuid);

-- name: start_sync_generation^
select generation_id, prediction, version, input::text as input
from public.start_sync_generation(
    :user_id::uuid, :prompt, :model_id, :parameters::jsonb, :source, :provider
);

-- name: end_sync_generation$
select public.end_sync_generation(
    :generation_id::uuid, :outcome, :error_code, :error_message, :image_url, :storage_path,
    :prediction_id, :thumbnail_path, :outputs::jsonb
);
