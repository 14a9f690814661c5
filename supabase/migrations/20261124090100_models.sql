-- Eight well-known image models at Replicate, with the parameters they start from.
insert into public.models (id, display_name, version, default_parameters) values
    ('black-forest-labs/flux-schnell', 'FLUX.1 schnell', null, '{"num_inference_steps": 4}'),
    ('black-forest-labs/flux-dev', 'FLUX.1 dev', null, '{"num_inference_steps": 28, "guidance": 3.5}'),
    ('black-forest-labs/flux-1.1-pro', 'FLUX 1.1 pro', null, '{"prompt_upsampling": false}'),
    ('stability-ai/stable-diffusion-3.5-large', 'Stable Diffusion 3.5 Large', null, '{"cfg": 5, "steps": 35}'),
    ('stability-ai/sdxl', 'SDXL', '39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b',
     '{"num_inference_steps": 30, "guidance_scale": 7.5}'),
    ('ideogram-ai/ideogram-v3-turbo', 'Ideogram v3 Turbo', null, '{"style_type": "Auto"}'),
    ('recraft-ai/recraft-v3', 'Recraft V3', null, '{"style": "any"}'),
    ('google/imagen-4', 'Imagen 4', null, '{"safety_filter_level": "block_only_high"}')
on conflict (id) do nothing;
