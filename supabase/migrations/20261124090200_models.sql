-- The models that generations can use: well-known ones at Replicate, and the functions that add or change one.

-- As their pages at Replicate describe them. The simulator reads this list too. Prices are estimates, to be
-- checked against the account by its operator: for a model that is billed by the second, such as SDXL, an
-- average; for one that is billed by the pixel, that of one megapixel.
insert into public.models as m (
    id, display_name, version, price_per_image, output_shape, default_parameters, size_rules, input_schema
)
select id, display_name, version, price_per_image, output_shape, default_parameters, size_rules, input_schema
from jsonb_to_recordset($models$[
{"id": "black-forest-labs/flux-schnell", "display_name": "FLUX.1 schnell", "version": null, "price_per_image": 0.003, "output_shape": "uri[]", "default_parameters": {"num_inference_steps": 4}, "size_rules": {"sizes": {"1:1": [1024, 1024], "16:9": [1344, 768], "21:9": [1536, 640], "3:2": [1216, 832], "2:3": [832, 1216], "4:5": [896, 1088], "5:4": [1088, 896], "3:4": [896, 1152], "4:3": [1152, 896], "9:16": [768, 1344], "9:21": [640, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"], "default": "1:1", "x-order": 1},
 "num_outputs": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1, "x-order": 2},
 "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 4, "default": 4, "x-order": 3, "title": "Steps", "description": "More steps, finer image, longer run."},
 "seed": {"type": "integer", "x-order": 4},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 5},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 6},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 7},
 "go_fast": {"type": "boolean", "default": true, "x-order": 8, "title": "Go fast", "description": "Runs with reduced precision."},
 "megapixels": {"type": "string", "enum": ["1", "0.25"], "default": "1", "x-order": 9}}},
{"id": "black-forest-labs/flux-dev", "display_name": "FLUX.1 dev", "version": null, "price_per_image": 0.025, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "16:9": [1344, 768], "21:9": [1536, 640], "3:2": [1216, 832], "2:3": [832, 1216], "4:5": [896, 1088], "5:4": [1088, 896], "3:4": [896, 1152], "4:3": [1152, 896], "9:16": [768, 1344], "9:21": [640, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"], "default": "1:1", "x-order": 1},
 "image": {"type": "string", "format": "uri", "x-order": 2},
 "prompt_strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.8, "x-order": 3},
 "num_outputs": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1, "x-order": 4},
 "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28, "x-order": 5, "title": "Steps", "description": "More steps, finer image, longer run."},
 "guidance": {"type": "number", "minimum": 0, "maximum": 10, "default": 3, "x-order": 6, "title": "Guidance", "description": "How closely the image follows the prompt."},
 "seed": {"type": "integer", "x-order": 7},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 8},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 9},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 10},
 "go_fast": {"type": "boolean", "default": true, "x-order": 11, "title": "Go fast", "description": "Runs with reduced precision."},
 "megapixels": {"type": "string", "enum": ["1", "0.25"], "default": "1", "x-order": 12}}},
{"id": "black-forest-labs/flux-1.1-pro", "display_name": "FLUX 1.1 pro", "version": null, "price_per_image": 0.04, "output_shape": "uri", "default_parameters": {}, "size_rules": {"multiple": 32, "sizes": {"1:1": [1024, 1024], "16:9": [1344, 768], "21:9": [1536, 640], "3:2": [1216, 832], "2:3": [832, 1216], "4:5": [896, 1088], "5:4": [1088, 896], "3:4": [896, 1152], "4:3": [1152, 896], "9:16": [768, 1344], "9:21": [640, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "image_prompt": {"type": "string", "format": "uri", "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"], "default": "1:1", "x-order": 2},
 "width": {"type": "integer", "minimum": 256, "maximum": 1440, "x-order": 3},
 "height": {"type": "integer", "minimum": 256, "maximum": 1440, "x-order": 4},
 "safety_tolerance": {"type": "integer", "minimum": 1, "maximum": 6, "default": 2, "x-order": 5, "title": "Safety tolerance", "description": "1 is strictest."},
 "seed": {"type": "integer", "x-order": 6},
 "prompt_upsampling": {"type": "boolean", "default": false, "x-order": 7, "title": "Prompt upsampling", "description": "Lets the model rewrite the prompt."},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 8},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 9}}},
{"id": "black-forest-labs/flux-1.1-pro-ultra", "display_name": "FLUX 1.1 pro ultra", "version": null, "price_per_image": 0.06, "output_shape": "uri", "default_parameters": {}, "size_rules": {"megapixels": 4}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "raw": {"type": "boolean", "default": false, "x-order": 1},
 "seed": {"type": "integer", "x-order": 2},
 "aspect_ratio": {"type": "string", "enum": ["21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "9:21"], "default": "1:1", "x-order": 3},
 "image_prompt": {"type": "string", "format": "uri", "x-order": 4},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg", "x-order": 5},
 "safety_tolerance": {"type": "integer", "minimum": 1, "maximum": 6, "default": 2, "x-order": 6, "title": "Safety tolerance", "description": "1 is strictest."},
 "image_prompt_strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.1, "x-order": 7}}},
{"id": "black-forest-labs/flux-2-pro", "display_name": "FLUX.2 pro", "version": null, "price_per_image": 0.03, "output_shape": "uri", "default_parameters": {}, "size_rules": {"multiple": 16}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "input_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"], "default": "1:1", "x-order": 2},
 "resolution": {"type": "string", "enum": ["match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"], "default": "1 MP", "x-order": 3},
 "width": {"type": "integer", "minimum": 256, "maximum": 2048, "nullable": true, "x-order": 4},
 "height": {"type": "integer", "minimum": 256, "maximum": 2048, "nullable": true, "x-order": 5},
 "safety_tolerance": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2, "x-order": 6, "title": "Safety tolerance", "description": "1 is strictest."},
 "seed": {"type": "integer", "x-order": 7},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 8},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 9}}},
{"id": "black-forest-labs/flux-2-flex", "display_name": "FLUX.2 flex", "version": null, "price_per_image": 0.06, "output_shape": "uri", "default_parameters": {}, "size_rules": {"multiple": 16}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "input_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"], "default": "1:1", "x-order": 2},
 "resolution": {"type": "string", "enum": ["match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"], "default": "1 MP", "x-order": 3},
 "width": {"type": "integer", "minimum": 256, "maximum": 2048, "nullable": true, "x-order": 4},
 "height": {"type": "integer", "minimum": 256, "maximum": 2048, "nullable": true, "x-order": 5},
 "safety_tolerance": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2, "x-order": 6, "title": "Safety tolerance", "description": "1 is strictest."},
 "seed": {"type": "integer", "x-order": 7},
 "prompt_upsampling": {"type": "boolean", "default": true, "x-order": 8, "title": "Prompt upsampling", "description": "Lets the model rewrite the prompt."},
 "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 30, "x-order": 9, "title": "Steps", "description": "More steps, finer image, longer run."},
 "guidance": {"type": "number", "minimum": 1.5, "maximum": 10, "default": 4.5, "x-order": 10, "title": "Guidance", "description": "How closely the image follows the prompt."},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 11},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 12}}},
{"id": "black-forest-labs/flux-2-max", "display_name": "FLUX.2 max", "version": null, "price_per_image": 0.07, "output_shape": "uri", "default_parameters": {}, "size_rules": {"multiple": 16}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "input_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"], "default": "1:1", "x-order": 2},
 "resolution": {"type": "string", "enum": ["match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"], "default": "1 MP", "x-order": 3},
 "width": {"type": "integer", "minimum": 256, "maximum": 2048, "nullable": true, "x-order": 4},
 "height": {"type": "integer", "minimum": 256, "maximum": 2048, "nullable": true, "x-order": 5},
 "safety_tolerance": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2, "x-order": 6, "title": "Safety tolerance", "description": "1 is strictest."},
 "seed": {"type": "integer", "x-order": 7},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 8},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 9}}},
{"id": "black-forest-labs/flux-2-dev", "display_name": "FLUX.2 dev", "version": null, "price_per_image": 0.012, "output_shape": "uri", "default_parameters": {}, "size_rules": {"multiple": 32}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "input_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "go_fast": {"type": "boolean", "default": true, "x-order": 2, "title": "Go fast", "description": "Runs with reduced precision."},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"], "default": "1:1", "x-order": 3},
 "width": {"type": "integer", "minimum": 256, "maximum": 1440, "nullable": true, "x-order": 4},
 "height": {"type": "integer", "minimum": 256, "maximum": 1440, "nullable": true, "x-order": 5},
 "seed": {"type": "integer", "nullable": true, "x-order": 6},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 7},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 8},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 9}}},
{"id": "black-forest-labs/flux-2-klein-4b", "display_name": "FLUX.2 klein 4B", "version": null, "price_per_image": 0.001, "output_shape": null, "default_parameters": {}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "seed": {"type": "integer", "x-order": 1},
 "images": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 2},
 "go_fast": {"type": "boolean", "default": false, "x-order": 3, "title": "Go fast", "description": "Runs with reduced precision."},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "21:9", "9:21", "match_input_image"], "default": "1:1", "x-order": 4},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "jpg", "x-order": 5},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 95, "x-order": 6},
 "output_megapixels": {"type": "string", "enum": ["0.25", "0.5", "1", "2", "4"], "default": "1", "x-order": 7},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 8}}},
{"id": "stability-ai/stable-diffusion-3.5-large", "display_name": "Stable Diffusion 3.5 Large", "version": null, "price_per_image": 0.065, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "16:9": [1344, 768], "21:9": [1536, 640], "3:2": [1216, 832], "2:3": [832, 1216], "4:5": [896, 1088], "5:4": [1088, 896], "3:4": [896, 1152], "4:3": [1152, 896], "9:16": [768, 1344], "9:21": [640, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "cfg": {"type": "number", "minimum": 1, "maximum": 10, "default": 5, "x-order": 1, "title": "Guidance", "description": "How closely the image follows the prompt."},
 "seed": {"type": "integer", "x-order": 2},
 "image": {"type": "string", "format": "uri", "x-order": 3},
 "aspect_ratio": {"type": "string", "enum": ["16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"], "default": "1:1", "x-order": 4},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 5},
 "negative_prompt": {"type": "string", "x-order": 6},
 "prompt_strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.85, "x-order": 7}}},
{"id": "stability-ai/sdxl", "display_name": "SDXL", "version": "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b", "price_per_image": 0.005, "output_shape": "uri[]", "default_parameters": {"num_inference_steps": 30}, "size_rules": {"multiple": 8}, "input_schema": {
 "prompt": {"type": "string", "default": "An astronaut riding a rainbow unicorn", "x-order": 0},
 "negative_prompt": {"type": "string", "default": "", "x-order": 1},
 "image": {"type": "string", "format": "uri", "x-order": 2},
 "mask": {"type": "string", "format": "uri", "x-order": 3},
 "width": {"type": "integer", "default": 1024, "x-order": 4},
 "height": {"type": "integer", "default": 1024, "x-order": 5},
 "num_outputs": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1, "x-order": 6},
 "scheduler": {"type": "string", "enum": ["DDIM", "DPMSolverMultistep", "HeunDiscrete", "KarrasDPM", "K_EULER_ANCESTRAL", "K_EULER", "PNDM"], "default": "K_EULER", "x-order": 7},
 "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50, "x-order": 8, "title": "Steps", "description": "More steps, finer image, longer run."},
 "guidance_scale": {"type": "number", "minimum": 1, "maximum": 50, "default": 7.5, "x-order": 9, "title": "Guidance", "description": "How closely the image follows the prompt."},
 "prompt_strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.8, "x-order": 10},
 "seed": {"type": "integer", "x-order": 11},
 "refine": {"type": "string", "enum": ["no_refiner", "expert_ensemble_refiner", "base_image_refiner"], "default": "no_refiner", "x-order": 12},
 "high_noise_frac": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.8, "x-order": 13},
 "refine_steps": {"type": "integer", "x-order": 14},
 "apply_watermark": {"type": "boolean", "default": true, "x-order": 15},
 "lora_scale": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.6, "x-order": 16},
 "replicate_weights": {"type": "string", "x-order": 17},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 18}}},
{"id": "ideogram-ai/ideogram-v3-turbo", "display_name": "Ideogram v3 Turbo", "version": null, "price_per_image": 0.03, "output_shape": "uri", "default_parameters": {"style_type": "Auto"}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["1:3", "3:1", "1:2", "2:1", "9:16", "16:9", "10:16", "16:10", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "1:1"], "default": "1:1", "x-order": 1},
 "resolution": {"type": "string", "enum": ["None", "512x1536", "576x1408", "576x1472", "576x1536", "640x1344", "640x1408", "640x1472", "640x1536", "704x1152", "704x1216", "704x1280", "704x1344", "704x1408", "704x1472", "736x1312", "768x1088", "768x1216", "768x1280", "768x1344", "800x1280", "832x960", "832x1024", "832x1088", "832x1152", "832x1216", "832x1248", "864x1152", "896x960", "896x1024", "896x1088", "896x1120", "896x1152", "960x832", "960x896", "960x1024", "960x1088", "1024x832", "1024x896", "1024x960", "1024x1024", "1088x768", "1088x832", "1088x896", "1088x960", "1120x896", "1152x704", "1152x832", "1152x864", "1152x896", "1216x704", "1216x768", "1216x832", "1248x832", "1280x704", "1280x768", "1280x800", "1312x736", "1344x640", "1344x704", "1344x768", "1408x576", "1408x640", "1408x704", "1472x576", "1472x640", "1472x704", "1536x512", "1536x576", "1536x640"], "default": "None", "x-order": 2},
 "magic_prompt_option": {"type": "string", "enum": ["Auto", "On", "Off"], "default": "Auto", "x-order": 3, "title": "Magic prompt", "description": "Lets the model rewrite the prompt."},
 "image": {"type": "string", "format": "uri", "nullable": true, "x-order": 4},
 "mask": {"type": "string", "format": "uri", "nullable": true, "x-order": 5},
 "style_type": {"type": "string", "enum": ["None", "Auto", "General", "Realistic", "Design"], "default": "None", "x-order": 6},
 "style_reference_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "nullable": true, "x-order": 7},
 "seed": {"type": "integer", "maximum": 2147483647, "nullable": true, "x-order": 8},
 "style_preset": {"type": "string", "enum": ["None", "80s Illustration", "90s Nostalgia", "Abstract Organic", "Analog Nostalgia", "Art Brut", "Art Deco", "Art Poster", "Aura", "Avant Garde", "Bauhaus", "Blueprint", "Blurry Motion", "Bright Art", "C4D Cartoon", "Children's Book", "Collage", "Coloring Book I", "Coloring Book II", "Cubism", "Dark Aura", "Doodle", "Double Exposure", "Dramatic Cinema", "Editorial", "Emotional Minimal", "Ethereal Party", "Expired Film", "Flat Art", "Flat Vector", "Forest Reverie", "Geo Minimalist", "Glass Prism", "Golden Hour", "Graffiti I", "Graffiti II", "Halftone Print", "High Contrast", "Hippie Era", "Iconic", "Japandi Fusion", "Jazzy", "Long Exposure", "Magazine Editorial", "Minimal Illustration", "Mixed Media", "Monochrome", "Nightlife", "Oil Painting", "Old Cartoons", "Paint Gesture", "Pop Art", "Retro Etching", "Riviera Pop", "Spotlight 80s", "Stylized Red", "Surreal Collage", "Travel Poster", "Vintage Geo", "Vintage Poster", "Watercolor", "Weird", "Woodblock Print"], "default": "None", "x-order": 9}}},
{"id": "ideogram-ai/ideogram-v3-quality", "display_name": "Ideogram v3 Quality", "version": null, "price_per_image": 0.09, "output_shape": "uri", "default_parameters": {"style_type": "Auto"}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["1:3", "3:1", "1:2", "2:1", "9:16", "16:9", "10:16", "16:10", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "1:1"], "default": "1:1", "x-order": 1},
 "resolution": {"type": "string", "enum": ["None", "512x1536", "576x1408", "576x1472", "576x1536", "640x1344", "640x1408", "640x1472", "640x1536", "704x1152", "704x1216", "704x1280", "704x1344", "704x1408", "704x1472", "736x1312", "768x1088", "768x1216", "768x1280", "768x1344", "800x1280", "832x960", "832x1024", "832x1088", "832x1152", "832x1216", "832x1248", "864x1152", "896x960", "896x1024", "896x1088", "896x1120", "896x1152", "960x832", "960x896", "960x1024", "960x1088", "1024x832", "1024x896", "1024x960", "1024x1024", "1088x768", "1088x832", "1088x896", "1088x960", "1120x896", "1152x704", "1152x832", "1152x864", "1152x896", "1216x704", "1216x768", "1216x832", "1248x832", "1280x704", "1280x768", "1280x800", "1312x736", "1344x640", "1344x704", "1344x768", "1408x576", "1408x640", "1408x704", "1472x576", "1472x640", "1472x704", "1536x512", "1536x576", "1536x640"], "default": "None", "x-order": 2},
 "magic_prompt_option": {"type": "string", "enum": ["Auto", "On", "Off"], "default": "Auto", "x-order": 3, "title": "Magic prompt", "description": "Lets the model rewrite the prompt."},
 "image": {"type": "string", "format": "uri", "nullable": true, "x-order": 4},
 "mask": {"type": "string", "format": "uri", "nullable": true, "x-order": 5},
 "style_type": {"type": "string", "enum": ["None", "Auto", "General", "Realistic", "Design"], "default": "None", "x-order": 6},
 "style_reference_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "nullable": true, "x-order": 7},
 "seed": {"type": "integer", "maximum": 2147483647, "nullable": true, "x-order": 8},
 "style_preset": {"type": "string", "enum": ["None", "80s Illustration", "90s Nostalgia", "Abstract Organic", "Analog Nostalgia", "Art Brut", "Art Deco", "Art Poster", "Aura", "Avant Garde", "Bauhaus", "Blueprint", "Blurry Motion", "Bright Art", "C4D Cartoon", "Children's Book", "Collage", "Coloring Book I", "Coloring Book II", "Cubism", "Dark Aura", "Doodle", "Double Exposure", "Dramatic Cinema", "Editorial", "Emotional Minimal", "Ethereal Party", "Expired Film", "Flat Art", "Flat Vector", "Forest Reverie", "Geo Minimalist", "Glass Prism", "Golden Hour", "Graffiti I", "Graffiti II", "Halftone Print", "High Contrast", "Hippie Era", "Iconic", "Japandi Fusion", "Jazzy", "Long Exposure", "Magazine Editorial", "Minimal Illustration", "Mixed Media", "Monochrome", "Nightlife", "Oil Painting", "Old Cartoons", "Paint Gesture", "Pop Art", "Retro Etching", "Riviera Pop", "Spotlight 80s", "Stylized Red", "Surreal Collage", "Travel Poster", "Vintage Geo", "Vintage Poster", "Watercolor", "Weird", "Woodblock Print"], "default": "None", "x-order": 9}}},
{"id": "recraft-ai/recraft-v3", "display_name": "Recraft V3", "version": null, "price_per_image": 0.04, "output_shape": "uri", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "size": {"type": "string", "enum": ["1024x1024", "1365x1024", "1024x1365", "1536x1024", "1024x1536", "1820x1024", "1024x1820", "1024x2048", "2048x1024", "1434x1024", "1024x1434", "1024x1280", "1280x1024", "1024x1707", "1707x1024"], "default": "1024x1024", "x-order": 1},
 "style": {"type": "string", "enum": ["any", "realistic_image", "digital_illustration", "digital_illustration/pixel_art", "digital_illustration/hand_drawn", "digital_illustration/grain", "digital_illustration/infantile_sketch", "digital_illustration/2d_art_poster", "digital_illustration/handmade_3d", "digital_illustration/hand_drawn_outline", "digital_illustration/engraving_color", "digital_illustration/2d_art_poster_2", "realistic_image/b_and_w", "realistic_image/hard_flash", "realistic_image/hdr", "realistic_image/natural_light", "realistic_image/studio_portrait", "realistic_image/enterprise", "realistic_image/motion_blur"], "default": "any", "x-order": 2},
 "aspect_ratio": {"type": "string", "enum": ["Not set", "1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16", "1:2", "2:1", "7:5", "5:7", "4:5", "5:4", "3:5", "5:3"], "default": "Not set", "x-order": 3}}},
{"id": "recraft-ai/recraft-v4", "display_name": "Recraft V4", "version": null, "price_per_image": 0.04, "output_shape": null, "default_parameters": {}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["Not set", "1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16", "1:2", "2:1", "14:10", "10:14", "4:5", "5:4", "6:10"], "default": "Not set", "x-order": 1},
 "size": {"type": "string", "enum": ["1024x1024", "1536x768", "768x1536", "1280x832", "832x1280", "1216x896", "896x1216", "1152x896", "896x1152", "832x1344", "1280x896", "896x1280", "1344x768", "768x1344"], "default": "1024x1024", "x-order": 2}}},
{"id": "google/imagen-4", "display_name": "Imagen 4", "version": null, "price_per_image": 0.04, "output_shape": "uri", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "3:4": [896, 1280], "4:3": [1280, 896], "9:16": [768, 1408], "16:9": [1408, 768]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "9:16", "16:9", "3:4", "4:3"], "default": "1:1", "x-order": 1},
 "image_size": {"type": "string", "enum_partial": ["1K", "2K"], "default": "1K", "x-order": 2},
 "safety_filter_level": {"type": "string", "enum": ["block_low_and_above", "block_medium_and_above", "block_only_high"], "default": "block_only_high", "x-order": 3, "title": "Safety filter"},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg", "x-order": 4}}},
{"id": "google/imagen-4-fast", "display_name": "Imagen 4 Fast", "version": null, "price_per_image": 0.02, "output_shape": "uri", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "3:4": [896, 1280], "4:3": [1280, 896], "9:16": [768, 1408], "16:9": [1408, 768]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "9:16", "16:9", "3:4", "4:3"], "default": "1:1", "x-order": 1},
 "safety_filter_level": {"type": "string", "enum": ["block_low_and_above", "block_medium_and_above", "block_only_high"], "default": "block_only_high", "x-order": 2, "title": "Safety filter"},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg", "x-order": 3}}},
{"id": "bytedance/seedream-4", "display_name": "Seedream 4", "version": null, "price_per_image": 0.03, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {"megapixels": 4, "sizes": {"1:1": [2048, 2048], "4:3": [2304, 1728], "3:4": [1728, 2304], "16:9": [2560, 1440], "9:16": [1440, 2560], "3:2": [2496, 1664], "2:3": [1664, 2496], "21:9": [3024, 1296]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "size": {"type": "string", "enum": ["1K", "2K", "4K", "custom"], "default": "2K", "x-order": 2},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"], "default": "match_input_image", "x-order": 3},
 "width": {"type": "integer", "minimum": 1024, "maximum": 4096, "default": 2048, "x-order": 4},
 "height": {"type": "integer", "minimum": 1024, "maximum": 4096, "default": 2048, "x-order": 5},
 "sequential_image_generation": {"type": "string", "enum": ["disabled", "auto"], "default": "disabled", "x-order": 6},
 "max_images": {"type": "integer", "minimum": 1, "maximum": 15, "default": 1, "x-order": 7},
 "enhance_prompt": {"type": "boolean", "default": true, "x-order": 8, "title": "Enhance prompt", "description": "Lets the model rewrite the prompt."}}},
{"id": "bytedance/seedream-4.5", "display_name": "Seedream 4.5", "version": null, "price_per_image": 0.04, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {"megapixels": 4, "sizes": {"1:1": [2048, 2048], "4:3": [2304, 1728], "3:4": [1728, 2304], "16:9": [2560, 1440], "9:16": [1440, 2560], "3:2": [2496, 1664], "2:3": [1664, 2496], "21:9": [3024, 1296]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "maxLength": 4000, "x-order": 0},
 "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "size": {"type": "string", "enum": ["2K", "4K", "custom"], "default": "2K", "x-order": 2},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"], "default": "match_input_image", "x-order": 3},
 "width": {"type": "integer", "minimum": 1024, "maximum": 4096, "default": 2048, "x-order": 4},
 "height": {"type": "integer", "minimum": 1024, "maximum": 4096, "default": 2048, "x-order": 5},
 "sequential_image_generation": {"type": "string", "enum": ["disabled", "auto"], "default": "disabled", "x-order": 6},
 "max_images": {"type": "integer", "minimum": 1, "maximum": 15, "default": 1, "x-order": 7},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 8}}},
{"id": "qwen/qwen-image", "display_name": "Qwen Image", "version": null, "price_per_image": 0.025, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1328, 1328], "16:9": [1664, 928], "9:16": [928, 1664], "4:3": [1472, 1104], "3:4": [1104, 1472], "3:2": [1584, 1056], "2:3": [1056, 1584]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "enhance_prompt": {"type": "boolean", "default": false, "x-order": 1, "title": "Enhance prompt", "description": "Lets the model rewrite the prompt."},
 "lora_weights": {"type": "string", "nullable": true, "x-order": 2},
 "replicate_weights": {"type": "string", "nullable": true, "x-order": 3},
 "lora_scale": {"type": "number", "default": 1, "x-order": 4},
 "extra_lora_weights": {"type": "array", "items": {"type": "string"}, "nullable": true, "x-order": 5},
 "extra_lora_scale": {"type": "array", "items": {"type": "number"}, "nullable": true, "x-order": 6},
 "image": {"type": "string", "format": "uri", "x-order": 7},
 "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.9, "x-order": 8},
 "negative_prompt": {"type": "string", "default": " ", "x-order": 9},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"], "default": "16:9", "x-order": 10},
 "image_size": {"type": "string", "enum": ["optimize_for_quality", "optimize_for_speed"], "default": "optimize_for_quality", "x-order": 11},
 "go_fast": {"type": "boolean", "default": true, "x-order": 12, "title": "Go fast", "description": "Runs with reduced precision."},
 "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 30, "x-order": 13, "title": "Steps", "description": "More steps, finer image, longer run."},
 "guidance": {"type": "number", "minimum": 0, "maximum": 10, "default": 3, "x-order": 14, "title": "Guidance", "description": "How closely the image follows the prompt."},
 "seed": {"type": "integer", "nullable": true, "x-order": 15},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 16},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 17},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 18}}},
{"id": "openai/gpt-image-1.5", "display_name": "GPT Image 1.5", "version": null, "price_per_image": 0.136, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "3:2": [1536, 1024], "2:3": [1024, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "openai_api_key": {"type": "string", "x-cog-secret": true, "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["1:1", "3:2", "2:3"], "default": "1:1", "x-order": 2},
 "input_fidelity": {"type": "string", "enum": ["low", "high"], "default": "low", "x-order": 3},
 "input_images": {"type": "array", "items": {"type": "string", "format": "uri"}, "nullable": true, "x-order": 4},
 "number_of_images": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1, "x-order": 5},
 "quality": {"type": "string", "enum": ["low", "medium", "high", "auto"], "default": "auto", "x-order": 6},
 "background": {"type": "string", "enum": ["auto", "transparent", "opaque"], "default": "auto", "x-order": 7},
 "output_compression": {"type": "integer", "minimum": 0, "maximum": 100, "default": 90, "x-order": 8},
 "output_format": {"type": "string", "enum": ["png", "jpeg", "webp"], "default": "webp", "x-order": 9},
 "moderation": {"type": "string", "enum": ["auto", "low"], "default": "auto", "x-order": 10},
 "user_id": {"type": "string", "nullable": true, "x-order": 11}}},
{"id": "prunaai/z-image-turbo", "display_name": "Z-Image Turbo (Pruna)", "version": null, "price_per_image": 0.005, "output_shape": "uri", "default_parameters": {}, "size_rules": {"multiple": 16}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "height": {"type": "integer", "minimum": 64, "maximum": 2048, "default": 1024, "x-order": 1},
 "width": {"type": "integer", "minimum": 64, "maximum": 2048, "default": 1024, "x-order": 2},
 "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 8, "x-order": 3, "title": "Steps", "description": "More steps, finer image, longer run."},
 "guidance_scale": {"type": "number", "minimum": 0, "maximum": 20, "default": 0, "x-order": 4, "title": "Guidance", "description": "How closely the image follows the prompt."},
 "seed": {"type": "integer", "nullable": true, "x-order": 5},
 "go_fast": {"type": "boolean", "default": false, "x-order": 6, "title": "Go fast", "description": "Runs with reduced precision."},
 "output_format": {"type": "string", "enum": ["png", "jpg", "webp"], "default": "jpg", "x-order": 7},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 8}}},
{"id": "black-forest-labs/flux-kontext-pro", "display_name": "FLUX.1 Kontext pro", "version": null, "price_per_image": 0.04, "output_shape": "uri", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "16:9": [1344, 768], "21:9": [1536, 640], "3:2": [1216, 832], "2:3": [832, 1216], "4:5": [896, 1088], "5:4": [1088, 896], "3:4": [896, 1152], "4:3": [1152, 896], "9:16": [768, 1344], "9:21": [640, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "input_image": {"type": "string", "format": "uri", "nullable": true, "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21", "2:1", "1:2"], "default": "match_input_image", "x-order": 2},
 "seed": {"type": "integer", "nullable": true, "x-order": 3},
 "safety_tolerance": {"type": "integer", "minimum": 0, "maximum": 6, "default": 2, "x-order": 4, "title": "Safety tolerance", "description": "0 is strictest; at most 2 with an input image."},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "png", "x-order": 5},
 "prompt_upsampling": {"type": "boolean", "default": false, "x-order": 6, "title": "Prompt upsampling", "description": "Lets the model rewrite the prompt."}}},
{"id": "black-forest-labs/flux-kontext-max", "display_name": "FLUX.1 Kontext max", "version": null, "price_per_image": 0.08, "output_shape": "uri", "default_parameters": {}, "size_rules": {"sizes": {"1:1": [1024, 1024], "16:9": [1344, 768], "21:9": [1536, 640], "3:2": [1216, 832], "2:3": [832, 1216], "4:5": [896, 1088], "5:4": [1088, 896], "3:4": [896, 1152], "4:3": [1152, 896], "9:16": [768, 1344], "9:21": [640, 1536]}}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "input_image": {"type": "string", "format": "uri", "nullable": true, "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21", "2:1", "1:2"], "default": "match_input_image", "x-order": 2},
 "seed": {"type": "integer", "nullable": true, "x-order": 3},
 "safety_tolerance": {"type": "integer", "minimum": 0, "maximum": 6, "default": 2, "x-order": 4, "title": "Safety tolerance", "description": "0 is strictest; at most 2 with an input image."},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "png", "x-order": 5},
 "prompt_upsampling": {"type": "boolean", "default": false, "x-order": 6, "title": "Prompt upsampling", "description": "Lets the model rewrite the prompt."}}},
{"id": "google/nano-banana", "display_name": "Nano Banana", "version": null, "price_per_image": 0.039, "output_shape": "uri", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"], "default": "match_input_image", "x-order": 2},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg", "x-order": 3}}},
{"id": "google/nano-banana-pro", "display_name": "Nano Banana Pro", "version": null, "price_per_image": 0.15, "output_shape": "uri", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": [], "x-order": 1},
 "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"], "default": "match_input_image", "x-order": 2},
 "resolution": {"type": "string", "enum": ["1K", "2K", "4K"], "default": "2K", "x-order": 3},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg", "x-order": 4},
 "safety_filter_level": {"type": "string", "enum": ["block_low_and_above", "block_medium_and_above", "block_only_high"], "default": "block_only_high", "x-order": 5, "title": "Safety filter"},
 "allow_fallback_model": {"type": "boolean", "default": false, "x-order": 6}}},
{"id": "qwen/qwen-image-edit", "display_name": "Qwen Image Edit", "version": null, "price_per_image": null, "output_shape": "uri[]", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "prompt": {"type": "string", "required": true, "x-order": 0},
 "image": {"type": "string", "format": "uri", "required": true, "x-order": 1},
 "seed": {"type": "integer", "x-order": 2},
 "go_fast": {"type": "boolean", "default": true, "x-order": 3, "title": "Go fast", "description": "Runs with reduced precision."},
 "output_format": {"type": "string", "enum": ["webp", "jpg", "png"], "default": "webp", "x-order": 4},
 "output_quality": {"type": "integer", "minimum": 0, "maximum": 100, "default": 80, "x-order": 5},
 "disable_safety_checker": {"type": "boolean", "default": false, "x-order": 6}}},
{"id": "topazlabs/image-upscale", "display_name": "Topaz Image Upscale", "version": null, "price_per_image": null, "output_shape": "uri", "default_parameters": {"upscale_factor": "2x"}, "size_rules": {}, "input_schema": {
 "image": {"type": "string", "format": "uri", "required": true, "x-order": 0},
 "enhance_model": {"type": "string", "enum": ["Standard V2", "Low Resolution V2", "CGI", "High Fidelity V2", "Text Refine"], "default": "Standard V2", "x-order": 1},
 "upscale_factor": {"type": "string", "enum": ["None", "2x", "4x", "6x"], "default": "None", "x-order": 2, "title": "Scale"},
 "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg", "x-order": 3},
 "subject_detection": {"type": "string", "enum": ["None", "All", "Foreground", "Background"], "default": "None", "x-order": 4},
 "face_enhancement": {"type": "boolean", "default": false, "x-order": 5, "title": "Enhance faces"},
 "face_enhancement_creativity": {"type": "number", "minimum": 0, "maximum": 1, "default": 0, "x-order": 6},
 "face_enhancement_strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.8, "x-order": 7}}},
{"id": "nightmareai/real-esrgan", "display_name": "Real-ESRGAN", "version": "f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa", "price_per_image": null, "output_shape": "uri", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "image": {"type": "string", "format": "uri", "required": true, "x-order": 0},
 "scale": {"type": "number", "minimum": 0, "maximum": 10, "default": 4, "x-order": 1, "title": "Scale", "description": "How many times larger each side becomes."},
 "face_enhance": {"type": "boolean", "default": false, "x-order": 2, "title": "Enhance faces"}}},
{"id": "851-labs/background-remover", "display_name": "Background Remover (851 Labs)", "version": "a029dff38972b5fda4ec5d75d7d1cd25aeff621d2cf4946a41055d7db66b80bc", "price_per_image": null, "output_shape": "uri", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "image": {"type": "string", "format": "uri", "required": true, "x-order": 0},
 "threshold": {"type": "number", "default": 0, "x-order": 1},
 "reverse": {"type": "boolean", "default": false, "x-order": 2},
 "background_type": {"type": "string", "default": "rgba", "x-order": 3},
 "format": {"type": "string", "default": "png", "x-order": 4}}},
{"id": "lucataco/remove-bg", "display_name": "Remove BG", "version": "95fcc2a26d3899cd6c2691c900465aaeff466285a65c14638cc5f36f34befaf1", "price_per_image": null, "output_shape": "uri", "default_parameters": {}, "size_rules": {}, "input_schema": {
 "image": {"type": "string", "format": "uri", "required": true, "x-order": 0}}}
]$models$) as said (
    id text, display_name text, version text, price_per_image numeric, output_shape text, default_parameters jsonb,
    size_rules jsonb, input_schema jsonb
)
-- A model that an existing deployment already has keeps its name and version.
on conflict (id) do update
set price_per_image = excluded.price_per_image, output_shape = excluded.output_shape,
    default_parameters = excluded.default_parameters,
    size_rules = excluded.size_rules, input_schema = excluded.input_schema;

