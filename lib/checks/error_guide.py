"""What each kind of error means and how to resolve it, by the worker's error code.

Errors without a code, from older deployments or other workers, are matched by their message.
"""

import re

from lib.checks.cog_errors import COG_ERRORS
from lib.checks.guide import Guide

CATALOGUE = (
    *COG_ERRORS,
    Guide(
        "unauthorized",
        "Replicate rejected the API token",
        "The API token is not set, was revoked or belongs to another account, and all jobs fail"
        " until this is fixed; or it may not use this model, and only this model's jobs fail.",
        "Check the token on Replicate, set REPLICATE_API_TOKEN for every worker and restart the"
        " workers. Then retry the jobs.",
        "after",
        r"REPLICATE_API_TOKEN|api (token|key)|unauthori[sz]ed|unauthenticated|\b401\b|\b403\b",
    ),
    Guide(
        "no_credit",
        "Replicate account out of credit",
        "Replicate runs nothing for an account without credit or with a failed payment.",
        "Add credit or a payment method on Replicate, wait a few minutes, then retry.",
        "after",
        r"insufficient credit|no credit|payment|billing|\b402\b",
    ),
    Guide(
        "rate_limited",
        "Rate-limited by Replicate",
        "Replicate limits how many predictions an account may start per minute, and allows far"
        " fewer without a payment method. The queue waits as long as Replicate asks, so a job fails"
        " with this error only if other errors used up its attempts.",
        "Retry the jobs; the retries are spread over time. If this continues, run fewer jobs in"
        " parallel (DARKROOM_CONCURRENCY) or ask Replicate for a higher limit.",
        "helps",
        r"rate.?limit|throttl|too many requests|\b429\b",
    ),
    Guide(
        "model_not_found",
        "Model not found on Replicate",
        "Replicate cannot find the model, or the version set in the models table: it is misspelled,"
        " was renamed or deleted, or is private to another account.",
        "Compare the id and version in the models table with the model's page on Replicate."
        " Correct or disable the model first; otherwise the jobs fail again.",
        "after",
        r"(model|version).{0,80}(does not exist|not found|no such)|no model\b",
    ),
    Guide(
        "invalid_payload",
        "User deleted",
        "The user who requested the image was deleted, along with the generation.",
        "No action needed: the image is no longer wanted.",
        "useless",
        r"violates foreign key constraint|user .{0,60}(is gone|not found|does not exist)",
        narrows=True,
    ),
    Guide(
        "invalid_payload",
        "Invalid payload",
        "The payload lacks a prompt, contains an input that the model does not accept, or cannot"
        " be read. The job was not enqueued by start-generation, which checks this.",
        "Fix the program that enqueues these jobs and have it enqueue them again.",
        "useless",
        r"payload",
    ),
    Guide(
        "invalid_input",
        "Input rejected by Replicate",
        "The model's schema here is out of date or missing, so Replicate rejects an input.",
        "Refresh the schema on the model's page, compare its inputs and default parameters with the"
        " payload, then retry.",
        "after",
        r"invalid input|validation|unprocessable|not supported|\b422\b|\b400\b",
    ),
    Guide(
        "refused",
        "Refused",
        "The model's safety filter or your prompt check refused the prompt or the image.",
        "The user has to change the prompt. If many jobs are refused, check their prompts.",
        "useless",
        r"safety|nsfw|sensitive|content policy|flagged|moderat|\bE005\b",
        older_code="prediction_failed",
    ),
    Guide(
        "prompt_check_failed",
        "Prompt check failed",
        "The function in DARKROOM_PROMPT_CHECK raised an error, took longer than 10 s, or returned"
        " neither None nor a sentence. Nothing was sent to the provider.",
        "Find the error in the worker's log, fix the function, then retry the failed jobs. Up to 30"
        " such attempts do not count towards the maximum, so pending jobs continue automatically.",
        "after",
        r"prompt could not be checked",
    ),
    Guide(
        "vendor_account",
        "Account rejected by the model's vendor",
        "The vendor behind the model reports no credit (E001) or a rejected key (E002).",
        "Disable the model, check its page on Replicate, and retry the jobs once it works again.",
        "after",
        r"\bE00[12]\b",
    ),
    Guide(
        "prediction_failed",
        "Model out of memory",
        "The machine ran out of memory, for example because of a large image or many outputs.",
        "Retry a few jobs. If they fail again, reduce the size in the models table's default"
        " parameters or use a model on larger hardware.",
        "helps",
        r"out of memory|\bOOM\b",
        narrows=True,
    ),
    Guide(
        "prediction_failed",
        "Model failed",
        "The model stopped with an error or returned no image. The message comes from the model.",
        "Search the model's page on Replicate for the message. If all its jobs started failing at"
        " once, its version may have changed. Isolated failures usually succeed on a retry.",
        "helps",
        r"^\S+/\S+ (failed|was aborted|was cancelled): |ended as failed|prediction.{0,40}fail",
    ),
    Guide(
        "deadline_exceeded",
        "Prediction timed out",
        "The prediction was cancelled at its deadline: Replicate was still starting the model, the"
        " model had a queue, or it hung.",
        "Retry a few jobs and check the run times on Models. If they have gone up, wait for"
        " Replicate or raise the model's deadline, by default DARKROOM_GENERATION_SECONDS.",
        "helps",
        r"took longer than|deadline|timed? ?out",
    ),
    Guide(
        "unreachable",
        "Replicate unreachable",
        "The worker could not reach Replicate: the cause is its network, DNS, a firewall or"
        " Replicate itself. After five failures in a row the circuit breaker opens.",
        "Check Replicate's status page and the worker's network. Then retry the jobs.",
        "helps",
        r"ECONN|ENOTFOUND|EAI_AGAIN|fetch failed|not (answer|respond)|connection (refused|reset)",
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
        " client in lib/provider/replicate needs an update.",
        "after",
        r"unexpected (answer|response|token)|is not valid json",
    ),
    Guide(
        "prediction_not_found",
        "Prediction not found on Replicate",
        "Replicate removed the prediction, or the token now belongs to another account.",
        "Retry the jobs. A new prediction is created.",
        "helps",
        r"no prediction|prediction.{0,80}not found",
    ),
    Guide(
        "image_not_found",
        "Image URL rejected",
        "The prediction succeeded and is paid for, but the image server rejected the URL (4xx)"
        " and then a fresh one too, or the URL is not https or not public. Further attempts do not"
        " start a new prediction, whose image would most likely be rejected too.",
        "Check what the message says about the server. A retry downloads the same image again; if"
        " it is more than an hour old, it is generated and paid for again.",
        "after",
        r"no image\b|image.{0,40}not found|(image server|of the image).{0,300}(answered|HTTP) 4",
    ),
    Guide(
        "image_unreachable",
        "Image server unreachable",
        "The prediction succeeded and is paid for, but the image server was down or busy, or the"
        " image did not arrive before the deadline. This does not count as a failure of Replicate's"
        " API, so other jobs are not affected.",
        "Check Replicate's status page and the worker's network. A retry downloads the same image"
        " again; if it is more than an hour old, it is generated and paid for again.",
        "helps",
        r"image server|server of the image|image did not arrive",
    ),
    Guide(
        "not_an_image",
        "Output is not an image",
        "The output was downloaded twice. It is not a PNG, JPEG, WebP, GIF, AVIF or SVG file, is"
        " damaged, has more than 100 megapixels, or is an SVG with scripts.",
        "Check that the model generates images, and set its output format and size in the models"
        " table's default parameters. A retry within an hour downloads the same file again.",
        "after",
        r"not an image|no (PNG|URL|web address)|image cannot be opened|megapixels",
    ),
    Guide(
        "input_unavailable",
        "Input image unavailable",
        "The input image was deleted, or the worker cannot fetch its address.",
        "Check that the address can be opened without signing in, or have the file uploaded again.",
        "useless",
        r"input image (is no longer|cannot be|did not)",
    ),
    Guide(
        "storage_failed",
        "Image not stored",
        "The image was generated, but storage rejected it: the disk is full or read-only, or"
        " Supabase Storage is down, over its quota or missing the bucket. Until it works again,"
        " workers claim no jobs that need it; up to 30 such attempts do not count.",
        "Free up space on the disk of DARKROOM_DATA and make it writable for workers, or check the"
        " project's status, quota and SUPABASE_STORAGE_BUCKET. Then retry the failed jobs.",
        "after",
        r"supabase storage|bucket|disk for images|folder of images|images folder",
    ),
    Guide(
        "outputs_expired",
        "Image expired before it was stored",
        "An earlier attempt paid for the image, but could not store it within the hour for which"
        " Replicate keeps it. The next attempt pays for another.",
        "Find out why images could not be stored for so long, then retry the failed jobs.",
        "helps",
        r"no longer has the image",
    ),
    Guide(
        "creation_unknown",
        "Prediction start unconfirmed",
        "An attempt was cut off before the provider responded. Its prediction is looked up in the"
        " provider's list before another is paid for.",
        "Usually no action needed: within a minute the prediction is found, or known not to exist,"
        " and the job continues. Otherwise another replaces it after an hour; you may pay twice.",
        "helps",
        r"may have started this generation",
    ),
    Guide(
        "image_refused",
        "Image not allowed by the bucket",
        "The image is larger than the bucket's limit, or of a type that the bucket does not allow.",
        "In the project's dashboard, raise the bucket's file size limit, or allow image/png,"
        " image/jpeg, image/webp, image/gif, image/avif and image/svg+xml. Then retry the jobs: an"
        " image less than an hour old is not paid for again.",
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
    "The job has no error code: an older version ran it, or a worker that is not Darkroom's.",
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
