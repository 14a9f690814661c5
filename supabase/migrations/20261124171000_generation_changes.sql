-- Who waits for a generation need not ask again and again: every change that a user sees is told.

create function public.tell_generation_change() returns trigger
language plpgsql set search_path = ''
as $$
begin
    perform pg_notify('image_generations', new.id::text);
    return null;
end;
$$;
comment on function public.tell_generation_change is
    'Sends the id of a generation that changed to channel image_generations. Hosted clients hear of it by Realtime instead.';

create trigger image_generations_changed
    after insert or update of status, progress, image_url, error_message on public.image_generations
    for each row
    execute function public.tell_generation_change();

revoke execute on function public.tell_generation_change() from public, anon, authenticated;
grant execute on function public.tell_generation_change() to service_role;