create function public.check_model(p_id text, p_display_name text, p_version text) returns void
language plpgsql immutable set search_path = ''
as $$
begin
    if coalesce(p_id, '') !~ '^[a-zA-Z0-9][a-zA-Z0-9._-]*/[a-zA-Z0-9][a-zA-Z0-9._-]*$' then
        raise exception 'the model id % must have the form owner/name', p_id using errcode = '22023';
    end if;
    if coalesce(btrim(p_display_name), '') = '' then
        raise exception 'the display name is empty: enter the name that users see' using errcode = '22023';
    end if;
    if p_version !~ '^[0-9a-f]{64}$' then
        raise exception 'the version is not a Replicate version id: use its 64 hexadecimal digits, or none for an official model'
            using errcode = '22023';
    end if;
end;
$$;
comment on function public.check_model is 'Raises 22023 for a model id, display name or version that cannot be right.';

create function public.check_provider(p_provider text, p_url text) returns void
language plpgsql immutable set search_path = ''
as $$
begin
    if coalesce(p_provider, '') not in ('replicate', 'cog') then
        raise exception 'unknown provider %: choose replicate or cog', p_provider using errcode = '22023';
    end if;
    if (p_provider = 'cog') <> (p_url is not null) then
        raise exception 'a model with the provider cog needs the address of its server, and other models take none' using errcode = '22023';
    end if;
    if p_url !~ '^https?://([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[a-zA-Z0-9._~/-]*)?$' or length(p_url) > 300 then
        raise exception 'invalid server address: use http:// or https://, a host and a port, without a user, password or query'
            using errcode = '22023';
    end if;
