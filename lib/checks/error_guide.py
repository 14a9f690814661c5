"""What each kind of error means and how to resolve it, by the worker's error code.

Errors without a code, from older deployments or other workers, are matched by their message.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Guide:
    """Guide entry for one kind of error; contains no text from jobs or providers.

    `retry`: a manual retry "helps", helps "after" the cause is fixed, or is "useless". `pattern`:
    what recognizes errors without a code, or with `older_code`; with `narrows`, all errors.
    """

    code: str
    title: str
    meaning: str
    todo: str
    retry: Literal["helps", "after", "useless"]
    pattern: str = ""
    narrows: bool = False
    older_code: str = ""


CATALOGUE = (
    Guide(
        "unauthorized",
        "Replicate rejected the API token",
        "The API token is not set, was revoked, belongs to another account or may not use this"
        " model. All jobs of the provider fail until this is fixed.",
        "Check the token at Replicate, set REPLICATE_API_TOKEN for every worker and restart the"
        " workers. Then retry the jobs.",
        "after",
        r"REPLICATE_API_TOKEN|api (token|key)|unauthori[sz]ed|unauthenticated|\b401\b|\b403\b",
    ),
    Guide(
        "no_credit",
        "Replicate account out of credit",
        "Replicate runs nothing for an account without credit or with a failed payment.",
        "Add credit or a payment method at Replicate, wait a few minutes, then retry.",
        "after",
        r"insufficient credit|no credit|payment|billing|\b402\b",
    ),
    Guide(
        "rate_limited",
        "Rate limited by Replicate",
        "Replicate limits how many predictions an account may start per minute, far fewer without"
        " a payment method. The queue waits as long as Replicate asks, so a job fails with this"
        " error only if other errors used up its attempts.",
        "Retry the jobs; the retries are spread over time. If this continues, run fewer jobs in"
        " parallel (DARKROOM_CONCURRENCY) or ask Replicate for a higher limit.",
        "helps",
        r"rate.?limit|throttl|too many requests|\b429\b",
    ),
    Guide(
        "model_not_found",
        "Model not found at Replicate",
        "The model, or the version set in the models table, does not exist: it is misspelled,"
        " renamed, deleted or private to another account.",
        "Compare the id and version in the models table with the model's page at Replicate."
        " Correct or disable the model first; otherwise the jobs fail again.",
        "after",
        r"(model|version).{0,80}(does not exist|not found|no such)|no model\b",
    ),
    Guide(
        "invalid_payload",
        "User deleted",
        "The user who requested the image was deleted, and the generation with them.",
        "Nothing. The image is no longer needed.",
        "useless",
        r"violates foreign key constraint|user .{0,60}(is gone|not found|does not exist)",
        narrows=True,
    ),
    Guide(
        "invalid_payload",
        "Invalid payload",
        "The payload has no prompt, an input that the model does not take or unreadable content."
        " The job was enqueued without start-generation, which checks this.",
        "Fix the program that enqueues these jobs and let it enqueue them again.",
        "useless",
        r"payload",
    ),
    Guide(
        "invalid_input",
        "Input refused by Replicate",
        "Replicate does not accept an input that the models table allows: the schema there is out"
        " of date or missing.",
        "Compare the payload with the inputs on the model's page at Replicate, and correct the"
        " models table. Then retry the jobs.",
        "after",
        r"invalid input|validation|unprocessable|not supported|\b422\b|\b400\b",
    ),
    Guide(
        "refused",
        "Refused by the safety filter",
        "The model's safety filter objected to the prompt or the result, so there is no image.",
        "The user has to change the prompt. A retry rarely succeeds.",
        "useless",
        r"safety|nsfw|sensitive|content policy|flagged|moderat|\bE005\b",
        older_code="prediction_failed",
    ),
    Guide(
        "vendor_account",
        "Account rejected by the model's vendor",
        "The vendor behind the model reports no credit (E001) or a rejected key (E002).",
        "Disable the model, look at its page at Replicate, and retry the jobs once it works again.",
        "after",
        r"\bE00[12]\b",
    ),
    Guide(
        "prediction_failed",
        "Model out of memory",
        "The machine had too little memory: a large image, many outputs, or a busy machine.",
        "Retry a few jobs. If they fail again, reduce the size in the models table's default"
        " parameters or use a model on larger hardware.",
        "helps",
        r"out of memory|\bOOM\b",
        narrows=True,
    ),
    Guide(
        "prediction_failed",
        "Model failed",
        "The model stopped with an error or returned no image. The message is the model's.",
        "Look up the message on the model's page at Replicate. If all its jobs have failed since a"
        " certain time, its version may have changed. Single failures usually pass: retry them.",
        "helps",
        r"ended as (failed|aborted|canceled)|prediction.{0,40}fail",
    ),
    Guide(
        "deadline_exceeded",
        "Prediction timed out",
        "The prediction was cancelled after DARKROOM_GENERATION_SECONDS. Replicate was still"
        " starting the model, had a queue for it, or the model hangs.",
        "Retry a few jobs and check the run times on Models. If they have grown, wait for"
        " Replicate or raise DARKROOM_GENERATION_SECONDS.",
        "helps",
        r"took longer than|deadline|timed? ?out",
    ),
    Guide(
        "unreachable",
        "Replicate unreachable",
        "The worker could not reach Replicate: the cause is its network, DNS or a firewall, or"
        " Replicate itself. After five failures in a row the circuit breaker opens.",
        "Check Replicate's status page and the worker's network. Once Replicate responds, retry"
        " the jobs.",
        "helps",
        r"ECONN|ENOTFOUND|EAI_AGAIN|fetch failed|does not answer|connection (refused|reset)",
    ),
    Guide(
        "provider_error",
        "Replicate server error",
        "Replicate responded with an internal error (5xx). After five failures in a row the"
        " circuit breaker opens, and single jobs test whether Replicate has recovered.",
        "Check Replicate's status page. Once Replicate has recovered, retry the jobs.",
        "helps",
        r"\b50[0234]\b|bad gateway|service unavailable|internal server error",
    ),
    Guide(
        "unexpected_answer",
        "Unexpected response from Replicate",
        "The response does not match Replicate's API: the cause is a proxy in between, a changed"
        " API or a wrong REPLICATE_API_URL.",
        "Check REPLICATE_API_URL and any proxies, then retry one job. If it fails again, the"
        " client in lib/provider/replicate needs a change.",
        "after",
        r"unexpected (answer|response|token)|is not valid json",
    ),
    Guide(
        "prediction_not_found",
        "Prediction not found at Replicate",
        "Replicate removed the prediction, or the token now belongs to another account.",
        "Retry the jobs. A new prediction is created.",
        "helps",
        r"no prediction|prediction.{0,80}not found",
    ),
    Guide(
        "image_not_found",
        "Image URL refused",
        "The prediction succeeded and is paid for, but the image server refused the URL (4xx),"
        " even after the prediction was read again, or the URL is not https or not public."
        " Further attempts do not pay for another image, which would most likely be refused too.",
        "Check what the message says about the server. A retry downloads the same image again; if"
        " it is more than an hour old, it is generated and paid for again.",
        "after",
        r"no image\b|image.{0,40}not found|server of the image.{0,300}answered 4",
    ),
    Guide(
        "image_unreachable",
        "Image server unreachable",
        "The prediction succeeded and is paid for, but the image server was down, busy or slower"
        " than DARKROOM_GENERATION_SECONDS. This does not count as a failure of Replicate's API,"
        " so other jobs are not affected.",
        "Check Replicate's status page and the worker's network. A retry downloads the same image"
        " again; if it is more than an hour old, it is generated and paid for again.",
        "helps",
        r"server of the image|image did not arrive",
    ),
    Guide(
        "not_an_image",
        "Output is not an image",
        "The output was downloaded twice and is not a valid PNG, JPEG, WebP, GIF or AVIF image: it"
        " is another kind of file, damaged, or larger than 100 megapixels.",
        "Check that the model generates images, and set its output format and size in the models"
        " table's default parameters. A retry within an hour downloads the same file again.",
        "after",
        r"not an image|no (PNG|URL|web address)|image cannot be opened|megapixels",
    ),
    Guide(
        "storage_failed",
        "Image not stored",
        "The image was generated, but the storage refused it: the disk is full or read-only, or"
        " Supabase Storage is down, over its quota or lacks the bucket. Workers claim no jobs that"
        " need storage meanwhile, and up to thirty attempts of this kind do not count.",
        "Free space on the disk of DARKROOM_DATA and make it writable for workers, or check the"
        " project's status, quota and SUPABASE_STORAGE_BUCKET. Jobs then continue automatically.",
        "after",
        r"supabase storage|bucket|disk for images|folder of images",
    ),
    Guide(
        "outputs_expired",
        "Image expired before it was stored",
        "An earlier attempt paid for the image, but could not store it within the hour for which"
        " Replicate keeps it. The next attempt pays for another.",
        "Nothing for the jobs: they continue. Find out why images could not be stored for so long.",
        "helps",
        r"no longer has the image",
    ),
    Guide(
        "creation_unknown",
        "Prediction start unconfirmed",
        "An attempt was cut off before the provider responded. Its prediction is looked up in the"
        " provider's list before another is paid for.",
        "Nothing. Within a minute the prediction is found or known not to exist, and the job"
        " continues.",
        "useless",
        r"may have started this generation",
    ),
    Guide(
        "image_refused",
        "Image not allowed by the bucket",
        "The image is larger than the bucket's limit, or of a type that the bucket does not allow.",
        "In the project's dashboard, raise the bucket's file size limit, or allow image/png,"
        " image/jpeg, image/webp, image/gif and image/avif. Then retry the jobs: an image less"
        " than an hour old is not paid for again.",
        "after",
        r"exceeded the maximum allowed size|mime type",
    ),
    Guide(
        "too_large",
        "Response or image too large",
        "Replicate sent more than the worker accepts, usually a very large image.",
        "Set a smaller size or a compressed format in the models table's default parameters.",
        "after",
        r"(is|too) larger? than|too large",
    ),
    Guide(
        "worker_lost",
        "Worker lost",
        "The worker did not report how the attempt ended: it was killed, ran out of memory or lost"
        " its network. A job that crashes its worker every time ends with this error.",
        "Check the workers' logs and memory. Retry the jobs; if the same ones fail again, check"
        " their payloads.",
        "helps",
        r"worker died|no heartbeat|sign of life|worker .{0,30}lost",
    ),
    Guide(
        "internal",
        "Internal worker error",
        "The worker stopped with an unexpected error, or the result could not be stored. Its log"
        " has the full traceback.",
        "Find the error in the worker's log, fix it, then retry the jobs.",
        "after",
        r"unexpected error|cannot be stored|traceback|exception",
    ),
)

UNKNOWN = Guide(
    "",
    "Unknown error",
    "Only the message is known. It comes from a different kind of worker or an older deployment.",
    "Read the message and the payload. Retry one job; if it succeeds, retry the rest.",
    "helps",
)


def guide(code: str | None, message: str | None) -> Guide:
    """Look up an error by its code, or by its message if the code is missing or unknown."""
    known = [entry for entry in CATALOGUE if code and code in (entry.code, entry.older_code)]
    for entry in known:
        if (entry.code == code and not entry.narrows) or _matches(entry, message):
            return entry
    return next((entry for entry in CATALOGUE if not known and _matches(entry, message)), UNKNOWN)


def _matches(entry: Guide, message: str | None) -> bool:
    return re.search(entry.pattern, message or "", re.IGNORECASE) is not None
