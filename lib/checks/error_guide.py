"""The error guide: what each kind of error means and how to resolve it.

Entries are looked up by the worker's error code. Errors without a code, from older deployments or
other workers, are matched by their message.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Guide:
    """Guide entry for one kind of error; contains no text from jobs or providers.

    `retry`: whether a manual retry "helps", helps only "after" the cause is fixed, or is
    "useless". `pattern`: regular expression that recognizes errors without a code. With `narrows`,
    errors with the code must match `pattern` too.
    """

    code: str
    title: str
    meaning: str
    todo: str
    retry: Literal["helps", "after", "useless"]
    pattern: str = ""
    narrows: bool = False


CATALOGUE = (
    Guide(
        "unauthorized",
        "The Replicate token is missing, wrong or not allowed to do this",
        "Replicate refuses the API token: it is not set, was revoked, belongs to another account,"
        " or may not use this model. Until it is fixed, every job of the provider fails.",
        "Check the token at Replicate, set REPLICATE_API_TOKEN for every worker and restart them."
        " Then retry.",
        "after",
        r"REPLICATE_API_TOKEN|api (token|key)|unauthori[sz]ed|unauthenticated|\b401\b|\b403\b",
    ),
    Guide(
        "no_credit",
        "The Replicate account has no credit",
        "Replicate runs nothing for an account without credit or with a failed payment.",
        "Add credit or a payment method at Replicate, wait a few minutes, then retry.",
        "after",
        r"insufficient credit|no credit|payment|billing|\b402\b",
    ),
    Guide(
        "rate_limited",
        "Too many requests to Replicate",
        "Replicate limits how many predictions an account may start per minute, to far fewer"
        " without a payment method. The queue holds the model back for as long as Replicate asks,"
        " so a job only fails with this error once other errors have used up its attempts.",
        "Retry; retries are spread over time. If it keeps happening, lower DARKROOM_CONCURRENCY"
        " or ask Replicate for a higher limit.",
        "helps",
        r"rate.?limit|throttl|too many requests|\b429\b",
    ),
    Guide(
        "model_not_found",
        "Replicate has no such model",
        "The model, or the version in the models table, does not exist: a typo, a renamed or"
        " deleted model, or a private model of another account.",
        "Compare the id and version in the models table with the model's page at Replicate. Fix"
        " or disable the model, then retry.",
        "after",
        r"(model|version).{0,80}(does not exist|not found|no such)|no model\b",
    ),
    Guide(
        "invalid_payload",
        "The user is gone",
        "The user who asked for the image has since been deleted, along with the generation.",
        "Nothing to do: nobody is waiting for the image. A retry fails again.",
        "useless",
        r"violates foreign key constraint|user .{0,60}(is gone|not found|does not exist)",
        narrows=True,
    ),
    Guide(
        "invalid_payload",
        "The job's payload can never run",
        "The payload has no prompt, names a generation that is not a UUID, or cannot be read. It"
        " bypassed start-generation, which checks all this.",
        "Fix the program that enqueues these jobs and enqueue them again. A retry fails again.",
        "useless",
        r"payload",
    ),
    Guide(
        "invalid_input",
        "Replicate refuses the input",
        "The model does not accept a parameter: an unsupported size, a value out of range, a"
        " required or unknown field, or a prompt that is too long.",
        "Compare the payload with the inputs on the model's page at Replicate. Fix the default"
        " parameters in the models table and retry, or run again with other parameters.",
        "after",
        r"invalid input|validation|unprocessable|not supported|\b422\b|\b400\b",
    ),
    Guide(
        "prediction_failed",
        "The safety filter held the image back",
        "The model made no image, or withheld it, because its safety filter objected to the"
        " prompt or the result.",
        "Change the prompt. A retry with a new seed succeeds now and then.",
        "useless",
        r"safety|nsfw|sensitive|content policy|flagged|moderat",
        narrows=True,
    ),
    Guide(
        "prediction_failed",
        "The model ran out of memory",
        "The prediction needed more memory than Replicate's machine has: usually a large image or"
        " many outputs, sometimes a crowded machine.",
        "Retry. If it fails again, lower the size or use a model on larger hardware.",
        "helps",
        r"out of memory|\bOOM\b",
        narrows=True,
    ),
    Guide(
        "prediction_failed",
        "The model failed while it ran",
        "Replicate started the prediction, but the model failed or made no image. The message is"
        " the model's own.",
        "Retry; single failures usually pass. If all jobs of the model fail, its version may have"
        " changed: check the model's page at Replicate.",
        "helps",
        r"ended as (failed|aborted|canceled)|prediction.{0,40}fail",
    ),
    Guide(
        "deadline_exceeded",
        "The prediction took too long",
        "It was cancelled after DARKROOM_GENERATION_SECONDS: Replicate was cold-starting the"
        " model or had a queue for it, or the model hangs.",
        "Retry. If run times have grown (see Models), raise DARKROOM_GENERATION_SECONDS.",
        "helps",
        r"took longer than|deadline|timed? ?out",
    ),
    Guide(
        "unreachable",
        "Replicate does not answer",
        "The worker could not reach Replicate: its network, name resolution or a firewall, or"
        " Replicate itself. After five failures in a row the circuit opens.",
        "Check Replicate's status page and the worker's network. Retry once it answers.",
        "helps",
        r"ECONN|ENOTFOUND|EAI_AGAIN|fetch failed|does not answer|connection (refused|reset)",
    ),
    Guide(
        "provider_error",
        "Replicate had a failure of its own",
        "Replicate answered with an internal error (5xx). After five failures in a row the"
        " circuit opens, and single jobs probe the provider.",
        "Check Replicate's status page. Retry once it has recovered.",
        "helps",
        r"\b50[0234]\b|bad gateway|service unavailable|internal server error",
    ),
    Guide(
        "unexpected_answer",
        "Replicate answered what no documentation foresees",
        "The response does not match Replicate's API documentation: a proxy in between, a changed"
        " API, or a wrong REPLICATE_API_URL.",
        "Check REPLICATE_API_URL and any proxies, then retry one job. If it fails again, the"
        " client in lib/provider/replicate needs a change.",
        "after",
        r"unexpected (answer|response|token)|is not valid json",
    ),
    Guide(
        "prediction_not_found",
        "The prediction is gone at Replicate",
        "The prediction can no longer be followed: Replicate removed it, or the token now belongs"
        " to another account.",
        "Retry: it creates a new prediction.",
        "helps",
        r"no prediction|prediction.{0,80}not found",
    ),
    Guide(
        "image_not_found",
        "The address of the image is refused",
        "The prediction succeeded and is paid for, but the image's server refused the address"
        " (4xx), even after the prediction was read again, or the address leads into a private"
        " network. Another image would most likely be refused too, so none is paid for.",
        "Check what the message says about the server. A retry fetches the same image again;"
        " after an hour it pays for a new one.",
        "after",
        r"no image\b|image.{0,40}not found|server of the image.{0,300}answered 4",
    ),
    Guide(
        "image_unreachable",
        "The server of the image does not answer",
        "The prediction succeeded and is paid for, but the image's server was down, busy or"
        " slower than DARKROOM_GENERATION_SECONDS. Replicate's API works, so other jobs are not"
        " affected.",
        "Check Replicate's status page and the worker's network. A retry fetches the same image"
        " again; after an hour it pays for a new one.",
        "helps",
        r"server of the image|image did not arrive",
    ),
    Guide(
        "not_an_image",
        "What the model made is no image",
        "The output was fetched twice and is not a PNG, JPEG, WebP, GIF or AVIF image that can be"
        " opened: another kind of file, damaged, or larger than 100 megapixels.",
        "Check that the model makes images, and set its output format and size in the models"
        " table. A retry within an hour fetches the same file again.",
        "after",
        r"not an image|no (PNG|URL|web address)|image cannot be opened|megapixels",
    ),
    Guide(
        "storage_failed",
        "The image could not be stored",
        "The model made the image, but it could not be stored: the disk is full or read-only, or"
        " Supabase Storage is down, over quota or without the bucket. Until it works, workers"
        " claim no such jobs, and jobs lose no attempts (up to thirty).",
        "Free space on the disk of DARKROOM_DATA and make it writable, or check the project's"
        " status and quota and the bucket in SUPABASE_STORAGE_BUCKET. Jobs then continue by"
        " themselves; an image less than an hour old is not paid for again.",
        "after",
        r"supabase storage|bucket|disk for images|folder of images",
    ),
    Guide(
        "outputs_expired",
        "A paid image was gone before it could be stored",
        "An earlier attempt paid for the image more than an hour ago, but could not store it"
        " within the hour for which Replicate keeps it. The next attempt pays for another.",
        "Nothing to do for the job: it continues. Find out why images could not be stored for so"
        " long.",
        "helps",
        r"no longer has the image",
    ),
    Guide(
        "creation_unknown",
        "Whether the provider has started is not known yet",
        "An attempt was cut off before the provider answered. Its prediction is looked up in the"
        " provider's list before another one is paid for.",
        "Nothing to do: within a minute the prediction is found, or known not to exist, and the"
        " job continues.",
        "useless",
        r"may have started this generation",
    ),
    Guide(
        "image_refused",
        "The bucket does not allow this image",
        "The image exceeds the bucket's size limit or has a type that the bucket does not allow.",
        "In the project's dashboard, raise the bucket's file size limit, or allow image/png,"
        " image/jpeg, image/webp, image/gif and image/avif. Then retry: an image less than an hour"
        " old is not paid for again.",
        "after",
        r"exceeded the maximum allowed size|mime type",
    ),
    Guide(
        "too_large",
        "The answer or image is too large",
        "Replicate sent more than the worker accepts, usually a huge image.",
        "Use a smaller size or a compressed format in the model's default parameters, then retry.",
        "after",
        r"(is|too) larger? than|too large",
    ),
    Guide(
        "worker_lost",
        "The worker died or fell silent",
        "Nothing recorded how the attempt ended: the worker was killed, ran out of memory or lost"
        " its network. A job that kills its worker every time ends up here.",
        "Check the logs and the memory of the workers' machines, then retry. If the same job"
        " fails again, look for what is special in its payload.",
        "helps",
        r"worker died|no heartbeat|sign of life|worker .{0,30}lost",
    ),
    Guide(
        "internal",
        "An error in the worker's own program",
        "The worker hit an unexpected error, or the result could not be stored. Its log has the"
        " traceback.",
        "Check the worker's log at that time and fix the cause, then retry.",
        "after",
        r"unexpected error|cannot be stored|traceback|exception",
    ),
)

UNKNOWN = Guide(
    "",
    "An error that the catalogue does not know",
    "Only the message is known: it comes from another worker or an older deployment.",
    "Read the message and the payload, then retry.",
    "helps",
)


def guide(code: str | None, message: str | None) -> Guide:
    """Look up an error by its code, or by its message if the code is missing or unknown."""
    known = [entry for entry in CATALOGUE if entry.code == code]
    for entry in known:
        if not entry.narrows or _matches(entry, message):
            return entry
    return next((entry for entry in CATALOGUE if not known and _matches(entry, message)), UNKNOWN)


def _matches(entry: Guide, message: str | None) -> bool:
    return re.search(entry.pattern, message or "", re.IGNORECASE) is not None