end;
$$;
comment on function public.check_provider is
    'Raises 22023 for a provider that is not known, or an address that is missing, holds credentials or is none of a server. Private networks are allowed: only admins enter addresses.';

create function public.unfit_defaults(p_schema jsonb, p_default_parameters jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return (
        select coalesce(jsonb_agg(p), '[]')
        from jsonb_array_elements(public.input_problems(p_schema, p_default_parameters)) p
        where p ->> 'problem' <> 'is missing'
    );
end;
$$;
comment on function public.unfit_defaults is
    'The default parameters that a schema does not allow, as input_problems has them.';

create function public.set_model(
    p_actor text, p_id text, p_display_name text, p_version text, p_default_parameters jsonb, p_price numeric,
    p_enabled boolean, p_operator_fields text[], p_deadline_seconds int
) returns public.models
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.models;
    v_after  public.models;
    v_bad    text;
    v_set    constant text[] :=
        '{display_name,version,default_parameters,price_per_image,enabled,operator_fields,deadline_seconds}'::text[];
begin
    perform public.require_actor(p_actor);
    perform public.check_model(p_id, p_display_name, p_version);
    if jsonb_typeof(p_default_parameters) is distinct from 'object' then
        raise exception 'the default parameters must be a JSON object' using errcode = '22023';
    end if;
    if p_enabled is null or p_price < 0 then
        raise exception 'enabled must be true or false, and the price not below 0' using errcode = '22023';
    end if;
    if p_operator_fields is null or p_deadline_seconds <= 0 then
        raise exception 'the operator-only inputs must be a list, and the deadline above 0' using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('set_model:' || p_id, 0));
    select * into v_before from public.models m where m.id = p_id;
    -- A default that the model does not accept would fail every one of its jobs.
    v_bad := public.problems_in_words(public.unfit_defaults(v_before.input_schema, p_default_parameters));
    if v_bad is not null then
        raise exception 'a default parameter is invalid: %', v_bad using errcode = '22023';
    end if;
    insert into public.models as m (
        id, display_name, version, default_parameters, price_per_image, enabled, operator_fields, deadline_seconds
    )
    values (
        p_id, btrim(p_display_name), p_version, p_default_parameters, p_price, p_enabled, p_operator_fields, p_deadline_seconds
    )
    on conflict (id) do update
    set display_name = excluded.display_name, version = excluded.version,
        default_parameters = excluded.default_parameters, price_per_image = excluded.price_per_image,
        enabled = excluded.enabled, operator_fields = excluded.operator_fields,
        deadline_seconds = excluded.deadline_seconds, updated_at = now()
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_model', 1, jsonb_build_object(
        'model_id', p_id,
        'before', (select jsonb_object_agg(b.key, b.value) from jsonb_each(to_jsonb(v_before)) b where b.key = any (v_set) and v_before.id is not null),
        'after', (select jsonb_object_agg(a.key, a.value) from jsonb_each(to_jsonb(v_after)) a where a.key = any (v_set))
    ));
    return v_after;
