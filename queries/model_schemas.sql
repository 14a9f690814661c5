-- Adding models, and refreshing their schemas.

-- name: stored^
-- A model. Columns: those of the table that the provider publishes or that depend on them;
-- provider_url: the address of its own server, if it has one.
select
    id, display_name, version, input_schema, output_shape, default_parameters, operator_fields, refreshed_at,
    provider, s.url as provider_url
from public.models m
left join public.model_servers s on s.model_id = m.id
where id = :id;

-- name: unfit_defaults
-- Default parameters of a model that another schema does not allow. Columns: field, problem.
select p ->> 'field' as field, p ->> 'problem' as problem
from public.models m
cross join jsonb_array_elements(public.unfit_defaults(:schema::jsonb, m.default_parameters)) p
where m.id = :id;

-- name: reserved
-- Those of some names of inputs that no request of a user may set. Columns: name.
select n as name from unnest(:names::text[]) n where public.reserved_input(n) is not null;

-- name: check_server!
-- Refuses a provider or an address that no model may have.
select public.check_provider(:provider, :url);

-- name: save!
select public.save_model_schema(
    :actor, :id, :display_name, :version, :schema::jsonb, :output_shape, :size_rules::jsonb, :provider, :provider_url
);