end;
$$;
comment on function public.set_model is
    'Adds a model or changes all of it but what it takes, and records what was before. Jobs that wait run with the new values.';

create function public.schema_in_brief(p_model public.models, p_provider_url text) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select jsonb_build_object(
        'version', p_model.version, 'provider', p_model.provider, 'provider_url', p_provider_url, 'output_shape', p_model.output_shape, 'default_parameters', p_model.default_parameters,
        'inputs', (
            select jsonb_agg(f.name order by (f.said ->> 'x-order')::int, f.name)
            from jsonb_each(p_model.input_schema) as f (name, said)
        )
    );
$$;
comment on function public.schema_in_brief is 'What the audit log keeps of a model''s schema: the names of its inputs and what else a refresh changes.';

create function public.save_model_schema(
    p_actor text, p_id text, p_display_name text, p_version text, p_input_schema jsonb, p_output_shape text,
    p_size_rules jsonb, p_provider text default 'replicate', p_provider_url text default null
) returns public.models
language plpgsql volatile set search_path = ''
as $$
declare
    v_before   public.models;
    v_after    public.models;
    v_url      text;
    v_defaults jsonb;
begin
    perform public.require_actor(p_actor);
    perform public.check_model(p_id, p_display_name, p_version);
    perform public.check_provider(p_provider, p_provider_url);
    if jsonb_typeof(p_input_schema) is distinct from 'object' or octet_length(p_input_schema::text) > 200000
       or not p_input_schema ? 'prompt' and not exists (
           select from jsonb_each(p_input_schema) f where public.file_kind(f.value) is not null
       ) then
        raise exception 'the schema has neither a prompt nor an image as input, or is larger than 200 kB' using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('set_model:' || p_id, 0));
    select * into v_before from public.models m where m.id = p_id;
    select s.url into v_url from public.model_servers s where s.model_id = p_id;
    v_defaults := coalesce(v_before.default_parameters, '{}') - array(
        select p ->> 'field' from jsonb_array_elements(public.unfit_defaults(p_input_schema, v_before.default_parameters)) p
    );
    insert into public.models as m (
        id, display_name, version, input_schema, output_shape, size_rules, refreshed_at, provider
    )
    values (
        p_id, btrim(p_display_name), p_version, p_input_schema, p_output_shape, p_size_rules, now(), p_provider
    )
    on conflict (id) do update
    set provider = excluded.provider, version = excluded.version, input_schema = excluded.input_schema,
        output_shape = coalesce(excluded.output_shape, m.output_shape), default_parameters = v_defaults,
        size_rules = case when m.input_schema is null then excluded.size_rules else m.size_rules end,
        refreshed_at = now(), updated_at = now()
    returning * into v_after;
    if p_provider_url is null then
        delete from public.model_servers s where s.model_id = p_id;
    else
        insert into public.model_servers values (p_id, p_provider_url)
        on conflict (model_id) do update set url = excluded.url;
    end if;
    -- No job would ever probe a server that no model names any more.
    delete from public.provider_breakers b
    where b.provider = v_before.provider || ' at ' || v_url
      and not exists (
          select from public.model_servers s join public.models m on m.id = s.model_id
          where m.provider = v_before.provider and s.url = v_url
      );
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, case when v_before.id is null then 'add_model' else 'refresh_model' end, 1, jsonb_build_object(
        'model_id', p_id,
        'before', case when v_before.id is not null then public.schema_in_brief(v_before, v_url) end,
        'after', public.schema_in_brief(v_after, p_provider_url)
    ));
    return v_after;
end;
$$;
comment on function public.save_model_schema is
    'Adds a model as its provider publishes it, or replaces the schema and the provider of one, and records what was before. Default parameters that no longer fit are removed; name, price and what else operators set stay.';
